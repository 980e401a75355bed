//! Sockets: reading, writing, accepting, waiting from several tasks, and the end of their runtime.

#[path = "../common/mod.rs"]
mod common;
mod watch;

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::future::{or, zip};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::time::sleep;
use taskgrove::{Runtime, spawn, yield_now};

/// Calls `f` with runtimes of no, one and two workers.
#[track_caller]
fn on_each(f: impl AsyncFn() + Send + 'static) {
    common::watchdog(move || {
        for workers in [0, 1, 2] {
            let rt = Runtime::builder().workers(workers).build();
            rt.expect("a runtime").block_on(f());
        }
    });
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let (client, server) = zip(TcpStream::connect(address), listener.accept()).await;
    (client.expect("connected"), server.expect("accepted").0)
}

/// A stream whose other side a thread without a runtime has.
async fn with_std() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let here = TcpStream::connect(address).await.expect("connected");
    (here, listener.accept().expect("accepted").0)
}

#[test]
fn bytes_arrive_in_order_and_then_the_end() {
    on_each(async || {
        let (mut client, mut server) = pair().await;
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n / 3) as u8).collect();
        let expected = sent.clone();
        let writer = spawn(async move {
            for chunk in sent.chunks(77_777) {
                client.write_all(chunk).await?;
            }
            client.close().await
        });
        let mut read = Vec::new();
        server.read_to_end(&mut read).await.expect("the end");
        assert!(read == expected);
        writer.await.expect("a value").expect("written");
    });
}

#[test]
fn requests_and_answers_take_turns() {
    on_each(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let server = spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                drop(spawn(async move {
                    let mut buffer = [0; 1024];
                    loop {
                        match stream.read(&mut buffer).await.expect("read") {
                            0 => break,
                            n => stream.write_all(&buffer[..n]).await.expect("written"),
                        }
                    }
                }));
            }
        });
        let clients: Vec<_> = (0..20_u8)
            .map(|id| {
                spawn(async move {
                    let mut stream = TcpStream::connect(address).await.expect("connected");
                    for turn in 0..50_u8 {
                        let sent = [id, turn, id ^ turn];
                        stream.write_all(&sent).await.expect("written");
                        let mut read = [0; 3];
                        stream.read_exact(&mut read).await.expect("read");
                        assert_eq!(read, sent);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.expect("it is served");
        }
        server.cancel();
    });
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_not_lost() {
    on_each(async || {
        for _ in 0..50 {
            let (mut here, mut there) = with_std().await;
            there.write_all(b"last").expect("written");
            drop(there);
            // The event reports both, and a read that is not full clears what it reported.
            sleep(Duration::from_millis(1)).await;
            let mut buffer = [0; 64];
            assert_eq!(here.read(&mut buffer).await.expect("bytes"), 4);
            assert_eq!(here.read(&mut buffer).await.expect("the end"), 0);
            assert_eq!(here.read(&mut buffer).await.expect("the end"), 0);
        }
    });
}

#[test]
fn two_readers_and_a_writer_of_one_stream_do_not_disturb_each_other() {
    on_each(async || {
        let (here, mut there) = pair().await;
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let mut clone = here.clone();
                spawn(async move {
                    let mut byte = [0];
                    clone.read_exact(&mut byte).await.expect("a byte");
                    byte[0]
                })
            })
            .collect();
        let mut writer = here.clone();
        let writes = spawn(async move { writer.write_all(&vec![7; 3_000_000]).await });
        for _ in 0..10 {
            yield_now().await;
        }
        there.write_all(&[1, 2]).await.expect("written");
        let mut sum = 0;
        for reader in readers {
            sum += reader.await.expect("it is woken");
        }
        assert_eq!(sum, 3);
        let mut read = vec![0; 3_000_000];
        there.read_exact(&mut read).await.expect("all of it");
        writes.await.expect("a value").expect("written");
    });
}

/// Counts its wakes.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll_read(mut stream: &TcpStream, waker: &Waker) -> Poll<io::Result<usize>> {
    Pin::new(&mut stream).poll_read(&mut Context::from_waker(waker), &mut [0; 8])
}

#[test]
fn many_tasks_that_poll_one_handle_are_all_woken() {
    on_each(async || {
        let (here, mut there) = pair().await;
        let counters: [Arc<Counter>; 9] = std::array::from_fn(|_| Arc::default());
        for counter in &counters {
            assert!(poll_read(&here, &counter.clone().into()).is_pending());
        }
        there.write_all(b"x").await.expect("written");
        here.readable().await.expect("ready");
        let woken = || {
            counters
                .iter()
                .all(|counter| counter.0.load(Ordering::Relaxed) > 0)
        };
        while !woken() {
            yield_now().await;
        }
    });
}

