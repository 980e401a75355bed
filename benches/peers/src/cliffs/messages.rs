//! Tasks that send each other messages, over the channels of `tokio::sync`, which need no runtime, and of
//! `async-channel`.

use super::{By, Cliff, Took, all, cliff, drive, join_all};
use crate::raw::{AsyncExecutor, GroveRoots, Raw, Tokio};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub fn rows() -> Vec<Cliff> {
    vec![
        cliff!(
            senders_bounded,
            "1,000 senders into one channel of 64; a message"
        ),
        cliff!(senders_64, "the same over async-channel"),
        cliff!(
            asks_64,
            "1,000 clients ask one actor over async-channel; a question"
        ),
        cliff!(senders_unbounded, "the same into an unbounded channel"),
        cliff!(asks, "1,000 clients ask one actor; a question"),
        cliff!(asks_alone, "one client asks one actor; a question"),
        cliff!(stream_of_1, "one sender, a channel of 1; a message"),
        cliff!(stream_of_64, "one sender, a channel of 64; a message"),
        cliff!(ring, "a token goes round 1,000 tasks; a hop"),
        cliff!(pairs, "two tasks play ping-pong; a round trip"),
        cliff!(many_pairs, "100 pairs play ping-pong; a round trip"),
        cliff!(pipeline, "10 stages with channels of 16; a message"),
        cliff!(broadcasts, "1,000 messages to 100 receivers; a delivery"),
        cliff!(watches, "1,000 values seen by 100 tasks; a change"),
    ]
}

fn senders_bounded<R: Raw>(_: By<R>) -> Took {
    const EACH: usize = 20;
    drive::<R, _>(1_000 * EACH, async {
        let (tx, mut rx) = mpsc::channel(64);
        for i in 0..1_000 {
            let tx = tx.clone();
            R::detach(R::spawn(async move {
                for _ in 0..EACH {
                    tx.send(i).await.expect("it listens");
                }
            }));
        }
        drop(tx);
        let mut count = 0;
        while rx.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 1_000 * EACH);
    })
}

fn senders_unbounded<R: Raw>(_: By<R>) -> Took {
    const EACH: usize = 20;
    drive::<R, _>(1_000 * EACH, async {
        let (tx, mut rx) = mpsc::unbounded_channel();
        for i in 0..1_000 {
            let tx = tx.clone();
            R::detach(R::spawn(async move {
                for _ in 0..EACH {
                    tx.send(i).expect("it listens");
                    crate::raw_work::yield_once().await;
                }
            }));
        }
        drop(tx);
        let mut count = 0;
        while rx.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 1_000 * EACH);
    })
}

fn ask_in<R: Raw>(clients: usize, each: usize) -> Took {
    drive::<R, _>(clients * each, async move {
        let (ask, mut asked) = mpsc::channel::<oneshot::Sender<usize>>(64);
        let actor = R::spawn(async move {
            let mut count = 0;
            while let Some(answer) = asked.recv().await {
                count += 1;
                let _ = answer.send(count);
            }
            assert_eq!(count, clients * each);
        });
        all::<R, _>(clients, |_| {
            let ask = ask.clone();
            async move {
                for _ in 0..each {
                    let (answer, answered) = oneshot::channel();
                    ask.send(answer).await.expect("it listens");
                    answered.await.expect("it answers");
                }
            }
        })
        .await;
        drop(ask);
        actor.await;
    })
}

/// As `senders_bounded`, over `async-channel`.
fn senders_64<R: Raw>(_: By<R>) -> Took {
    const EACH: usize = 20;
    drive::<R, _>(1_000 * EACH, async {
        let (tx, rx) = async_channel::bounded(64);
        for i in 0..1_000 {
            let tx = tx.clone();
            R::detach(R::spawn(async move {
                for _ in 0..EACH {
                    tx.send(i).await.expect("it listens");
                }
            }));
        }
        drop(tx);
        let mut count = 0;
        while rx.recv().await.is_ok() {
            count += 1;
        }
        assert_eq!(count, 1_000 * EACH);
    })
}

/// As `asks`, over `async-channel` and the oneshots of `futures`.
fn asks_64<R: Raw>(_: By<R>) -> Took {
    const EACH: usize = 10;
    drive::<R, _>(1_000 * EACH, async {
        let (ask, asked) = async_channel::bounded::<futures::channel::oneshot::Sender<usize>>(64);
        let actor = R::spawn(async move {
            let mut count = 0;
            while let Ok(answer) = asked.recv().await {
                count += 1;
                let _ = answer.send(count);
            }
        });
        all::<R, _>(1_000, |_| {
            let ask = ask.clone();
            async move {
                for _ in 0..EACH {
                    let (answer, answered) = futures::channel::oneshot::channel();
                    ask.send(answer).await.expect("it listens");
                    answered.await.expect("it answers");
                }
            }
        })
        .await;
        drop(ask);
        actor.await;
    })
}

