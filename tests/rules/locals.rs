//! `TaskLocal`: values that go down the tree.

use crate::util::*;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use taskgrove::{
    Context, Manager, TaskLocal, background_service, defer, finally, service_fn, spawn,
};

static USER: TaskLocal<String> = TaskLocal::new();
static OTHER: TaskLocal<String> = TaskLocal::new();
static SIZE: TaskLocal<usize> = TaskLocal::new();

fn user() -> Option<String> {
    USER.get()
}

/// A task sees its own value, or that of the nearest task above it; keys do not mix.
#[test]
fn a_look_finds_the_nearest() {
    everywhere(async |h| {
        assert_eq!(user(), None, "this is no task");
        let (m, ctx) = app_with(&h, |b| b.local(&USER, "eve".into()).local(&SIZE, 3)).await;
        let inner = ctx.clone();
        let task = ctx.task(async move {
            assert_eq!(user().as_deref(), Some("eve"));
            let own = inner.task(async { Ok((user(), OTHER.get(), SIZE.get())) });
            let own = own.local(&USER, "bob".into()).local(&USER, "ann".into());
            let raw = spawn(async { user() }).await?;
            let child = inner.child_service(service_fn("db", async |ctx: Context| {
                let below = ctx.task(async { Ok(user()) }).spawn()?.await?;
                assert_eq!(
                    (user().as_deref(), below.as_deref()),
                    (Some("dora"), Some("dora"))
                );
                Ok(())
            }));
            child
                .local(&USER, "dora".into())
                .spawn()?
                .wait_finished()
                .await;
            Ok((own.spawn()?.await?, raw, user()))
        });
        let (own, raw, last) = task.spawn().unwrap().await.unwrap();
        assert_eq!(own, (Some("ann".into()), None, Some(3)));
        assert_eq!(
            (raw.as_deref(), last.as_deref()),
            (Some("eve"), Some("eve"))
        );
        assert_eq!(user(), None);
        m.stop().await.unwrap();
        assert!(m.result().unwrap().is_ok());
    });
}

/// A service in the background of a task sees the task's values; a root sees its own alone.
#[test]
fn what_crosses_and_what_does_not() {
    everywhere(async |h| {
        let handle = h.clone();
        let outer = h.task(async move {
            let sees = || {
                service_fn("sees", async |_| {
                    user().map(drop).ok_or("it sees none".into())
                })
            };
            Manager::run_service(sees()).await.unwrap();
            let body = background_service(sees(), async |_| user()).await.unwrap();
            assert_eq!(body.as_deref(), Some("ann"));
            let started = handle.start(service_fn("root", async |_| match user() {
                None => Ok(()),
                Some(_) => Err("a root sees it".into()),
            }));
            let started = started.unwrap();
            started.wait_finished().await;
            started.result().unwrap().unwrap();
            (handle.spawn(async { user() }).await.unwrap(), user())
        });
        let (root, own) = outer.local(&USER, "ann".into()).spawn().await.unwrap();
        assert_eq!((root, own.as_deref()), (None, Some("ann")));
    });
}

/// A closure may spawn, cancel, look again and panic.
#[test]
fn a_closure_may_do_anything() {
    everywhere(async |h| {
        let task = h.task(async {
            let inner = USER.with(|user| {
                let idle = spawn(pending::<()>());
                idle.cancel();
                let nested =
                    USER.with(|again| again.map(String::as_str) == user.map(String::as_str));
                assert!(nested && SIZE.get().is_none());
                spawn(async { user_len() })
            });
            let caught = std::panic::catch_unwind(|| USER.with(|_| panic!("intended")));
            assert!(caught.is_err());
            inner.await.unwrap()
        });
        assert_eq!(task.local(&USER, "ann".into()).spawn().await.unwrap(), 3);
    });
}

fn user_len() -> usize {
    USER.with(|user| user.map_or(0, String::len))
}

