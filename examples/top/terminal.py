"""Drives the view in a pseudo-terminal, as a user does: `python3 terminal.py PROGRAM`."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios


def quit_by(end, program):
    """Sends a key or a signal when the view is drawn; the program has to end well, with the terminal as it was."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen([program], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    shown, sent = b"", False
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        ready, _, _ = select.select([ours], [], [], 0.1)
        if ready:
            shown += os.read(ours, 65536)
        if not sent and b"taskgrove top" in shown:
            if isinstance(end, bytes):
                os.write(ours, end)
            else:
                process.send_signal(end)
            sent = True
    assert process.returncode == 0, (end, process.returncode, shown)
    assert termios.tcgetattr(theirs) == before, (end, "the terminal is not as it was")
    assert shown.rfind(b"\x1b[?1049l") > shown.rfind(b"\x1b[?1049h"), (end, "the view is still shown")


def without_terminal(program):
    """Without a terminal the program has to say so, and nothing else."""
    ended = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True)
    assert ended.returncode == 1 and ended.stdout == b"", ended
    assert ended.stderr.startswith(b"top: the view needs a terminal") and ended.stderr.count(b"\n") == 1, ended


for end in b"q", b"\x1b", b"\x03", signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
    quit_by(end, sys.argv[1])
without_terminal(sys.argv[1])
