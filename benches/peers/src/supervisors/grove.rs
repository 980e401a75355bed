//! taskgrove's services.

use super::{Counts, Supervisor, brief};
use crate::nodes::{Form, Live, Park, Place, Placed, breathe, parked, registered, wait};
use crate::raw::{GroveRoots, Raw, grove};
use futures::channel::oneshot;
use futures::future::BoxFuture;
use std::future::pending;
use std::time::{Duration, Instant};
use taskgrove::{Context, Manager, service_fn};

pub struct Grove;

fn below(ctx: &Context, form: Form, place: Place) {
    fn node(ctx: Context, form: Form, place: Place) -> BoxFuture<'static, taskgrove::Result> {
        Box::pin(async move {
            let _live = Placed::new(place);
            below(&ctx, form, place);
            wait(form.park).await;
            Ok(())
        })
    }
    for child in form.children(place) {
        let spawned = ctx.run_task(node(ctx.clone(), form, child));
        spawned.expect("a child is spawned");
    }
}

async fn children(ctx: &Context, form: Form) -> taskgrove::Result {
    for i in 0..form.fan_out() {
        match form.park {
            Park::Pending => ctx.run_task(supervised_parked())?,
            Park::Waker => ctx.run_task(async {
                registered().await;
                Ok(())
            })?,
        };
        breathe(i).await;
    }
    Ok(())
}

/// A child that parks on nothing.
async fn supervised_parked() -> taskgrove::Result {
    parked().await;
    Ok(())
}

/// A child that owns something while it is parked.
async fn loaded() -> taskgrove::Result {
    let load = std::hint::black_box([0_u64; 8]);
    parked().await;
    assert_eq!(load, [0; 8]);
    Ok(())
}

impl Grove {
    /// Who has [`loaded`] children.
    pub const LOADED: &'static str = "taskgrove, 64 bytes held";

    /// Size of the smallest future of a parked child.
    pub fn least_size() -> usize {
        size_of_val(&supervised_parked())
    }

    /// Size of a [`loaded`] child's future.
    pub fn loaded_size() -> usize {
        size_of_val(&loaded())
    }

    /// Leaves `count` of them behind.
    pub fn hold_loaded(count: usize) {
        GroveRoots::drive(async move {
            Live::reset(count);
            let service = service_fn("app", move |ctx| async move {
                for i in 0..count {
                    ctx.run_task(loaded())?;
                    breathe(i).await;
                }
                pending().await
            });
            drop(Grove::start(service));
            Live::all_parked().await;
        });
    }

    fn start(service: impl taskgrove::Service) -> Manager {
        let manager = Manager::builder(service).max_children(usize::MAX);
        let manager = manager.build().expect("a manager");
        let running = manager.clone();
        drop(grove().spawn(async move { running.run().await }));
        manager
    }
}

impl Supervisor for Grove {
    const NAME: &'static str = "taskgrove";
    const LEAVES_FIRST: bool = true;
    type Host = GroveRoots;
    type Tree = Manager;

    async fn grow(form: Form) -> Manager {
        let service = service_fn("app", move |ctx| async move {
            if form.is_wide() {
                children(&ctx, form).await?;
            } else {
                below(&ctx, form, form.root());
            }
            pending().await
        });
        Grove::start(service)
    }

    async fn end(manager: Manager) {
        manager.stop().await.expect("it runs");
        assert!(matches!(manager.result(), Some(Ok(()))));
    }

    async fn spawn(count: usize) {
        let service = service_fn("app", move |ctx| async move {
            for _ in 0..count {
                ctx.run_task(async {
                    brief().await;
                    Ok(())
                })?;
            }
            Ok(())
        });
        let manager = Manager::builder(service).max_children(count);
        let manager = manager.build().expect("a manager");
        manager.run().await.expect("no child fails");
        let stats = manager.stats().tasks;
        let count = count as u64;
        assert_eq!((stats.total_count, stats.finished_count), (count, count));
    }

    async fn cycle(count: usize) -> Duration {
        let (tx, rx) = oneshot::channel();
        let service = service_fn("app", move |ctx| async move {
            let began = Instant::now();
            for _ in 0..count {
                let live = Live::new();
                let child = service_fn("child", |_| async move {
                    let _live = live;
                    pending().await
                });
                let child = ctx.run_child_service(child)?;
                child.stop().await?;
                assert!(child.is_finished());
            }
            let _ = tx.send(began.elapsed());
            Ok(())
        });
        Manager::run_service(service).await.expect("a clean end");
        rx.await.expect("a time")
    }
}

impl Counts for Grove {
    const LOOKS: usize = 100_000;

    fn count(manager: &Manager) -> usize {
        manager.stats().tasks.pending_count() as usize
    }
}
