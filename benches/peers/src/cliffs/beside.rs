//! Chains of short tasks beside 20 tasks whose polls take 100 us.

use super::{By, Cliff, Took, cliff, drive};
use crate::latency::Crowd;
use crate::raw::{AsyncExecutor, GroveRoots, Raw, Tokio};
use futures::channel::{mpsc, oneshot};
use futures_lite::StreamExt;
use std::time::Duration;

const PIECE: Duration = Duration::from_micros(100);
const CROWD: usize = 20;
/// Runs of the chain, one after another.
const RUNS: usize = 5;

pub fn rows() -> Vec<Cliff> {
    let rows = vec![
        cliff!(hops_beside, "10 hops over channels"),
        cliff!(spawns_beside, "5 times spawn(..).await"),
        cliff!(asks_beside, "10 questions to an actor"),
        cliff!(join_beside, "8 tasks spawned and joined"),
    ];
    rows.into_iter().map(Cliff::without_cpu).collect()
}

/// Times `work`, a chain of short tasks that is run a few times, beside the crowd; a unit is one run.
fn beside<R: Raw, F>(work: impl Fn() -> F) -> Took
where
    F: Future<Output = ()> + Send + 'static,
{
    let crowd = Crowd::start::<R>(CROWD, PIECE);
    let mut sum = Took {
        wall: 0.0,
        cpu: 0.0,
    };
    for _ in 0..RUNS {
        let took = drive::<R, _>(RUNS, work());
        sum.wall += took.wall;
        sum.cpu += took.cpu;
    }
    crowd.end();
    sum
}

/// A message goes through a line of 10 tasks, each parked on a channel.
fn hops_beside<R: Raw>(_: By<R>) -> Took {
    const HOPS: usize = 10;
    beside::<R, _>(|| async {
        let (first, mut receiver) = oneshot::channel::<usize>();
        for _ in 0..HOPS {
            let (sender, next) = oneshot::channel();
            R::detach(R::spawn(async move {
                let hops = receiver.await.expect("a message");
                let _ = sender.send(hops + 1);
            }));
            receiver = next;
        }
        let _ = first.send(0);
        assert_eq!(receiver.await, Ok(HOPS));
    })
}

fn spawns_beside<R: Raw>(_: By<R>) -> Took {
    beside::<R, _>(|| async {
        for i in 0..5 {
            assert_eq!(R::spawn(async move { i }).await, i);
        }
    })
}

fn asks_beside<R: Raw>(_: By<R>) -> Took {
    beside::<R, _>(|| async {
        let (ask, mut asked) = mpsc::unbounded::<oneshot::Sender<usize>>();
        R::detach(R::spawn(async move {
            let mut count = 0;
            while let Some(answer) = asked.next().await {
                count += 1;
                let _ = answer.send(count);
            }
        }));
        for i in 1..=10 {
            let (answer, answered) = oneshot::channel();
            ask.unbounded_send(answer).expect("it listens");
            assert_eq!(answered.await, Ok(i));
        }
    })
}

fn join_beside<R: Raw>(_: By<R>) -> Took {
    beside::<R, _>(|| async {
        let tasks: Vec<_> = (0..8_usize).map(|i| R::spawn(async move { i })).collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, i);
        }
    })
}
