//! A socket has nothing of the one whose registration it uses again.

use crate::common::watchdog;
use crate::peers::{once, pair, runtime};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::future::poll_fn;
use std::io::Write;
use std::pin::pin;
use std::thread;
use std::time::Duration;

#[test]
fn events_of_a_socket_that_is_gone_do_not_reach_its_successor() {
    for workers in 0..=2 {
        watchdog(move || {
            runtime(workers).block_on(async {
                for n in 0..400 {
                    let (old, mut its_peer) = pair().await;
                    // While this end is dropped, the other one makes all the events that there are.
                    let peer = thread::spawn(move || {
                        let _ = its_peer.write_all(b"late");
                        if n % 2 == 0 {
                            let _ = its_peer.shutdown(std::net::Shutdown::Both);
                        }
                    });
                    if n % 3 == 0 {
                        taskgrove::yield_now().await;
                    }
                    drop(old);
                    let (new, mut peer_of_new) = pair().await;
                    assert!(once((&new).read(&mut [0; 8])).await.is_none(), "silent");
                    peer.join().expect("no panic");
                    assert!(once((&new).read(&mut [0; 8])).await.is_none(), "silent");
                    peer_of_new.write_all(b"mine").expect("sent");
                    let mut got = [0; 8];
                    let read = (&new).read(&mut got).await.expect("read");
                    assert_eq!(&got[..read], b"mine");
                    (&new).write_all(b"answer").await.expect("sent");
                }
            });
        });
    }
}

#[test]
fn a_silent_socket_is_polled_for_its_own_events_only() {
    watchdog(|| {
        runtime(2).block_on(async {
            let mut polls = Vec::new();
            for _ in 0..50 {
                let (old, its_peer) = pair().await;
                drop((old, its_peer));
                let (silent, peer_of_silent) = pair().await;
                polls.push(taskgrove::spawn(async move {
                    let mut polls = 0_u32;
                    let mut buffer = [0; 4];
                    let mut reader = &silent;
                    let mut read = pin!(reader.read(&mut buffer));
                    let read = poll_fn(|cx| {
                        polls += 1;
                        read.as_mut().poll(cx)
                    });
                    let over = taskgrove::time::timeout(Duration::from_millis(100), read).await;
                    assert!(over.is_err(), "nobody has sent anything");
                    drop(peer_of_silent);
                    polls
                }));
            }
            for task in polls {
                let polls = task.await.expect("no panic");
                // Its first poll, that of the timeout, and wake-ups of stale wakers, of which each socket
                // before it left at most one.
                assert!(polls <= 4, "{polls} polls of a socket without events");
            }
        });
    });
}