fn asks<R: Raw>(_: By<R>) -> Took {
    ask_in::<R>(1_000, 10)
}

fn asks_alone<R: Raw>(_: By<R>) -> Took {
    ask_in::<R>(1, 5_000)
}

fn stream<R: Raw>(capacity: usize) -> Took {
    const MESSAGES: usize = 20_000;
    drive::<R, _>(MESSAGES, async move {
        let (tx, mut rx) = mpsc::channel(capacity);
        let sender = R::spawn(async move {
            for i in 0..MESSAGES {
                tx.send(i).await.expect("it listens");
            }
        });
        let mut count = 0;
        while rx.recv().await.is_some() {
            count += 1;
        }
        sender.await;
        assert_eq!(count, MESSAGES);
    })
}

fn stream_of_1<R: Raw>(_: By<R>) -> Took {
    stream::<R>(1)
}

fn stream_of_64<R: Raw>(_: By<R>) -> Took {
    stream::<R>(64)
}

fn ring<R: Raw>(_: By<R>) -> Took {
    const TASKS: usize = 1_000;
    const ROUNDS: usize = 10;
    drive::<R, _>(TASKS * ROUNDS, async {
        let (first, mut last) = mpsc::channel::<usize>(1);
        let mut tasks = Vec::new();
        for _ in 0..TASKS - 1 {
            let (tx, rx) = mpsc::channel(1);
            let mut before = std::mem::replace(&mut last, rx);
            tasks.push(R::spawn(async move {
                while let Some(token) = before.recv().await {
                    if tx.send(token + 1).await.is_err() {
                        break;
                    }
                }
            }));
        }
        for _ in 0..ROUNDS {
            first.send(0).await.expect("a ring");
            assert_eq!(last.recv().await, Some(TASKS - 1));
        }
        drop(first);
        join_all::<R>(tasks).await;
    })
}

async fn rally<R: Raw>(trips: usize) {
    let (ping, mut pinged) = mpsc::channel(1);
    let (pong, mut ponged) = mpsc::channel(1);
    let other = R::spawn(async move {
        while let Some(ball) = pinged.recv().await {
            let _ = pong.send(ball).await;
        }
    });
    for trip in 0..trips {
        ping.send(trip).await.expect("a partner");
        assert_eq!(ponged.recv().await, Some(trip));
    }
    drop(ping);
    other.await;
}

fn pairs<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, rally::<R>(10_000))
}

fn many_pairs<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, all::<R, _>(100, |_| rally::<R>(100)))
}

fn pipeline<R: Raw>(_: By<R>) -> Took {
    const MESSAGES: usize = 5_000;
    drive::<R, _>(MESSAGES, async {
        let (first, mut last) = mpsc::channel(16);
        let mut tasks = vec![R::spawn(async move {
            for i in 0..MESSAGES {
                first.send(i).await.expect("it listens");
            }
        })];
        for _ in 0..10 {
            let (tx, rx) = mpsc::channel(16);
            let mut before = std::mem::replace(&mut last, rx);
            tasks.push(R::spawn(async move {
                while let Some(message) = before.recv().await {
                    tx.send(message).await.expect("it listens");
                }
            }));
        }
        let mut count = 0;
        while last.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, MESSAGES);
        join_all::<R>(tasks).await;
    })
}

fn broadcasts<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(100_000, async {
        let (tx, _) = broadcast::channel(2_048);
        let tasks = (0..100).map(|_| {
            let mut rx = tx.subscribe();
            R::spawn(async move {
                let mut count = 0;
                while rx.recv().await.is_ok() {
                    count += 1;
                }
                assert_eq!(count, 1_000);
            })
        });
        let tasks: Vec<_> = tasks.collect();
        for i in 0..1_000 {
            tx.send(i).expect("they listen");
            if i % 10 == 0 {
                crate::raw_work::yield_once().await;
            }
        }
        drop(tx);
        join_all::<R>(tasks).await;
    })
}

fn watches<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(1_000, async {
        let (tx, rx) = watch::channel(0);
        let tasks = (0..100).map(|_| {
            let mut rx = rx.clone();
            R::spawn(async move { while rx.changed().await.is_ok() {} })
        });
        let tasks: Vec<_> = tasks.collect();
        for i in 1..=1_000 {
            tx.send(i).expect("they listen");
            crate::raw_work::yield_once().await;
        }
        drop((tx, rx));
        join_all::<R>(tasks).await;
    })
}