/// Destructors, cleanups and finallys of the task, and what is below it, still see the value while it is
/// cancelled.
#[test]
fn it_is_there_to_the_end() {
    struct Looks(Log<Option<String>>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.push(user());
        }
    }
    everywhere(async |h| {
        let (log, inside) = (Log::new(), Event::new());
        let (all, set) = (log.clone(), inside.clone());
        let task = h.task(async move {
            let (below, deferred, last) = (all.clone(), all.clone(), all.clone());
            let _looks = Looks(all);
            let _guard = defer(async move { deferred.push(user()) });
            spawn(async move {
                let _looks = Looks(below);
                let body = async move {
                    set.set();
                    pending::<()>().await
                };
                finally(body, async move { last.push(user()) }).await;
            });
            pending::<()>().await;
        });
        let task = task.local(&USER, "ann".into()).spawn();
        inside.wait().await;
        task.cancel();
        task.wait_done().await;
        assert_eq!(log.read(), vec![Some("ann".to_owned()); 4]);
    });
}

/// Values are dropped with their task, the latest first, after everything below; a panic of one keeps no other.
/// What never ran drops them as well.
#[test]
fn values_are_dropped_after_everything_below() {
    static GUARD: TaskLocal<Breaks> = TaskLocal::new();
    static LAST: TaskLocal<Writes> = TaskLocal::new();
    static END: TaskLocal<Tells> = TaskLocal::new();
    struct Tells(Event);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.set();
        }
    }
    struct Breaks(Log<&'static str>);
    impl Drop for Breaks {
        fn drop(&mut self) {
            self.0.push("breaks");
            panic!("intended");
        }
    }
    everywhere(async |h| {
        let log = Log::new();
        let below = Writes(log.clone(), "child");
        let task = h.task(async move {
            spawn(async move {
                let _below = below;
                taskgrove::yield_now().await;
            });
        });
        // The handle may resolve while another thread drops the values.
        let dropped = Event::new();
        let task = task.local(&END, Tells(dropped.clone()));
        let task = task.local(&LAST, Writes(log.clone(), "last"));
        task.local(&GUARD, Breaks(log.clone()))
            .spawn()
            .await
            .unwrap();
        dropped.wait().await;
        assert_eq!(log.read(), ["child", "breaks", "last"]);

        let log = Log::new();
        let (m, ctx) = app_with(&h, |b| b.local(&LAST, Writes(log.clone(), "service"))).await;
        m.cancel().unwrap();
        let late = ctx
            .task(async { Ok(()) })
            .local(&LAST, Writes(log.clone(), "late"));
        // If the service is finished already, the error drops the value.
        assert!(late.spawn().is_ok_and(|late| late.is_done()) || m.is_finished());
        m.wait_finished().await;
        drop(ctx);
        let mut dropped = log.take();
        dropped.sort_unstable();
        assert_eq!(dropped, ["late", "service"]);
        drop(
            h.task(async {})
                .local(&LAST, Writes(log.clone(), "builder")),
        );
        drop(
            Manager::builder(service_fn("never", async |_| Ok(())))
                .local(&LAST, Writes(log.clone(), "managed"))
                .build(),
        );
        assert_eq!(log.read(), ["builder", "managed"]);
    });
}

/// Values on a dead runtime are dropped, and nothing is seen there.
#[test]
fn on_a_dead_runtime() {
    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    static COUNTED: TaskLocal<Counted> = TaskLocal::new();
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }
    watchdog(|| {
        let rt = build(1);
        let h = rt.handle().clone();
        ALIVE.fetch_add(2, Ordering::Relaxed);
        let before = rt.task(pending::<()>()).local(&COUNTED, Counted).spawn();
        drop(rt);
        assert_eq!(ALIVE.load(Ordering::Relaxed), 1);
        let after = h.task(ready(())).local(&COUNTED, Counted).spawn();
        assert!(before.is_done() && after.is_done());
        drop(after);
        assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
    });
}

/// In a simulation, over seeds: every task of a random tree sees what its nearest ancestor was given.
#[test]
fn deep_and_wide_in_simulations() {
    fn grow(depth: usize, expected: usize) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            taskgrove::yield_now().await;
            assert_eq!(SIZE.get(), Some(expected));
            if depth == 0 {
                return;
            }
            let h = taskgrove::Handle::current();
            drop(h);
            for _ in 0..2 {
                spawn(grow(depth - 1, expected));
            }
        })
    }
    crate::virtual_time::simulated(async |h| {
        let tasks: Vec<_> = (0..4)
            .map(|n| h.task(grow(5, n)).local(&SIZE, n).spawn())
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}
