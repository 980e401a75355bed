//! Sockets of the Unix domain: streams under cancellation, queues that are full, datagrams, descriptors.

use crate::common::Rng;
use crate::peers::{assert_same, on_each, once, sequence};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use taskgrove::net::{Polled, UnixDatagram, UnixListener, UnixStream};

/// A path of a socket that nothing else uses, removed at the end.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("taskgrove-{}-{n}.sock", std::process::id());
        Place(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn streams_carry_every_byte_also_if_reads_are_dropped() {
    on_each(|rt| {
        rt.block_on(async {
            let place = Place::new();
            let listener = UnixListener::bind(&place.0).expect("bound");
            let sent = sequence(1 << 20);
            let (bytes, path) = (sent.clone(), place.0.clone());
            let peer = thread::spawn(move || {
                let mut stream = std::os::unix::net::UnixStream::connect(path).expect("connected");
                for part in bytes.chunks(3_333) {
                    stream.write_all(part).expect("sent");
                }
                stream.shutdown(std::net::Shutdown::Write).expect("open");
                let mut back = Vec::new();
                stream.read_to_end(&mut back).expect("read");
                back
            });
            let (stream, _) = listener.accept().await.expect("accepted");
            let mut random = Rng::new(0x5eed_0007);
            let (mut got, mut buffer) = (Vec::new(), [0; 4_096]);
            loop {
                let size = 1 + random.below(buffer.len());
                match once((&stream).read(&mut buffer[..size])).await {
                    Some(Ok(0)) => break,
                    Some(read) => got.extend_from_slice(&buffer[..read.expect("read")]),
                    None => taskgrove::yield_now().await,
                }
            }
            assert_same(&got, &sent);
            (&stream).write_all(&sent).await.expect("sent");
            drop(stream);
            assert_same(&peer.join().expect("no panic"), &sent);
        });
    });
}

#[test]
fn a_connect_waits_for_room_in_the_listeners_queue() {
    on_each(|rt| {
        rt.block_on(async {
            let place = Place::new();
            let listener = std::os::unix::net::UnixListener::bind(&place.0).expect("bound");
            // A queue of one or two: the system allows one more than this says.
            rustix::net::listen(&listener, 0).expect("listening");
            let mut connected = Vec::new();
            while let Some(stream) = once(UnixStream::connect(&place.0)).await {
                connected.push(stream.expect("room"));
            }
            assert!(!connected.is_empty());
            let path = place.0.clone();
            let waits = taskgrove::spawn(async move { UnixStream::connect(path).await });
            taskgrove::yield_now().await;
            let accept = |_| listener.accept().expect("one waits").0;
            let _accepted: Vec<_> = (0..connected.len()).map(accept).collect();
            waits.await.expect("no panic").expect("there is room now");
        });
    });
}

#[test]
fn datagrams_wait_for_a_receiver_with_a_full_queue() {
    on_each(|rt| {
        rt.block_on(async {
            let place = Place::new();
            let receiver = UnixDatagram::bind(&place.0).expect("bound");
            let one = UnixDatagram::unbound().expect("made");
            let other = UnixDatagram::unbound().expect("made");
            other.connect(&place.0).expect("connected");
            let path = place.0.clone();
            let to = taskgrove::spawn(async move {
                for n in 0..1_000_u32 {
                    one.send_to(&n.to_be_bytes(), &path).await.expect("sent");
                }
            });
            let connected = taskgrove::spawn(async move {
                for n in 1_000..2_000_u32 {
                    other.send(&n.to_be_bytes()).await.expect("sent");
                }
            });
            let (mut first, mut second) = (0, 1_000);
            while first < 1_000 || second < 2_000 {
                let mut bytes = [0; 4];
                assert_eq!(receiver.recv(&mut bytes).await.expect("received"), 4);
                // Those of one sender keep their order.
                let expected = match u32::from_be_bytes(bytes) {
                    ..1_000 => &mut first,
                    _ => &mut second,
                };
                assert_eq!(u32::from_be_bytes(bytes), *expected);
                *expected += 1;
            }
            to.await.expect("no panic");
            connected.await.expect("no panic");
        });
    });
}

#[test]
fn a_datagram_waits_for_a_full_receiver_on_a_thread_without_a_runtime() {
    on_each(|rt| {
        let place = Place::new();
        let _in_runtime = rt.enter();
        let receiver = UnixDatagram::bind(&place.0).expect("bound");
        let sender = UnixDatagram::unbound().expect("made");
        let path = place.0.clone();
        let sends = thread::spawn(move || {
            for n in 0..1_000_u32 {
                let bytes = n.to_be_bytes();
                let sent = sender.send_to(&bytes, &path);
                futures_lite::future::block_on(sent).expect("sent");
            }
        });
        rt.block_on(async {
            for n in 0..1_000_u32 {
                let mut bytes = [0; 4];
                assert_eq!(receiver.recv(&mut bytes).await.expect("received"), 4);
                assert_eq!(u32::from_be_bytes(bytes), n);
            }
        });
        sends.join().expect("no panic");
    });
}

#[test]
fn any_descriptor_that_can_be_waited_for_is_polled() {
    on_each(|rt| {
        rt.block_on(async {
            let (reader, mut writer) = std::io::pipe().expect("a pipe");
            let reader = Polled::new(reader).expect("it can be waited for");
            let task = taskgrove::spawn(async move {
                let mut got = Vec::new();
                loop {
                    let mut buffer = [0; 64];
                    let read = reader.read_with(|mut pipe| pipe.read(&mut buffer)).await;
                    match read.expect("read") {
                        0 => return got,
                        read => got.extend_from_slice(&buffer[..read]),
                    }
                }
            });
            let sent = sequence(10_000);
            for part in sent.chunks(100) {
                writer.write_all(part).expect("sent");
                taskgrove::yield_now().await;
            }
            drop(writer);
            assert_same(&task.await.expect("no panic"), &sent);
            if cfg!(mio_unsupported_force_poll_poll) {
                // poll(2) takes a regular file, and says that it is always ready.
                return;
            }
            let file = std::fs::File::open(std::env::current_exe().unwrap()).expect("there");
            assert!(Polled::new(file).is_err(), "a regular file is always ready");
        });
    });
}
