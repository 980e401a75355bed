//! Odd callers: destructors of thread-locals, wakers whose drop panics, sub-executors, halves that are dropped in
//! any order, buffers and datagrams of odd lengths, many sockets at once.

use crate::common::watchdog;
use crate::peers::{on_each, once, pair, runtime};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWriteExt, future};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use taskgrove::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram};
use taskgrove::{spawn, yield_now};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Calls its function when it is dropped.
struct OnDrop(Option<Box<dyn FnOnce()>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        (self.0.take().expect("once"))();
    }
}

thread_local! {
    static LAST: RefCell<Option<OnDrop>> = const { RefCell::new(None) };
}

fn at_the_end_of_this_thread(f: impl FnOnce() + 'static) {
    LAST.set(Some(OnDrop(Some(Box::new(f)))));
}

#[test]
fn sockets_are_used_in_a_destructor_of_a_thread_local() {
    on_each(|rt| {
        for first in [true, false] {
            let (ours, mut theirs) = rt.block_on(pair());
            let (tell, told) = mpsc::channel();
            let handle = rt.handle().clone();
            thread::spawn(move || {
                let use_it = move || {
                    let std = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
                    assert!(TcpListener::from_std(std).is_err(), "no runtime is here");
                    assert!(ours.try_read(&mut [0; 8]).is_err());
                    let read = future::block_on(once((&ours).read(&mut [0; 8])));
                    assert!(read.is_none());
                    let connect = future::block_on(TcpStream::connect("127.0.0.1:1"));
                    assert!(connect.is_err());
                    tell.send(ours).expect("it listens");
                };
                let enter = || {
                    let _entered = handle.enter();
                    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
                    UdpSocket::from_std(socket).expect("a runtime is here")
                };
                // What the crate has for the thread comes before, or after.
                let socket = first.then(&enter);
                at_the_end_of_this_thread(use_it);
                drop((socket, enter()));
            })
            .join()
            .expect("no panic");
            let ours = told.recv().expect("it was run");
            theirs.write_all(b"x").expect("open");
            rt.block_on((&ours).read_exact(&mut [0])).expect("open");
        }
    });
}

/// A waker whose drop panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("the drop of a waker");
    }
}

fn poll_read(mut stream: &TcpStream, waker: &Waker) -> Poll<std::io::Result<usize>> {
    Pin::new(&mut stream).poll_read(&mut Context::from_waker(waker), &mut [0; 1])
}

#[test]
fn a_waker_whose_drop_panics_harms_nobody_else() {
    on_each(|rt| {
        rt.block_on(async {
            for way in 0..5 {
                let (ours, mut theirs) = pair().await;
                let other = ours.clone();
                // The socket has the only reference to it.
                assert!(poll_read(&other, &Arc::new(Panics).into()).is_pending());
                let waits = ours.clone();
                let task = spawn(async move { (&waits).read(&mut [0; 1]).await });
                yield_now().await;
                match way {
                    0 => drop(other),
                    1 => theirs.shutdown(Shutdown::Write).expect("open"),
                    2 => assert!(other.into_std().is_err()),
                    3 => {
                        // Too many, so all of this handle go.
                        for _ in 0..40 {
                            let waker = Arc::new(OnWake(Mutex::new(None))).into();
                            assert!(poll_read(&other, &waker).is_pending());
                        }
                    }
                    _ => {}
                }
                if way != 1 {
                    theirs.write_all(b"x").expect("open");
                }
                let read = task.await.expect("no panic").expect("open");
                assert_eq!(read, usize::from(way != 1));
            }
        });
    });
}

/// Notes that it was woken, and wakes the waker that it has by then.
struct OnWake(Mutex<Option<Waker>>);

impl Wake for OnWake {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.0.lock().unwrap().take() {
            waker.wake();
        }
    }
}

/// One future of a set, and whether it was woken since its last poll.
struct Member<T> {
    future: Boxed<T>,
    flag: Arc<Flag>,
}

struct Flag {
    is_woken: AtomicUsize,
    outer: Mutex<Option<Waker>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(1, Ordering::SeqCst);
        if let Some(outer) = self.outer.lock().unwrap().take() {
            outer.wake();
        }
    }
}

