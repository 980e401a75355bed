//! Sockets outside a runtime, in another one, after theirs, and while it ends.

use crate::common::{Event, watchdog};
use crate::peers::{listener, on_each, pair, runtime};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use taskgrove::net::{TcpListener, TcpStream, UdpSocket};

/// The errors of sockets that have no runtime say so.
#[track_caller]
fn names_the_runtime<T>(result: std::io::Result<T>) {
    let Err(error) = result else {
        panic!("it did not fail")
    };
    assert!(error.to_string().contains("runtime"), "{error}");
}

#[test]
fn a_socket_is_made_inside_a_runtime_or_fails_and_says_so() {
    watchdog(|| {
        let std_listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = std_listener.local_addr().expect("bound");
        let std_stream = std::net::TcpStream::connect(address).expect("listening");
        names_the_runtime(TcpListener::from_std(std_listener));
        names_the_runtime(TcpStream::from_std(std_stream));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        names_the_runtime(UdpSocket::from_std(socket));
        names_the_runtime(futures_lite::future::block_on(TcpListener::bind(
            "127.0.0.1:0",
        )));
        names_the_runtime(futures_lite::future::block_on(TcpStream::connect(address)));
    });
}

#[test]
fn an_accept_outside_a_runtime_leaves_the_connection_where_it_is() {
    on_each(|rt| {
        let listener = rt.block_on(listener());
        let address = listener.local_addr().expect("bound");
        let mut theirs = std::net::TcpStream::connect(address).expect("listening");
        let accepted = thread::scope(|scope| {
            let accepts = scope.spawn(|| futures_lite::future::block_on(listener.accept()));
            rt.block_on(async {
                while !accepts.is_finished() {
                    taskgrove::yield_now().await;
                }
            });
            accepts.join().expect("no panic")
        });
        names_the_runtime(accepted);
        let (mut ours, _) = rt.block_on(listener.accept()).expect("it is still there");
        theirs.write_all(b"x").expect("open");
        rt.block_on(ours.read_exact(&mut [0])).expect("open");
    });
}

