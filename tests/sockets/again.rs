//! Each wait of a socket ends, not only the first one: also after an error and after a hang-up.

use crate::peers::{listener, on_each, once, pair};
use futures_lite::AsyncReadExt;
use std::io::{ErrorKind, Read, Write};
use std::pin::pin;
use std::time::Duration;
use taskgrove::net::{Polled, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use taskgrove::{time, yield_now};

/// Waits with `wait`, and calls `tell` only when it waits. Then `take` takes all that there is, and no more, so
/// that no call to the system says that the next one would block.
async fn thrice<W: Future<Output = std::io::Result<()>>>(
    mut wait: impl FnMut() -> W,
    mut tell: impl FnMut(),
    mut take: impl AsyncFnMut(),
) {
    for _ in 0..3 {
        let mut waits = pin!(wait());
        while once(waits.as_mut()).await.is_some() {
            // What came before may still be believed in.
            waits.set(wait());
            yield_now().await;
        }
        tell();
        waits.await.expect("open");
        take().await;
    }
}

#[test]
fn each_wait_for_something_to_read_ends() {
    on_each(|rt| {
        rt.block_on(async {
            let (tcp, mut its_peer) = pair().await;
            let tell = || its_peer.write_all(b"x").expect("open");
            let take = async || assert_eq!(tcp.try_read(&mut [0]).expect("a byte"), 1);
            thrice(|| tcp.readable(), tell, take).await;

            let (unix, its_peer) = UnixStream::pair().expect("a pair");
            let tell = || assert_eq!(its_peer.try_write(b"x").expect("room"), 1);
            let take = async || assert_eq!(unix.try_read(&mut [0]).expect("a byte"), 1);
            thrice(|| unix.readable(), tell, take).await;

            let (unix, its_peer) = UnixDatagram::pair().expect("a pair");
            let tell = || assert_eq!(its_peer.try_send(b"x").expect("room"), 1);
            let take = async || assert_eq!(unix.try_recv(&mut [0]).expect("a byte"), 1);
            thrice(|| unix.readable(), tell, take).await;

            let udp = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
            let itself = udp.local_addr().expect("bound");
            let tell = || assert_eq!(udp.try_send_to(b"x", itself).expect("room"), 1);
            let take = async || assert_eq!(udp.try_recv(&mut [0]).expect("a byte"), 1);
            thrice(|| udp.readable(), tell, take).await;

            let (reader, mut writer) = std::io::pipe().expect("a pipe");
            let pipe = Polled::new(reader).expect("registered");
            let tell = || writer.write_all(b"x").expect("open");
            let take = async || {
                let read = pipe.read_with(|mut pipe| pipe.read(&mut [0])).await;
                assert_eq!(read.expect("a byte"), 1);
            };
            thrice(|| pipe.readable(), tell, take).await;
        });
    });
}

#[test]
fn each_wait_for_room_ends() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            for _ in 0..3 {
                let mut sent = 0;
                loop {
                    match ours.try_write(&[7; 1 << 16]) {
                        Ok(more) => sent += more,
                        // The system may move bytes on, and have room again.
                        Err(_) if once(ours.writable()).await.is_none() => break,
                        Err(_) => yield_now().await,
                    }
                }
                let mut waits = pin!(ours.writable());
                assert!(once(waits.as_mut()).await.is_none());
                theirs.read_exact(&mut vec![0; sent]).expect("it was sent");
                waits.await.expect("open");
            }
            let (mut reader, writer) = std::io::pipe().expect("a pipe");
            let pipe = Polled::new(writer).expect("registered");
            let fill = || pipe.write_with(|mut pipe| pipe.write(&[7; 4096]));
            for _ in 0..3 {
                let mut sent = fill().await.expect("open");
                while let Some(more) = once(fill()).await {
                    sent += more.expect("open");
                }
                let mut waits = pin!(fill());
                assert!(once(waits.as_mut()).await.is_none());
                let mut rest = vec![0; sent];
                reader.read_exact(&mut rest).expect("it was sent");
                let more = waits.await.expect("open");
                reader.read_exact(&mut rest[..more]).expect("it was sent");
            }
        });
    });
}

#[test]
fn a_socket_for_datagrams_waits_again_after_an_error() {
    on_each(|rt| {
        rt.block_on(async {
            let ours = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
            let here = ours.local_addr().expect("bound");
            let nobody = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
            let there = nobody.local_addr().expect("bound");
            drop(nobody);
            for _ in 0..3 {
                ours.connect(there).await.expect("connected");
                ours.send(b"anybody?").await.expect("sent");
                let error = ours.recv(&mut [0; 8]).await.expect_err("nobody is there");
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
                let somebody = std::net::UdpSocket::bind(there).expect("free again");
                let mut buffer = [0; 8];
                let mut receives = pin!(ours.recv(&mut buffer));
                assert!(once(receives.as_mut()).await.is_none());
                time::sleep(Duration::from_millis(1)).await;
                somebody.send_to(b"me", here).expect("sent");
                assert_eq!(receives.await.expect("received"), 2);
            }
        });
    });
}

/// A named pipe, removed at the end.
struct Fifo(std::path::PathBuf);

impl Fifo {
    fn new() -> Fifo {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("taskgrove-{}-{n}.fifo", std::process::id());
        let path = std::env::temp_dir().join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        Fifo(path)
    }

    fn open(&self) -> std::fs::File {
        // For both directions, so that it does not wait for the other side.
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&self.0);
        file.expect("there")
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_pipe_whose_writers_have_left_hears_the_next_one() {
    on_each(|rt| {
        rt.block_on(async {
            let fifo = Fifo::new();
            let keeps = fifo.open();
            let reader = std::fs::File::open(&fifo.0).expect("there");
            let reader = Polled::new(reader).expect("registered");
            drop(keeps);
            let read = async || {
                let mut bytes = [0; 4];
                let read = reader.read_with(|mut pipe| pipe.read(&mut bytes)).await;
                read.expect("read")
            };
            for _ in 0..3 {
                let mut writer = fifo.open();
                let mut reads = pin!(read());
                assert!(once(reads.as_mut()).await.is_none());
                writer.write_all(b"x").expect("open");
                assert_eq!(reads.await, 1);
                drop(writer);
                // All have left, and each read says so.
                assert_eq!(read().await, 0);
                assert_eq!(read().await, 0);
            }
        });
    });
}

#[test]
fn connections_are_made_and_refused_in_turns() {
    on_each(|rt| {
        rt.block_on(async {
            for _ in 0..20 {
                let listener = listener().await;
                let address = listener.local_addr().expect("bound");
                let mut ours = TcpStream::connect(address).await.expect("connected");
                drop(listener.accept().await.expect("accepted"));
                assert_eq!(ours.read(&mut [0]).await.expect("the end"), 0);
                drop(listener);
                let refused = TcpStream::connect(address).await.expect_err("gone");
                assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            }
        });
    });
}
