//! tokio-util's `CancellationToken`, which every task watches, and `TaskTracker`, which waits.

use super::{Counts, Supervisor, brief};
use crate::nodes::{Form, Live, Park, Place, Placed, breathe, parked, registered, wait};
use crate::raw::Tokio;
use futures::future::BoxFuture;
use std::future::pending;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub struct Tracker;

fn below(token: &CancellationToken, form: Form, place: Place) -> TaskTracker {
    fn node(token: CancellationToken, form: Form, place: Place) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _live = Placed::new(place);
            let below = below(&token, form, place);
            match form.park {
                Park::Pending => token.cancelled().await,
                Park::Waker => drop(token.run_until_cancelled(wait(Park::Waker)).await),
            }
            below.close();
            below.wait().await;
        })
    }
    let tracker = TaskTracker::new();
    for child in form.children(place) {
        tracker.spawn(node(token.child_token(), form, child));
    }
    tracker
}

impl Supervisor for Tracker {
    const NAME: &'static str = "token + TaskTracker";
    const LEAVES_FIRST: bool = true;
    type Host = Tokio;
    type Tree = (CancellationToken, TaskTracker);

    async fn grow(form: Form) -> Self::Tree {
        let token = CancellationToken::new();
        if !form.is_wide() {
            let tracker = below(&token, form, form.root());
            return (token, tracker);
        }
        let tracker = TaskTracker::new();
        for i in 0..form.fan_out() {
            let token = token.clone();
            match form.park {
                Park::Pending => drop(tracker.spawn(async move {
                    token.run_until_cancelled_owned(parked()).await;
                })),
                Park::Waker => drop(tracker.spawn(async move {
                    token.run_until_cancelled_owned(registered()).await;
                })),
            }
            breathe(i).await;
        }
        (token, tracker)
    }

    async fn end((token, tracker): Self::Tree) {
        token.cancel();
        tracker.close();
        tracker.wait().await;
    }

    async fn spawn(count: usize) {
        let token = CancellationToken::new();
        let tracker = TaskTracker::new();
        for _ in 0..count {
            let token = token.clone();
            tracker.spawn(async move {
                token.run_until_cancelled_owned(brief()).await;
            });
        }
        tracker.close();
        tracker.wait().await;
    }

    async fn cycle(count: usize) -> Duration {
        let root = CancellationToken::new();
        let began = Instant::now();
        for _ in 0..count {
            let live = Live::new();
            let token = root.child_token();
            let tracker = TaskTracker::new();
            let watched = token.clone();
            tracker.spawn(async move {
                let _live = live;
                watched.run_until_cancelled(pending::<()>()).await;
            });
            token.cancel();
            tracker.close();
            tracker.wait().await;
            assert!(tracker.is_empty());
        }
        began.elapsed()
    }
}

impl Counts for Tracker {
    const LOOKS: usize = 100_000;

    fn count((_, tracker): &Self::Tree) -> usize {
        tracker.len()
    }
}