#[test]
fn in_a_simulation_a_socket_is_unsupported() {
    let error = taskgrove::sim::Sim::new(7).block_on(TcpListener::bind("127.0.0.1:0"));
    let error = error.expect_err("no network yet");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    // Without a lookup, which a simulation could not wait for.
    let error = taskgrove::sim::Sim::new(7).block_on(TcpStream::connect("localhost:1"));
    assert_eq!(
        error.expect_err("no sockets").kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn a_socket_works_in_another_runtime_while_its_own_lives() {
    for (home, abroad) in [(1, 0), (2, 2), (1, 1)] {
        watchdog(move || {
            let (home, abroad) = (runtime(home), runtime(abroad));
            let (ours, mut theirs) = home.block_on(pair());
            let echo = thread::spawn(move || {
                let mut buffer = [0; 1_000];
                while let Ok(read @ 1..) = theirs.read(&mut buffer) {
                    theirs.write_all(&buffer[..read]).expect("sent");
                }
            });
            let stream = ours.clone();
            abroad.block_on(async move {
                let task = taskgrove::spawn(async move {
                    for n in 0..200_u32 {
                        (&stream).write_all(&n.to_be_bytes()).await.expect("sent");
                        let mut back = [0; 4];
                        (&stream).read_exact(&mut back).await.expect("read");
                        assert_eq!(back, n.to_be_bytes());
                    }
                });
                task.await.expect("no panic");
            });
            drop(ours);
            echo.join().expect("no panic");
        });
    }
}

#[test]
fn after_its_runtime_every_operation_fails_and_none_hangs() {
    on_each(|other| {
        for workers in 0..=2 {
            let home = runtime(workers);
            let (ours, mut theirs) = home.block_on(pair());
            let (listener, udp) = home.block_on(async {
                let udp = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
                (listener().await, udp)
            });
            theirs
                .write_all(b"there is something to read")
                .expect("sent");
            drop(home);
            let address = listener.local_addr().expect("still open");
            let _waits = std::net::TcpStream::connect(address).expect("listening");
            other.block_on(async {
                names_the_runtime((&ours).read(&mut [0; 4]).await);
                names_the_runtime((&ours).write(b"x").await);
                names_the_runtime(ours.readable().await);
                names_the_runtime(ours.writable().await);
                names_the_runtime(ours.peek(&mut [0; 4]).await);
                names_the_runtime(ours.try_read(&mut [0; 4]));
                names_the_runtime(listener.accept().await);
                names_the_runtime(udp.recv(&mut [0; 4]).await);
                names_the_runtime(udp.send_to(b"x", address).await);
            });
            // The connection itself is alive, and goes on elsewhere.
            let mut std_stream = ours.into_std().expect("the only handle");
            std_stream.set_nonblocking(false).expect("open");
            let mut text = [0; 26];
            std_stream.read_exact(&mut text).expect("read");
            assert_eq!(&text, b"there is something to read");
            other.block_on(async {
                let again = TcpStream::from_std(std_stream).expect("a runtime is here");
                theirs.write_all(b"!").expect("sent");
                assert_eq!((&again).read(&mut [0; 4]).await.expect("read"), 1);
            });
        }
    });
}

#[test]
fn a_wait_in_another_runtime_ends_with_the_sockets_runtime() {
    for (workers, abroad) in [(0, 1), (1, 1), (2, 2)] {
        watchdog(move || {
            let (home, abroad) = (runtime(workers), runtime(abroad));
            let (ours, _theirs) = home.block_on(pair());
            let waits = Event::new();
            let waiting = waits.clone();
            let task = abroad.spawn(async move {
                let read = async { (&ours).read(&mut [0; 4]).await };
                crate::common::announced(waits, read).await
            });
            abroad.block_on(waiting.wait());
            drop(home);
            names_the_runtime(abroad.block_on(task).expect("no panic"));
        });
    }
}

/// A task may do all of it: the futures can be sent between threads, also with borrowed arguments.
#[test]
fn every_future_can_be_sent_to_another_thread() {
    fn sent<T: Send>(_: T) {}
    async fn streams(name: &str, stream: &TcpStream, bytes: &mut [u8]) {
        let _ = TcpStream::connect(name).await;
        let _ = TcpStream::connect((name, 80)).await;
        let _ = TcpListener::bind(&[std::net::SocketAddr::from(([127, 0, 0, 1], 0))][..]).await;
        let _ = (stream.readable().await, stream.writable().await);
        let _ = stream.peek(bytes).await;
        let mut stream = stream;
        let _ = (stream.read(bytes).await, stream.write(bytes).await);
    }
    async fn datagrams(name: &str, socket: &UdpSocket, bytes: &mut [u8]) {
        let _ = UdpSocket::bind(name).await;
        let _ = (socket.connect(name).await, socket.send(bytes).await);
        let _ = socket.send_to(bytes, name).await;
        let _ = (socket.recv(bytes).await, socket.readable().await);
        let _ = (socket.recv_from(bytes).await, socket.peek(bytes).await);
    }
    async fn owned(name: String) {
        let Ok(stream) = TcpStream::connect(&name).await else {
            return;
        };
        streams(&name, &stream, &mut [0]).await;
        if let Ok(socket) = UdpSocket::bind(name.clone()).await {
            datagrams(&name, &socket, &mut [0]).await;
        }
    }
    sent(owned(String::new()));
    #[cfg(unix)]
    {
        use taskgrove::net::{UnixDatagram, UnixListener, UnixStream};
        async fn unix(path: std::path::PathBuf, socket: UnixDatagram, listener: UnixListener) {
            let _ = (UnixStream::connect(&path).await, listener.accept().await);
            let _ = (
                socket.send_to(b"x", &path).await,
                socket.recv(&mut [0]).await,
            );
        }
        let _ = |a, b, c| sent(unix(a, b, c));
    }
}

/// Makes and drops connections until the runtime is gone; the socket calls may fail, nothing else may.
async fn make_sockets() {
    loop {
        let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else {
            return;
        };
        let Ok(address) = listener.local_addr() else {
            return;
        };
        let (Ok(stream), Ok(_)) = (TcpStream::connect(address).await, listener.accept().await)
        else {
            return;
        };
        // Sometimes the end comes in here.
        let _ = crate::peers::once((&stream).read(&mut [0])).await;
        taskgrove::yield_now().await;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_storm_of_registrations_against_the_shutdown_leaks_nothing() {
    crate::accept::in_a_child("runtimes::child_storm", 1_000);
}

/// Open descriptors of this process.
#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "a_storm_of_registrations_against_the_shutdown_leaks_nothing runs it in a process of its own"]
fn child_storm() {
    let before = descriptors();
    for round in 0..150 {
        watchdog(move || {
            let rt = runtime(round % 3);
            let handle = rt.handle().clone();
            let over = Arc::new(AtomicBool::new(false));
            let foreign: Vec<_> = (0..2)
                .map(|_| {
                    let (handle, over) = (handle.clone(), over.clone());
                    thread::spawn(move || {
                        while !over.load(Ordering::Relaxed) {
                            drop(handle.spawn(make_sockets()));
                            thread::yield_now();
                            if handle.metrics().live_tasks > 50 {
                                thread::sleep(std::time::Duration::from_micros(200));
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..4 {
                drop(rt.spawn(make_sockets()));
            }
            rt.block_on(async {
                // Without workers each of these runs all that is ready.
                for _ in 0..round / 10 {
                    taskgrove::yield_now().await;
                }
            });
            drop(rt);
            over.store(true, Ordering::Relaxed);
            foreign
                .into_iter()
                .for_each(|t| t.join().expect("no panic"));
        });
    }
    assert_eq!(descriptors(), before, "descriptors were left open");
}
