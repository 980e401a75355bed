//! Sockets: their readiness, and the workers that wait for them. With the feature `net`.
#![cfg(taskgrove_loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::future::poll_fn;
use std::task::{Poll, ready};
use taskgrove::model::{Crew, Socket, Sockets};
use taskgrove_loom_tests::*;

fn worker(crew: &Crew, index: usize) -> thread::JoinHandle<()> {
    let crew = crew.clone();
    thread::spawn(move || crew.work(index))
}

/// Bytes that the system has received. Relaxed: what orders the accesses has to be the readiness.
#[derive(Clone)]
struct Buffer(Arc<AtomicUsize>);

impl Buffer {
    fn new() -> Buffer {
        Buffer(Arc::new(AtomicUsize::new(0)))
    }

    /// A byte comes in.
    fn receive(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> bool {
        let read = |bytes: usize| bytes.checked_sub(1);
        let read = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, read);
        read.is_ok()
    }
}

/// Reads a byte: waits, and clears what a read in vain has shown to be outdated. Returns `false` at the end of
/// the runtime.
fn read(
    socket: Arc<Socket>,
    buffer: Buffer,
) -> impl Future<Output = bool> + Send + Unpin + 'static {
    poll_fn(move |cx| {
        loop {
            let Ok(seen) = ready!(socket.poll(cx.waker())) else {
                return Poll::Ready(false);
            };
            if buffer.read() {
                return Poll::Ready(true);
            }
            socket.clear(seen);
        }
    })
}

/// Two bytes come in, each with an event, while the reader reads one, finds no more and waits. It reads both.
#[test]
fn a_clear_takes_no_event_away_that_comes_meanwhile() {
    explore(&["both"], |seen| {
        let sockets = Sockets::new();
        let socket = Arc::new(sockets.register().expect("registered"));
        let buffer = Buffer::new();
        let system = thread::spawn({
            let (sockets, token, buffer) = (sockets.clone(), socket.token(), buffer.clone());
            move || {
                for _ in 0..2 {
                    buffer.receive();
                    sockets.happen(token);
                    sockets.dispatch();
                }
            }
        });
        for _ in 0..2 {
            assert!(block_on(read(socket.clone(), buffer.clone())));
        }
        seen.saw("both");
        system.join().unwrap();
    });
}

/// An event comes while the reader looks, registers its waker and looks again. It is woken or sees it.
#[test]
fn a_wait_that_meets_an_event_ends() {
    explore(&["saw it", "woken"], |seen| {
        let sockets = Sockets::new();
        let socket = Arc::new(sockets.register().expect("registered"));
        let system = thread::spawn({
            let (sockets, token) = (sockets.clone(), socket.token());
            move || {
                sockets.happen(token);
                sockets.dispatch();
            }
        });
        let mut polls = 0;
        let wait = poll_fn(|cx| {
            polls += 1;
            socket.poll(cx.waker())
        });
        assert!(block_on(wait).is_ok());
        seen.saw(if polls == 1 { "saw it" } else { "woken" });
        system.join().unwrap();
    });
}

/// A socket is closed, and a new one gets its slot, while a thread has an event for the old one in hand. The new
/// one is not ready, and its own event reaches it although the other one may have woken it before.
#[test]
fn an_event_of_a_socket_that_is_gone_does_not_reach_the_next_one() {
    explore(&["read"], |seen| {
        let sockets = Sockets::new();
        let old = sockets.register().expect("registered");
        sockets.happen(old.token());
        let system = thread::spawn({
            let sockets = sockets.clone();
            move || sockets.dispatch()
        });
        let place = old.token();
        old.end();
        let new = Arc::new(sockets.register().expect("registered"));
        assert_ne!(new.token(), place, "another generation");
        // Ready at once would mean that the old event counted.
        let counter = Counter::new();
        assert!(new.poll(&counter.clone().into()).is_pending());
        system.join().unwrap();
        assert!(new.poll(&counter.into()).is_pending());
        let buffer = Buffer::new();
        buffer.receive();
        sockets.happen(new.token());
        sockets.dispatch();
        assert!(block_on(read(new, buffer)));
        seen.saw("read");
    });
}

