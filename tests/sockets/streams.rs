//! Peers that reset, half-close, send or read one byte at a time, or never read.

use crate::peers::{all, assert_same, on_each, once, pair, sequence};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;
use taskgrove::net::TcpStream;
use taskgrove::time;

const RESETS: [ErrorKind; 3] = [
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
];

#[test]
fn a_reset_ends_a_read_that_waits_and_fails_later_calls() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, theirs) = pair().await;
            (&ours).write_all(b"unread").await.expect("sent");
            theirs.peek(&mut [0]).expect("it has arrived");
            let reading = ours.clone();
            let reader = taskgrove::spawn(async move { (&reading).read(&mut [0; 8]).await });
            taskgrove::yield_now().await;
            // The system resets a connection that is closed with data unread.
            drop(theirs);
            let error = reader.await.expect("no panic").expect_err("a reset");
            assert!(RESETS.contains(&error.kind()), "{error}");
            let error = loop {
                // The first write after a reset may still be taken.
                if let Err(error) = (&ours).write(b"more").await {
                    break error;
                }
            };
            assert!(RESETS.contains(&error.kind()), "{error}");
            assert_eq!((&ours).read(&mut [0; 8]).await.unwrap_or(0), 0);
        });
    });
}

#[test]
fn a_reset_ends_a_write_that_waits() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, theirs) = pair().await;
            let writing = ours.clone();
            let writer = taskgrove::spawn(async move {
                let block = vec![1; 1 << 16];
                loop {
                    if let Err(error) = (&writing).write(&block).await {
                        break error;
                    }
                }
            });
            // Both buffers are full once this is not ready any more.
            while once(ours.writable()).await.is_some() {
                taskgrove::yield_now().await;
            }
            drop(theirs);
            let error = writer.await.expect("no panic");
            assert!(RESETS.contains(&error.kind()), "{error}");
        });
    });
}

#[test]
fn a_peer_that_closes_its_half_is_still_written_to() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            theirs.write_all(b"the last words").expect("sent");
            theirs.shutdown(Shutdown::Write).expect("open");
            assert_eq!(all(&ours).await, b"the last words");
            assert_eq!(all(&ours).await, b"", "the end is told again");
            let reader = thread::spawn(move || {
                let mut bytes = Vec::new();
                theirs.read_to_end(&mut bytes).expect("read");
                bytes
            });
            let sent = sequence(1 << 20);
            (&ours).write_all(&sent).await.expect("sent");
            ours.shutdown(Shutdown::Write).expect("open");
            assert_same(&reader.join().expect("no panic"), &sent);
        });
    });
}

#[test]
fn our_half_that_is_closed_leaves_the_other_open() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            (&ours).close().await.expect("open");
            let mut end = Vec::new();
            theirs.read_to_end(&mut end).expect("the end");
            assert!((&ours).write(b"x").await.is_err());
            theirs.write_all(b"still").expect("sent");
            drop(theirs);
            assert_eq!(all(&ours).await, b"still");
        });
    });
}

#[test]
fn bytes_that_come_one_at_a_time_all_come() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let sent = sequence(3_000);
            let bytes = sent.clone();
            let writer = thread::spawn(move || {
                for byte in bytes {
                    theirs.write_all(&[byte]).expect("sent");
                }
            });
            let mut got = Vec::new();
            // Most reads fill their buffer only in part, which ends the socket's readiness.
            let mut buffer = [0; 64];
            loop {
                match (&ours).read(&mut buffer).await.expect("read") {
                    0 => break,
                    read => got.extend_from_slice(&buffer[..read]),
                }
            }
            writer.join().expect("no panic");
            assert_same(&got, &sent);
        });
    });
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    on_each(|rt| {
        rt.block_on(async {
            for n in 0..300 {
                let (ours, mut theirs) = pair().await;
                let writer = thread::spawn(move || {
                    theirs.write_all(b"bye").expect("sent");
                    if n % 2 == 0 {
                        theirs.shutdown(Shutdown::Write).expect("open");
                        // Until the other end closes, too.
                        let _ = theirs.read(&mut [0]);
                    }
                });
                // A read of the last bytes does not fill the buffer.
                assert_eq!(all(&ours).await, b"bye");
                drop(ours);
                writer.join().expect("no panic");
            }
        });
    });
}

#[test]
fn a_peer_that_reads_one_byte_at_a_time_gets_all() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let sent = sequence(100_000);
            let reader = thread::spawn(move || {
                let mut got = Vec::new();
                let mut byte = [0];
                while theirs.read(&mut byte).expect("read") == 1 {
                    got.push(byte[0]);
                }
                got
            });
            (&ours).write_all(&sent).await.expect("sent");
            drop(ours);
            assert_same(&reader.join().expect("no panic"), &sent);
        });
    });
}

#[test]
fn both_directions_at_once_are_whole() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let echo = thread::spawn(move || {
                let mut buffer = vec![0; 10_007];
                loop {
                    match theirs.read(&mut buffer).expect("read") {
                        0 => return,
                        read => theirs.write_all(&buffer[..read]).expect("sent"),
                    }
                }
            });
            let sent = sequence(4 << 20);
            let (writing, bytes) = (ours.clone(), sent.clone());
            let writer = taskgrove::spawn(async move {
                (&writing).write_all(&bytes).await.expect("sent");
                writing.shutdown(Shutdown::Write).expect("open");
            });
            assert_same(&all(&ours).await, &sent);
            writer.await.expect("no panic");
            echo.join().expect("no panic");
        });
    });
}

#[test]
fn vectored_writes_are_whole_and_in_order() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let reader = thread::spawn(move || {
                let mut bytes = Vec::new();
                theirs.read_to_end(&mut bytes).expect("read");
                bytes
            });
            let sent = sequence(3 << 20);
            let mut done = 0;
            while done < sent.len() {
                let left = &sent[done..];
                let (head, rest) = left.split_at(left.len().min(100));
                let (body, more) = rest.split_at(rest.len().min(70_000));
                let slices = [head, body, more].map(std::io::IoSlice::new);
                done += (&ours).write_vectored(&slices).await.expect("sent");
            }
            drop(ours);
            assert_same(&reader.join().expect("no panic"), &sent);
        });
    });
}

/// Writes until nothing is taken for a while; how many bytes were.
async fn fill(stream: &TcpStream) -> usize {
    let block = vec![7; 1 << 16];
    let mut written = 0;
    let mut writer = stream;
    while let Ok(more) = time::timeout(Duration::from_millis(50), writer.write(&block)).await {
        written += more.expect("open");
    }
    written
}

#[test]
fn a_peer_that_never_reads_holds_up_only_its_own_connection() {
    on_each(|rt| {
        rt.block_on(async {
            let (stuck, mut theirs) = pair().await;
            let written = fill(&stuck).await;
            assert!(written > 0);
            let clone = stuck.clone();
            let waits = taskgrove::spawn(async move { (&clone).write(b"never").await });
            let (other, mut its_peer) = pair().await;
            for n in 0..100 {
                its_peer.write_all(&[n]).expect("sent");
                let mut byte = [0];
                (&other).read_exact(&mut byte).await.expect("read");
                assert_eq!(byte, [n]);
            }
            // The write that waits is cancelled and has written nothing.
            waits.cancel();
            waits.wait_done().await;
            drop(stuck);
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).expect("read");
            assert_eq!(got.len(), written);
        });
    });
}
