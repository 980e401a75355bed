//! UDP sockets: each datagram once and whole, peers that are not there, and dropped waits.

use crate::peers::{on_each, once};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use taskgrove::net::UdpSocket;
use taskgrove::time;

async fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[test]
fn datagrams_come_whole_and_say_where_they_are_from() {
    on_each(|rt| {
        rt.block_on(async {
            let (one, one_at) = bound().await;
            let (other, other_at) = bound().await;
            for size in [0, 1, 63, 1_400, 9_000] {
                let bytes = vec![size as u8; size];
                assert_eq!(one.send_to(&bytes, other_at).await.expect("sent"), size);
                let mut buffer = vec![0; 10_000];
                let seen = other.peek_from(&mut buffer).await.expect("peeked");
                assert_eq!(seen, (size, one_at));
                let got = other.recv_from(&mut buffer).await.expect("received");
                assert_eq!(got, (size, one_at));
                assert_eq!(buffer[..size], bytes);
            }
        });
    });
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    on_each(|rt| {
        rt.block_on(async {
            let (one, one_at) = bound().await;
            let (other, other_at) = bound().await;
            let (stranger, _) = bound().await;
            one.connect(other_at).await.expect("connected");
            assert_eq!(one.peer_addr().expect("connected"), other_at);
            stranger.send_to(b"strange", one_at).await.expect("sent");
            other.send_to(b"known", one_at).await.expect("sent");
            let mut buffer = [0; 16];
            assert_eq!(one.recv(&mut buffer).await.expect("received"), 5);
            assert_eq!(&buffer[..5], b"known");
            assert_eq!(one.send(b"answer").await.expect("sent"), 6);
            assert_eq!(other.recv(&mut buffer).await.expect("received"), 6);
        });
    });
}

#[test]
fn a_datagram_to_nobody_is_an_error_once_and_the_socket_goes_on() {
    on_each(|rt| {
        rt.block_on(async {
            let (one, one_at) = bound().await;
            let nobody = bound().await.1;
            one.connect(nobody).await.expect("connected");
            one.send(b"anybody?").await.expect("sent");
            let error = one.recv(&mut [0; 8]).await.expect_err("nobody is there");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
            // The same socket receives from somebody who comes now.
            let somebody = std::net::UdpSocket::bind(nobody).expect("free again");
            somebody.send_to(b"me", one_at).expect("sent");
            assert_eq!(one.recv(&mut [0; 8]).await.expect("received"), 2);
        });
    });
}

#[test]
fn a_receive_that_is_dropped_loses_no_datagram() {
    const DATAGRAMS: u32 = 2_000;
    on_each(|rt| {
        rt.block_on(async {
            let (ours, address) = bound().await;
            let theirs = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
            theirs.connect(address).expect("connected");
            let sender = thread::spawn(move || {
                let mut ready = [0; 1];
                for n in 0..DATAGRAMS {
                    theirs.send(&n.to_be_bytes()).expect("sent");
                    if n % 50 == 49 {
                        // Not faster than they are received: the system drops what has no room.
                        theirs.recv(&mut ready).expect("received");
                    }
                }
            });
            let mut next = 0;
            let mut buffer = [0; 8];
            while next < DATAGRAMS {
                let received = match next % 3 {
                    0 => once(ours.recv_from(&mut buffer)).await,
                    1 => {
                        let receive = ours.recv_from(&mut buffer);
                        time::timeout(Duration::ZERO, receive).await.ok()
                    }
                    _ => {
                        let _ = once(ours.peek_from(&mut buffer)).await;
                        once(ours.recv_from(&mut buffer)).await
                    }
                };
                let Some(received) = received else {
                    taskgrove::yield_now().await;
                    continue;
                };
                let (length, from) = received.expect("received");
                assert_eq!(buffer[..length], u32::to_be_bytes(next));
                next += 1;
                if next % 50 == 0 {
                    ours.send_to(b"!", from).await.expect("sent");
                }
            }
            sender.join().expect("no panic");
        });
    });
}

#[test]
fn clones_send_and_receive_at_the_same_time() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, address) = bound().await;
            ours.connect(address).await.expect("to itself");
            let receiving = ours.clone();
            let receiver = taskgrove::spawn(async move {
                let mut sum = 0;
                for _ in 0..200 {
                    let mut byte = [0];
                    receiving.recv(&mut byte).await.expect("received");
                    sum += u32::from(byte[0]);
                }
                sum
            });
            for n in 0..200_u32 {
                ours.send(&[n as u8]).await.expect("sent");
                if n % 20 == 0 {
                    taskgrove::yield_now().await;
                }
            }
            assert_eq!(receiver.await.expect("no panic"), (0..200).sum());
        });
    });
}