/// The runtime ends while a thread begins to wait for a socket that outlives it, and another thread registers
/// one. The wait ends, and so does each later one; a socket that is registered after the end is refused.
#[test]
fn a_wait_that_meets_the_end_of_the_runtime_ends() {
    explore(&["refused", "registered"], |seen| {
        let sockets = Sockets::new();
        let socket = Arc::new(sockets.register().expect("registered"));
        let end = thread::spawn({
            let sockets = sockets.clone();
            move || sockets.close()
        });
        assert!(!block_on(read(socket, Buffer::new())));
        let late = sockets.register();
        assert!(late.is_err(), "the end has come");
        end.join().unwrap();
        seen.saw("refused");
        let sockets = Sockets::new();
        let end = thread::spawn({
            let sockets = sockets.clone();
            move || sockets.close()
        });
        if let Ok(socket) = sockets.register() {
            assert!(!block_on(read(Arc::new(socket), Buffer::new())));
            seen.saw("registered");
        }
        end.join().unwrap();
    });
}

/// The first socket is registered, and its event comes, while the only worker parks. The task that waits for
/// it runs.
#[test]
fn an_event_reaches_a_worker_that_parks() {
    explore_within(2, &["awake", "parked"], |seen| {
        let crew = Crew::new(1);
        let worker = worker(&crew, 0);
        let parked = crew.all_sleep();
        let sockets = crew.sockets();
        let socket = Arc::new(sockets.register().expect("registered"));
        let (token, buffer) = (socket.token(), Buffer::new());
        let task = crew.handle().spawn(read(socket.clone(), buffer.clone()));
        buffer.receive();
        sockets.happen(token);
        assert!(block_on(task).expect("a value"));
        seen.saw(if parked { "parked" } else { "awake" });
        crew.kill();
        worker.join().unwrap();
        drop((socket, sockets));
        crew.end();
    });
}

/// A thread outside spawns while the only worker waits in the queue, leaves it with an event, or comes back. Both
/// tasks run.
#[test]
fn a_push_reaches_a_worker_in_the_queue() {
    explore_within(1, &["run"], |seen| {
        let crew = Crew::new(1);
        let sockets = crew.sockets();
        let socket = Arc::new(sockets.register().expect("registered"));
        let (token, buffer) = (socket.token(), Buffer::new());
        let waits = crew.handle().spawn(read(socket.clone(), buffer.clone()));
        let worker = worker(&crew, 0);
        let outside = thread::spawn({
            let handle = crew.handle();
            move || block_on(handle.spawn(async { 7 }))
        });
        buffer.receive();
        sockets.happen(token);
        assert!(block_on(waits).expect("a value"));
        assert_eq!(outside.join().unwrap().expect("a value"), 7);
        seen.saw("run");
        crew.kill();
        worker.join().unwrap();
        drop((socket, sockets));
        crew.end();
    });
}

/// The runtime is dropped while its worker waits in the queue and a thread outside waits for a socket of it. The
/// worker leaves, and the wait ends.
#[test]
fn a_drop_that_meets_a_wait_for_a_socket_ends() {
    explore_within(1, &["over"], |seen| {
        let crew = Crew::new(1);
        let sockets = crew.sockets();
        let socket = Arc::new(sockets.register().expect("registered"));
        let worker = worker(&crew, 0);
        let outside = thread::spawn({
            let socket = socket.clone();
            move || block_on(read(socket, Buffer::new()))
        });
        crew.kill();
        worker.join().unwrap();
        assert!(!outside.join().unwrap(), "it was told of the end");
        seen.saw("over");
        drop((socket, sockets));
        crew.end();
    });
}