#[test]
fn a_handle_that_is_dropped_and_a_wait_that_is_dropped_keep_no_waker() {
    on_each(async || {
        let (here, _there) = pair().await;
        let counter = Arc::<Counter>::default();
        let waker = counter.clone().into();
        let clone = here.clone();
        assert!(poll_read(&clone, &waker).is_pending());
        assert_eq!(Arc::strong_count(&counter), 3);
        drop(clone);
        assert_eq!(Arc::strong_count(&counter), 2);
        let mut wait = Box::pin(here.readable());
        let mut cx = Context::from_waker(&waker);
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        assert_eq!(Arc::strong_count(&counter), 3);
        drop(wait);
        assert_eq!(Arc::strong_count(&counter), 2);
        assert!(poll_read(&here, &waker).is_pending());
        drop(here);
        assert_eq!(Arc::strong_count(&counter), 2);
    });
}

#[test]
fn a_read_that_is_dropped_loses_nothing() {
    on_each(async || {
        let (mut here, mut there) = pair().await;
        for turn in 0..200_u8 {
            let read = async {
                let mut byte = [0];
                here.read_exact(&mut byte).await.expect("a byte");
                Some(byte[0])
            };
            let early = or(read, async {
                yield_now().await;
                None
            });
            assert_eq!(early.await, None, "nothing was written");
            there.write_all(&[turn]).await.expect("written");
            let mut byte = [0];
            here.read_exact(&mut byte).await.expect("a byte");
            assert_eq!(byte[0], turn);
        }
    });
}

