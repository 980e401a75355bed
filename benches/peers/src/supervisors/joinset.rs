//! tokio's `JoinSet`, nested for more than one level.

use super::{Counts, Supervisor, brief};
use crate::nodes::{Form, Live, Park, Place, Placed, breathe, parked, registered, wait};
use crate::raw::Tokio;
use futures::future::BoxFuture;
use std::future::pending;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

pub struct Set;

fn below(form: Form, place: Place) -> JoinSet<()> {
    fn node(form: Form, place: Place) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _live = Placed::new(place);
            let _below = below(form, place);
            wait(form.park).await;
        })
    }
    let mut set = JoinSet::new();
    for child in form.children(place) {
        set.spawn(node(form, child));
    }
    set
}

impl Supervisor for Set {
    const NAME: &'static str = "tokio JoinSet";
    const LEAVES_FIRST: bool = false;
    type Host = Tokio;
    type Tree = JoinSet<()>;

    async fn grow(form: Form) -> JoinSet<()> {
        if !form.is_wide() {
            return below(form, form.root());
        }
        let mut set = JoinSet::new();
        for i in 0..form.fan_out() {
            match form.park {
                Park::Pending => set.spawn(parked()),
                Park::Waker => set.spawn(registered()),
            };
            breathe(i).await;
        }
        set
    }

    async fn end(set: JoinSet<()>) {
        drop(set);
    }

    async fn spawn(count: usize) {
        let mut set = JoinSet::new();
        (0..count).for_each(|_| drop(set.spawn(brief())));
        while let Some(end) = set.join_next().await {
            end.expect("no child fails");
        }
    }

    async fn cycle(count: usize) -> Duration {
        let began = Instant::now();
        for _ in 0..count {
            let live = Live::new();
            let mut set = JoinSet::new();
            set.spawn(async move {
                let _live = live;
                pending::<()>().await;
            });
            set.shutdown().await;
            assert!(set.is_empty());
        }
        began.elapsed()
    }
}

impl Counts for Set {
    const LOOKS: usize = 100_000;

    fn count(set: &JoinSet<()>) -> usize {
        set.len()
    }
}