/// Drives all of them, and polls only what was woken, with one waker each. Returns the number of polls.
async fn all_of<T>(futures: Vec<Boxed<T>>, mut each: impl FnMut(T)) -> usize {
    let member = |future| {
        let (is_woken, outer) = (AtomicUsize::new(1), Mutex::new(None));
        let flag = Arc::new(Flag { is_woken, outer });
        Member { future, flag }
    };
    let mut members: Vec<_> = futures.into_iter().map(member).collect();
    let mut polls = 0;
    poll_fn(|cx| {
        members.retain_mut(|Member { future, flag }| {
            *flag.outer.lock().unwrap() = Some(cx.waker().clone());
            if flag.is_woken.swap(0, Ordering::SeqCst) == 0 {
                return true;
            }
            polls += 1;
            let waker = Waker::from(flag.clone());
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(done) => each(done),
                Poll::Pending => return true,
            }
            false
        });
        if members.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    polls
}

#[test]
fn a_set_that_polls_only_what_was_woken_reads_all_of_one_stream() {
    const READERS: usize = 30;
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let ours = Arc::new(ours);
            let read = |_| {
                let ours = ours.clone();
                let read = async move { (&*ours).read(&mut [0; 1]).await };
                Box::pin(read) as Boxed<_>
            };
            let readers: Vec<_> = (0..READERS).map(read).collect();
            let writer = thread::spawn(move || {
                for _ in 0..READERS {
                    theirs.write_all(b"x").expect("open");
                    thread::yield_now();
                }
                theirs
            });
            let mut bytes = 0;
            all_of(readers, |read: std::io::Result<usize>| {
                bytes += read.expect("open")
            })
            .await;
            assert_eq!(bytes, READERS);
            drop(writer.join().expect("no panic"));
        });
    });
}

#[test]
fn a_set_that_polls_only_what_was_woken_drives_both_ends() {
    on_each(|rt| {
        rt.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let address = listener.local_addr().expect("bound");
            let listener = Arc::new(listener);
            let mut both: Vec<Boxed<()>> = Vec::new();
            for _ in 0..20 {
                let listener = listener.clone();
                both.push(Box::pin(async move {
                    let (mut stream, _) = listener.accept().await.expect("accepted");
                    let mut text = [0; 4];
                    stream.read_exact(&mut text).await.expect("open");
                    stream.write_all(&text).await.expect("open");
                }));
                both.push(Box::pin(async move {
                    let mut stream = TcpStream::connect(address).await.expect("listening");
                    stream.write_all(b"ping").await.expect("open");
                    let mut text = [0; 4];
                    stream.read_exact(&mut text).await.expect("open");
                    assert_eq!(&text, b"ping");
                }));
            }
            let polls = all_of(both, |()| ()).await;
            assert!(polls < 4_000, "{polls} polls of 40 futures");
        });
    });
}

#[test]
fn halves_are_dropped_in_any_order() {
    on_each(|rt| {
        rt.block_on(async {
            for reader_first in [true, false] {
                let (reader, mut theirs) = pair().await;
                let writer = reader.clone();
                let read = reader.clone();
                let task = spawn(async move { (&read).read(&mut [0; 8]).await });
                yield_now().await;
                let block = vec![7; 1 << 16];
                while once((&writer).write(&block)).await.is_some() {}
                let left = if reader_first {
                    drop(reader);
                    writer
                } else {
                    drop(writer);
                    reader
                };
                theirs.write_all(b"x").expect("open");
                assert_eq!(task.await.expect("no panic").expect("open"), 1);
                theirs.write_all(b"y").expect("open");
                assert_eq!((&left).read(&mut [0; 8]).await.expect("open"), 1);
                let drain = thread::spawn(move || {
                    let mut bytes = Vec::new();
                    theirs.read_to_end(&mut bytes).expect("open");
                });
                (&left).write_all(&block).await.expect("open");
                drop(left);
                drain.join().expect("no panic");
            }
        });
    });
}

