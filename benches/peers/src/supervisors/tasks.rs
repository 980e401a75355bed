//! A `Vec` of async-executor's tasks: dropping one cancels it.

use super::{Supervisor, brief};
use crate::nodes::{Form, Live, Park, Place, Placed, breathe, parked, registered, wait};
use crate::raw::{AsyncExecutor, Raw};
use async_executor::Task;
use futures::future::BoxFuture;
use std::future::pending;
use std::time::{Duration, Instant};

pub struct Tasks;

fn below(form: Form, place: Place) -> Vec<Task<()>> {
    fn node(form: Form, place: Place) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _live = Placed::new(place);
            let _below = below(form, place);
            wait(form.park).await;
        })
    }
    let children = form.children(place);
    children
        .map(|child| AsyncExecutor::spawn(node(form, child)))
        .collect()
}

impl Supervisor for Tasks {
    const NAME: &'static str = "async-executor Vec<Task>";
    const LEAVES_FIRST: bool = false;
    type Host = AsyncExecutor;
    type Tree = Vec<Task<()>>;

    async fn grow(form: Form) -> Vec<Task<()>> {
        if !form.is_wide() {
            return below(form, form.root());
        }
        let mut tasks = Vec::with_capacity(form.fan_out());
        for i in 0..form.fan_out() {
            tasks.push(match form.park {
                Park::Pending => AsyncExecutor::spawn(parked()),
                Park::Waker => AsyncExecutor::spawn(registered()),
            });
            breathe(i).await;
        }
        tasks
    }

    async fn end(tasks: Vec<Task<()>>) {
        drop(tasks);
    }

    async fn spawn(count: usize) {
        let tasks: Vec<_> = (0..count).map(|_| AsyncExecutor::spawn(brief())).collect();
        for task in tasks {
            task.await;
        }
    }

    async fn cycle(count: usize) -> Duration {
        let began = Instant::now();
        for _ in 0..count {
            let live = Live::new();
            let task = AsyncExecutor::spawn(async move {
                let _live = live;
                pending::<()>().await;
            });
            assert!(task.cancel().await.is_none());
        }
        began.elapsed()
    }
}
