//! One socket in the hands of several tasks.

use crate::peers::{all, assert_same, listener, on_each, pair, sequence};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::future::poll_fn;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use taskgrove::net::TcpStream;

use crate::common::Event;

/// Sets the event once the future has been polled and has to wait.
async fn announced<T>(waits: Event, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            waits.set();
        }
        polled
    })
    .await
}

#[test]
fn all_that_wait_for_one_event_are_woken() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let mut tasks = Vec::new();
            for n in 0..12 {
                let (stream, waits) = (ours.clone(), Event::new());
                let waiting = waits.clone();
                tasks.push(taskgrove::spawn(async move {
                    match n % 2 {
                        0 => announced(waits, stream.readable()).await.map(|()| 1),
                        _ => announced(waits, stream.peek(&mut [0; 4])).await,
                    }
                }));
                waiting.wait().await;
            }
            theirs.write_all(b"x").expect("sent");
            for task in tasks {
                assert_eq!(task.await.expect("no panic").expect("woken"), 1);
            }
            assert_eq!((&ours).read(&mut [0; 4]).await.expect("read"), 1);
        });
    });
}

#[test]
fn two_readers_of_one_socket_get_each_byte_once_and_both_see_the_end() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let reader = |stream: TcpStream| {
                taskgrove::spawn(async move {
                    let mut count = 0;
                    loop {
                        match (&stream).read(&mut [0; 13]).await.expect("read") {
                            0 => return count,
                            read => count += read,
                        }
                    }
                })
            };
            let readers: Vec<_> = (0..4).map(|_| reader(ours.clone())).collect();
            let writer = thread::spawn(move || {
                for part in sequence(50_000).chunks(97) {
                    theirs.write_all(part).expect("sent");
                }
            });
            let mut count = 0;
            for reader in readers {
                count += reader.await.expect("no panic");
            }
            assert_eq!(count, 50_000);
            writer.join().expect("no panic");
        });
    });
}

#[test]
fn a_reader_and_a_writer_use_one_socket_without_clones() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, theirs) = pair().await;
            let ours = Arc::new(ours);
            let mut echo = theirs.try_clone().expect("one more");
            let mut from = theirs;
            let echo = thread::spawn(move || {
                std::io::copy(&mut from, &mut echo).expect("copied");
                echo.shutdown(std::net::Shutdown::Write).expect("open");
            });
            let sent = sequence(1 << 20);
            let (writing, bytes) = (ours.clone(), sent.clone());
            let writer = taskgrove::spawn(async move {
                (&*writing).write_all(&bytes).await.expect("sent");
                writing.shutdown(std::net::Shutdown::Write).expect("open");
            });
            assert_same(&all(&ours).await, &sent);
            writer.await.expect("no panic");
            echo.join().expect("no panic");
        });
    });
}

#[test]
fn accepts_of_several_tasks_share_the_connections() {
    on_each(|rt| {
        rt.block_on(async {
            let listener = Arc::new(listener().await);
            let address = listener.local_addr().expect("bound");
            let accept = |_| {
                let listener = listener.clone();
                taskgrove::spawn(async move {
                    let accepted = listener.accept().await;
                    accepted.expect("accepted").1
                })
            };
            let tasks: Vec<_> = (0..8).map(accept).collect();
            taskgrove::yield_now().await;
            let clients: Vec<_> = (0..8)
                .map(|_| std::net::TcpStream::connect(address).expect("listening"))
                .collect();
            let mut expected: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
            let mut seen = Vec::new();
            for task in tasks {
                seen.push(task.await.expect("no panic"));
            }
            seen.sort();
            expected.sort();
            assert_eq!(seen, expected);
        });
    });
}

#[test]
fn a_future_that_moves_to_another_task_is_woken_there() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let mut read = Box::pin(async move { (&ours).read(&mut [0; 4]).await });
            assert!(futures_lite::future::poll_once(&mut read).await.is_none());
            let waits = Event::new();
            let waiting = waits.clone();
            let other = taskgrove::spawn(async move { announced(waits, read).await });
            waiting.wait().await;
            theirs.write_all(b"abcd").expect("sent");
            assert_eq!(other.await.expect("no panic").expect("read"), 4);
            poll_fn(|_| Poll::Ready(())).await;
        });
    });
}