#[test]
fn our_own_shutdown_ends_a_read_and_a_write_that_wait() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, _theirs) = pair().await;
            let (reads, writes) = (ours.clone(), ours.clone());
            let reader = spawn(async move { (&reads).read(&mut [0; 8]).await });
            let writer = spawn(async move {
                let block = vec![7; 1 << 16];
                loop {
                    if let Err(error) = (&writes).write(&block).await {
                        break error;
                    }
                }
            });
            while once(ours.writable()).await.is_some() {
                yield_now().await;
            }
            ours.shutdown(Shutdown::Both).expect("open");
            assert_eq!(reader.await.expect("no panic").expect("the end"), 0);
            let error = writer.await.expect("no panic");
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn datagrams_of_no_bytes_and_without_room_for_theirs() {
    on_each(|rt| {
        rt.block_on(async {
            let ours = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
            let here = ours.local_addr().expect("bound");
            ours.connect(here).await.expect("to itself");
            let (one, other) = UnixDatagram::pair().expect("a pair");
            for _ in 0..3 {
                for sent in [&b""[..], b"0123456789", b"!"] {
                    ours.send(sent).await.expect("sent");
                    one.send(sent).await.expect("sent");
                }
                let mut small = [0; 4];
                assert_eq!(ours.peek(&mut small).await.expect("there"), 0);
                assert_eq!(ours.recv(&mut small).await.expect("there"), 0);
                assert_eq!(other.recv(&mut small).await.expect("there"), 0);
                assert_eq!(ours.recv(&mut small).await.expect("there"), 4);
                assert_eq!(other.recv(&mut small).await.expect("there"), 4);
                assert_eq!(&small, b"0123");
                // Nothing of what was cut off, and no room for what comes next.
                assert_eq!(ours.recv(&mut []).await.expect("there"), 0);
                assert_eq!(other.recv(&mut []).await.expect("there"), 0);
                assert!(once(ours.recv(&mut small)).await.is_none());
                assert!(once(other.recv(&mut small)).await.is_none());
            }
        });
    });
}

#[test]
fn slices_without_bytes_are_passed_over() {
    on_each(|rt| {
        rt.block_on(async {
            let (mut ours, mut theirs) = pair().await;
            let (none, some) = (IoSlice::new(b""), IoSlice::new(b"x"));
            assert_eq!(ours.write_vectored(&[]).await.expect("open"), 0);
            assert_eq!(ours.write_vectored(&[none, none]).await.expect("open"), 0);
            let slices = [none, some, none, some];
            assert_eq!(ours.write_vectored(&slices).await.expect("open"), 2);
            theirs.read_exact(&mut [0; 2]).expect("sent");
            assert_eq!(ours.read_vectored(&mut []).await.expect("open"), 0);
            let mut nothing = [IoSliceMut::new(&mut [])];
            assert_eq!(ours.read_vectored(&mut nothing).await.expect("open"), 0);
            theirs.write_all(b"abc").expect("open");
            let (mut a, mut b) = ([0; 1], [0; 1]);
            let mut slices = [&mut [][..], &mut a, &mut [], &mut b].map(IoSliceMut::new);
            ours.readable().await.expect("open");
            assert_eq!(ours.read_vectored(&mut slices).await.expect("open"), 2);
            assert_eq!(ours.read(&mut [0; 8]).await.expect("open"), 1);
        });
    });
}

#[cfg(unix)]
#[test]
fn ten_thousand_sockets_are_dropped_at_once() {
    crate::accept::in_a_child("odd::child_many_sockets", 12_000);
}

#[test]
#[ignore = "ten_thousand_sockets_are_dropped_at_once runs it in a process of its own"]
fn child_many_sockets() {
    for workers in 0..=2 {
        watchdog(move || {
            let rt = runtime(workers);
            let kept = rt.block_on(async {
                let mut kept = Vec::new();
                let mut tasks = Vec::new();
                for n in 0..10_000 {
                    let socket = UnixDatagram::unbound().expect("room for it");
                    let waits = socket.clone();
                    tasks.push(spawn(async move { waits.recv(&mut [0; 8]).await }));
                    if n % 10 == 0 {
                        kept.push(socket);
                    }
                }
                yield_now().await;
                for task in &tasks[..5_000] {
                    task.cancel();
                }
                kept
            });
            drop(rt);
            for socket in &kept {
                assert!(future::block_on(socket.recv(&mut [0; 8])).is_err());
            }
        });
    }
}
