//! Waits that are dropped lose nothing: no byte, no connection, no datagram.

use crate::common::Rng;
use crate::peers::{assert_same, listener, on_each, once, pair, sequence};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::future::pending;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use taskgrove::net::UdpSocket;
use taskgrove::{finally, spawn, time, yield_now};

/// Sends bytes in pieces of many sizes, then closes.
fn send_in_pieces(
    mut to: std::net::TcpStream,
    bytes: Vec<u8>,
    seed: u64,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut random = Rng::new(seed);
        let mut left = &bytes[..];
        while !left.is_empty() {
            let size = 1 + random.below(left.len().min(3_000));
            to.write_all(&left[..size]).expect("sent");
            left = &left[size..];
        }
    })
}

#[test]
fn a_read_that_is_dropped_at_every_await_loses_no_byte() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, theirs) = pair().await;
            let sent = sequence(1 << 20);
            let writer = send_in_pieces(theirs, sent.clone(), 0x5eed_0001);
            let mut random = Rng::new(0x5eed_0002);
            let mut got = Vec::new();
            let mut buffer = [0; 2_048];
            loop {
                let size = 1 + random.below(buffer.len());
                let part = &mut buffer[..size];
                let read = match random.below(4) {
                    0 => once((&ours).read(part)).await,
                    1 => time::timeout(Duration::ZERO, (&ours).read(part)).await.ok(),
                    2 => {
                        let _ = once(ours.readable()).await;
                        once((&ours).read(part)).await
                    }
                    // Reads on after a look that takes nothing.
                    _ => match once(ours.peek(part)).await {
                        Some(Ok(seen)) => {
                            let peeked = part[..seen].to_vec();
                            let read = (&ours).read(part).await.expect("read");
                            assert_eq!(part[..read.min(seen)], peeked[..read.min(seen)]);
                            Some(Ok(read))
                        }
                        _ => None,
                    },
                };
                match read {
                    Some(Ok(0)) => break,
                    Some(read) => got.extend_from_slice(&buffer[..read.expect("read")]),
                    None => taskgrove::yield_now().await,
                }
            }
            writer.join().expect("no panic");
            assert_same(&got, &sent);
        });
    });
}

#[test]
fn a_task_that_is_cancelled_in_a_read_leaves_the_rest_to_the_next() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, theirs) = pair().await;
            let sent = sequence(400_000);
            let writer = send_in_pieces(theirs, sent.clone(), 0x5eed_0003);
            let got = Arc::new(Mutex::new((Vec::new(), false)));
            let mut random = Rng::new(0x5eed_0004);
            while !got.lock().unwrap().1 {
                let (stream, log) = (ours.clone(), got.clone());
                let reader = taskgrove::spawn(async move {
                    let mut buffer = [0; 777];
                    loop {
                        let read = (&stream).read(&mut buffer).await.expect("read");
                        let mut log = log.lock().unwrap();
                        log.0.extend_from_slice(&buffer[..read]);
                        log.1 |= read == 0;
                        if read == 0 {
                            break;
                        }
                    }
                });
                for _ in 0..random.below(20) {
                    taskgrove::yield_now().await;
                }
                reader.cancel();
                reader.wait_done().await;
            }
            writer.join().expect("no panic");
            assert_same(&got.lock().unwrap().0, &sent);
        });
    });
}

#[test]
fn a_write_that_is_dropped_has_written_nothing() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let sent = sequence(6 << 20);
            let reader = thread::spawn(move || {
                let mut random = Rng::new(0x5eed_0005);
                let (mut got, mut buffer) = (Vec::new(), vec![0; 50_000]);
                loop {
                    let size = 1 + random.below(buffer.len());
                    match theirs.read(&mut buffer[..size]).expect("read") {
                        0 => return got,
                        read => got.extend_from_slice(&buffer[..read]),
                    }
                }
            });
            let mut random = Rng::new(0x5eed_0006);
            let mut done = 0;
            while done < sent.len() {
                let left = &sent[done..];
                let size = 1 + random.below(left.len().min(100_000));
                match once((&ours).write(&left[..size])).await {
                    Some(written) => done += written.expect("sent"),
                    None => taskgrove::yield_now().await,
                }
            }
            drop(ours);
            assert_same(&reader.join().expect("no panic"), &sent);
        });
    });
}

#[test]
fn an_accept_that_is_dropped_loses_no_connection() {
    const CLIENTS: usize = 200;
    on_each(|rt| {
        rt.block_on(async {
            let listener = listener().await;
            let address = listener.local_addr().expect("bound");
            let clients = thread::spawn(move || {
                for n in 0..CLIENTS as u32 {
                    let mut stream = std::net::TcpStream::connect(address).expect("listening");
                    stream.write_all(&n.to_be_bytes()).expect("sent");
                }
            });
            let mut seen = Vec::new();
            while seen.len() < CLIENTS {
                match once(listener.accept()).await {
                    Some(accepted) => {
                        let mut number = [0; 4];
                        let (mut stream, _) = accepted.expect("accepted");
                        stream.read_exact(&mut number).await.expect("read");
                        seen.push(u32::from_be_bytes(number));
                    }
                    None => taskgrove::yield_now().await,
                }
            }
            clients.join().expect("no panic");
            seen.sort_unstable();
            assert_eq!(seen, (0..CLIENTS as u32).collect::<Vec<_>>());
        });
    });
}

#[test]
fn a_connect_that_is_dropped_leaves_nothing_behind() {
    on_each(|rt| {
        rt.block_on(async {
            let listener = listener().await;
            let address = listener.local_addr().expect("bound");
            for _ in 0..50 {
                let _ = once(taskgrove::net::TcpStream::connect(address)).await;
            }
            // Those that came through all the same are closed; the last one is the one that is kept.
            let ours = taskgrove::net::TcpStream::connect(address).await;
            let ours = ours.expect("connected");
            let local = ours.local_addr().expect("connected");
            loop {
                let (mut stream, peer) = listener.accept().await.expect("accepted");
                if peer == local {
                    break;
                }
                assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
            }
        });
    });
}

/// Loops over waits that are always over do not outrun the cancellation of their task, nor take the thread
/// that is to ask for it.
#[test]
fn no_loop_over_ready_sockets_outruns_a_cancellation() {
    on_each(|rt| {
        rt.block_on(async {
            for which in 0..5 {
                let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
                let own = socket.local_addr().expect("bound");
                socket.connect(own).await.expect("itself");
                socket.send(b"x").await.expect("sent");
                let (ours, _theirs) = pair().await;
                let (inside, started) = std::sync::mpsc::channel();
                let task = spawn(async move {
                    // The turn does not come before the child is done, which needs a thread.
                    spawn(finally(pending::<()>(), yield_now()));
                    loop {
                        match which {
                            0 => socket.readable().await.expect("open"),
                            1 => socket.writable().await.expect("open"),
                            2 => drop(socket.peek(&mut [0]).await.expect("open")),
                            3 => drop(socket.send(b"").await.expect("open")),
                            _ => ours.writable().await.expect("open"),
                        }
                        let _ = inside.send(());
                    }
                });
                while started.try_recv().is_err() {
                    yield_now().await;
                }
                task.cancel();
                task.wait_done().await;
            }
        });
    });
}