#[test]
fn try_read_and_try_write_do_not_wait() {
    on_each(async || {
        let (here, mut there) = with_std().await;
        let mut buffer = [0; 8];
        let nothing = here.try_read(&mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        there.write_all(b"abc").expect("written");
        here.readable().await.expect("ready");
        assert_eq!(here.peek(&mut buffer).await.expect("bytes"), 3);
        assert_eq!(here.try_read(&mut buffer).expect("bytes"), 3);
        assert_eq!(&buffer[..3], b"abc");
        let mut written = 0;
        loop {
            match here.try_write(&[0; 65_536]) {
                Ok(n) => written += n,
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        let reads = std::thread::spawn(move || {
            let mut read = vec![0; written];
            there.read_exact(&mut read).expect("all of it");
            there
        });
        here.writable().await.expect("room");
        drop(reads.join().expect("no panic"));
    });
}

#[test]
fn slices_are_written_by_one_call() {
    on_each(async || {
        let (mut here, mut there) = pair().await;
        let slices = [
            IoSlice::new(b"head"),
            IoSlice::new(b""),
            IoSlice::new(b"body"),
        ];
        let written = poll_fn(|cx| Pin::new(&mut here).poll_write_vectored(cx, &slices));
        assert_eq!(written.await.expect("written"), 8);
        let mut read = [0; 8];
        there.read_exact(&mut read).await.expect("all of it");
        assert_eq!(&read, b"headbody");
        assert_eq!(here.read(&mut []).await.expect("nothing"), 0);
    });
}

#[test]
fn closing_tells_the_other_side() {
    on_each(async || {
        let (mut here, mut there) = pair().await;
        here.close().await.expect("closed");
        assert_eq!(there.read(&mut [0; 8]).await.expect("the end"), 0);
        there.write_all(b"still").await.expect("written");
        let mut read = [0; 5];
        here.read_exact(&mut read)
            .await
            .expect("the other half is open");
        there.shutdown(Shutdown::Both).expect("shut down");
        drop(there);
        assert_eq!(here.read(&mut read).await.expect("the end"), 0);
        here.close().await.expect("again");
    });
}

#[test]
fn a_connection_that_is_refused_is_an_error_and_the_next_address_is_tried() {
    on_each(async || {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let refused = gone.local_addr().expect("an address");
        drop(gone);
        let error = TcpStream::connect(refused).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::connect([refused, address]).await;
        assert_eq!(
            stream.expect("connected").peer_addr().expect("an address"),
            address
        );
        let none: &[SocketAddr] = &[];
        let error = TcpStream::connect(none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let taken = TcpListener::bind(address).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn names_are_looked_up() {
    on_each(async || {
        let listener = TcpListener::bind("localhost:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        assert!(address.ip().is_loopback());
        let client = TcpStream::connect(("localhost", address.port())).await;
        client.expect("connected");
        TcpStream::connect((String::from("127.0.0.1"), 1))
            .await
            .unwrap_err();
        let error = TcpStream::connect("no colon").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    });
}

#[test]
fn streams_of_the_standard_library_go_in_and_out() {
    on_each(async || {
        let (here, mut there) = with_std().await;
        let clone = here.clone();
        let busy = clone.into_std().unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::ResourceBusy);
        let mut std = here.into_std().expect("the only handle");
        std.set_nonblocking(false).expect("blocking");
        there.write_all(b"x").expect("written");
        std.read_exact(&mut [0]).expect("read");
        let again = TcpStream::from_std(std).expect("registered");
        there.write_all(b"y").expect("written");
        again.readable().await.expect("ready");
        assert_eq!(again.try_read(&mut [0; 8]).expect("read"), 1);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let listener = TcpListener::from_std(listener).expect("registered");
        let address = listener.local_addr().expect("an address");
        let (client, server) = zip(TcpStream::connect(address), listener.accept()).await;
        client.expect("connected");
        server.expect("accepted");
        listener.into_std().expect("a listener");
    });
}

#[test]
fn outside_a_runtime_and_in_a_simulation_there_are_no_sockets() {
    let bind = || std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let error = TcpListener::from_std(bind()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no taskgrove runtime here"),
        "{error}"
    );
    let sim = taskgrove::sim::Sim::new(1);
    let error = sim.block_on(async { TcpListener::bind("127.0.0.1:0").await.unwrap_err() });
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("simulation"), "{error}");
}

/// Says how the operation of a task ended that outlived the runtime of its socket.
fn ended<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.expect_err("the runtime has ended");
    assert!(error.to_string().contains("has ended"), "{error}");
}

#[test]
fn a_socket_that_outlives_its_runtime_fails_and_nothing_hangs() {
    for workers in [0, 1, 2] {
        let user = Runtime::builder().workers(1).build().expect("a runtime");
        let owner = Runtime::builder().workers(workers).build();
        let owner = owner.expect("a runtime");
        let (listener, (here, there)) = owner.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            (listener, pair().await)
        });
        let (waits, waiting) = mpsc::channel();
        let mut reader = here.clone();
        let task = user.spawn(async move {
            let (mut buffer, waits) = ([0; 8], Some(waits));
            let mut read = pin!(reader.read(&mut buffer));
            poll_fn(|cx| {
                let polled = read.as_mut().poll(cx);
                if let Some(waits) = &waits {
                    waits.send(()).ok();
                }
                polled
            })
            .await
        });
        waiting.recv().expect("it waits");
        drop(owner);
        ended(user.block_on(task).expect("it is woken"));
        user.block_on(async {
            ended(listener.accept().await);
            ended((&here).write(b"x").await);
            ended(there.readable().await);
            ended(there.try_read(&mut [0; 8]));
        });
        // What does not wait still works, and so does leaving.
        here.peer_addr().expect("an address");
        let std = there.into_std().expect("the only handle");
        user.block_on(async {
            let stream = TcpStream::from_std(std).expect("a new runtime");
            stream.writable().await.expect("room");
        });
    }
}

#[test]
fn a_runtime_with_sockets_and_tasks_at_them_can_be_dropped() {
    for workers in [0, 1, 2] {
        for _ in 0..20 {
            let rt = Runtime::builder()
                .workers(workers)
                .build()
                .expect("a runtime");
            rt.block_on(async {
                let (mut here, mut there) = pair().await;
                drop(spawn(async move { here.read(&mut [0; 8]).await }));
                drop(spawn(async move { there.read(&mut [0; 8]).await }));
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
                drop(spawn(async move { listener.accept().await }));
                yield_now().await;
            });
        }
    }
}

#[test]
fn a_cancelled_task_suspends_in_its_read_for_good() {
    on_each(async || {
        let (mut here, mut there) = pair().await;
        let task = spawn(async move { here.read(&mut [0; 8]).await });
        yield_now().await;
        task.cancel();
        there.write_all(b"x").await.expect("written");
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_socket_that_is_always_ready_lets_other_tasks_run() {
    let rt = Runtime::builder().workers(1).build().expect("a runtime");
    rt.block_on(async {
        let (here, there) = pair().await;
        there.writable().await.expect("room");
        let busy = spawn(async move {
            loop {
                there.writable().await.expect("room");
            }
        });
        spawn(async {}).await.expect("it gets its turn");
        busy.cancel();
        drop(here);
    });
}
