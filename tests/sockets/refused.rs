//! What cannot be made leaves nothing behind: no file, no connection, no descriptor.

use crate::accept::{in_a_child, take_all_descriptors};
use crate::common::{Event, watchdog};
use crate::peers::{on_each, once, runtime};
use crate::unix::Place;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use taskgrove::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use taskgrove::{spawn, time, yield_now};

#[test]
fn outside_a_runtime_no_file_is_left_and_no_connection_is_made() {
    watchdog(|| {
        let place = Place::new();
        let address = std::os::unix::net::SocketAddr::from_pathname(&place.0).expect("short");
        let outside = || {
            assert!(UnixListener::bind(&place.0).is_err());
            assert!(UnixListener::bind_addr(&address).is_err());
            assert!(UnixDatagram::bind(&place.0).is_err());
            assert!(UnixDatagram::bind_addr(&address).is_err());
        };
        outside();
        taskgrove::sim::Sim::new(1).block_on(async { outside() });
        assert!(!place.0.exists(), "the next bind would fail");

        let listener = std::os::unix::net::UnixListener::bind(&place.0).expect("bound");
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = tcp.local_addr().expect("bound");
        let connect = async || {
            assert!(UnixStream::connect(&place.0).await.is_err());
            assert!(TcpStream::connect(address).await.is_err());
        };
        future::block_on(connect());
        taskgrove::sim::Sim::new(1).block_on(connect());
        listener.set_nonblocking(true).expect("a socket");
        tcp.set_nonblocking(true).expect("a socket");
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(tcp.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// A listener whose queue is full: who connects to it hears nothing.
struct Blackhole {
    address: SocketAddr,
    _listener: std::net::TcpListener,
    _waiting: Vec<std::net::TcpStream>,
}

impl Blackhole {
    fn new() -> Blackhole {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        rustix::net::listen(&listener, 0).expect("listening");
        let address = listener.local_addr().expect("bound");
        let connect = || {
            let timeout = Duration::from_millis(200);
            std::net::TcpStream::connect_timeout(&address, timeout).ok()
        };
        let waiting = std::iter::from_fn(connect).collect();
        Blackhole {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

#[test]
fn a_connect_that_hears_nothing_is_given_up_by_a_timeout_and_by_a_drop() {
    on_each(|rt| {
        let hole = Blackhole::new();
        let address = hole.address;
        rt.block_on(async {
            let limit = Duration::from_millis(20);
            let connected = time::timeout(limit, TcpStream::connect(address)).await;
            assert!(connected.is_err());
            for _ in 0..10 {
                assert!(once(TcpStream::connect(address)).await.is_none());
            }
            let task = spawn(TcpStream::connect(address));
            yield_now().await;
            task.cancel();
            assert!(task.await.expect_err("cancelled").is_cancelled());
            // Its registration is used again, by a socket that is not bothered.
            let here = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
            assert!(once(here.recv(&mut [0; 8])).await.is_none());
        });
    });
}

#[test]
fn a_first_socket_without_descriptors_fails_and_works_later() {
    in_a_child("refused::child_first_socket", 40);
}

#[test]
#[ignore = "a_first_socket_without_descriptors_fails_and_works_later runs it in a process of its own"]
fn child_first_socket() {
    on_each(|rt| {
        rt.block_on(async {
            // From no descriptor that is left to enough for all that the first socket needs.
            for left in 0..6 {
                let other = runtime(1);
                let mut taken = take_all_descriptors();
                taken.truncate(taken.len() - left);
                for _ in 0..3 {
                    let bound = other.block_on(async { UnixDatagram::unbound() });
                    let Err(error) = bound else { continue };
                    assert_eq!(error.raw_os_error(), Some(24), "{error}");
                }
                drop(taken);
                other.block_on(async {
                    let (one, there) = UnixDatagram::pair().expect("there is room now");
                    let task = spawn(async move { there.recv(&mut [0; 8]).await });
                    yield_now().await;
                    one.send(b"x").await.expect("sent");
                    assert_eq!(task.await.expect("no panic").expect("open"), 1);
                });
            }
        });
    });
}

#[test]
fn names_of_the_unix_domain_may_be_abstract_and_may_not_be_long() {
    on_each(|rt| {
        rt.block_on(async {
            let long = "x".repeat(200);
            for error in [
                UnixListener::bind(&long).unwrap_err(),
                UnixDatagram::bind(&long).unwrap_err(),
                UnixStream::connect(&long).await.unwrap_err(),
                UnixStream::connect("a\0b").await.unwrap_err(),
                UnixDatagram::unbound()
                    .expect("made")
                    .connect(&long)
                    .unwrap_err(),
                UnixDatagram::unbound()
                    .expect("made")
                    .send_to(b"x", &long)
                    .await
                    .unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            }
            #[cfg(target_os = "linux")]
            {
                use std::os::linux::net::SocketAddrExt;
                use std::os::unix::net::SocketAddr;
                let name = format!(
                    "taskgrove-{}-\0-{:?}",
                    std::process::id(),
                    std::thread::current().id()
                );
                let name = SocketAddr::from_abstract_name(name).expect("a name");
                let listener = UnixListener::bind_addr(&name).expect("bound");
                let again = UnixListener::bind_addr(&name).unwrap_err();
                assert_eq!(again.kind(), ErrorKind::AddrInUse);
                let mut ours = UnixStream::connect_addr(&name).await.expect("listening");
                let (mut theirs, _) = listener.accept().await.expect("accepted");
                assert_eq!(
                    ours.peer_addr().expect("open").as_abstract_name(),
                    name.as_abstract_name()
                );
                ours.write_all(b"x").await.expect("open");
                theirs.read_exact(&mut [0]).await.expect("open");
                drop(listener);
                let gone = UnixStream::connect_addr(&name).await.unwrap_err();
                assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
            }
        });
    });
}

#[test]
fn a_thread_whose_runtime_has_ended_is_told_so() {
    on_each(|rt| {
        let place = Place::new();
        let listener = std::os::unix::net::UnixListener::bind(&place.0).expect("bound");
        rustix::net::listen(&listener, 0).expect("listening");
        let mut waiting = Vec::new();
        rt.block_on(async {
            while let Some(stream) = once(UnixStream::connect(&place.0)).await {
                waiting.push(stream.expect("room"));
            }
        });
        let gone = runtime(1);
        let handle = gone.handle().clone();
        let entered = handle.enter();
        let mut waits = std::pin::pin!(UnixStream::connect(&place.0));
        assert!(future::block_on(once(waits.as_mut())).is_none());
        drop(gone);
        assert!(future::block_on(waits).is_err(), "it does not try for ever");
        assert!(future::block_on(UnixStream::connect(&place.0)).is_err());
        assert!(future::block_on(TcpListener::bind("127.0.0.1:0")).is_err());
        drop(entered);
    });
}

#[test]
fn a_datagram_that_waits_on_a_thread_whose_runtime_has_ended_does_not_spin() {
    on_each(|rt| {
        let place = Place::new();
        let (_receiver, sender) = rt.block_on(async {
            let receiver = UnixDatagram::bind(&place.0).expect("bound");
            (receiver, UnixDatagram::unbound().expect("made"))
        });
        let gone = runtime(1);
        let handle = gone.handle().clone();
        let _entered = handle.enter();
        drop(gone);
        let mut polls = 0;
        let mut send = std::pin::pin!(async {
            loop {
                sender.send_to(b"x", &place.0).await.expect("there");
            }
        });
        let over = Event::new();
        let tells = over.clone();
        let clock = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            tells.set();
        });
        future::block_on(future::or(
            std::future::poll_fn(|cx| {
                polls += 1;
                Future::poll(send.as_mut(), cx).map(|()| ())
            }),
            over.wait(),
        ));
        clock.join().expect("no panic");
        assert!(polls < 300, "{polls} polls in a tenth of a second");
    });
}
