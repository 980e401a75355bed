//! A panic beside what was returned, or beside another panic: both come out, in their order.

use super::*;
use taskgrove::yield_now;

/// How the service's failures read, and the task's handle.
async fn outcomes(s: &Scene, task: Task<()>) -> (Vec<String>, String) {
    s.m.wait_finished().await;
    let error = s.m.result().unwrap().unwrap_err();
    let texts = error.failures().iter().map(|failure| match failure.kind() {
        FailureKind::Error(error) => error.to_string(),
        FailureKind::Panic(text) => text.clone(),
        other => format!("{other:?}"),
    });
    (texts.collect(), panicked(task).await)
}

/// A future that ends as `end` says, and panics in its drop.
struct Ends<F>(F);

impl<T, F: Fn() -> T + Unpin> Future for Ends<F> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<T> {
        Poll::Ready((self.0)())
    }
}

impl<F> Drop for Ends<F> {
    fn drop(&mut self) {
        drop(Bomb("drop"));
    }
}

fn fails(panics: bool) -> taskgrove::Result {
    assert!(!panics, "intended body");
    Err("intended body")?
}

/// A task's error, or panic, and a panic in the drop of its future.
#[test]
fn a_tasks_end_and_its_drop() {
    for panics in [false, true] {
        everywhere(async move |s| {
            let task = s.ctx.run_task(Ends(move || fails(panics))).unwrap();
            let (all, outcome) = outcomes(&s, task).await;
            assert_eq!(all, ["intended body", "intended drop"]);
            assert_eq!(outcome == "intended body", panics);
            let task: Task<()> = s.h.spawn(Ends(|| panic!("intended body")));
            assert_eq!(panicked(task).await, "intended body");
            let task = s.h.spawn(Ends(|| ()));
            assert_eq!(panicked(task).await, "intended drop");
        });
    }
}

/// A body's error, or panic, and a panic of its cleanup, or in the drop of either.
#[test]
fn a_bodys_end_and_its_cleanup() {
    for panics in [false, true] {
        for place in ["cleanup", "drop", "cleanup drop", "shield"] {
            everywhere(async move |s| {
                let ctx = &s.ctx;
                let body = async move { fails(panics) };
                let task = match place {
                    "cleanup" => ctx.run_task(finally(body, async {
                        yield_now().await;
                        panic!("intended cleanup")
                    })),
                    "drop" => ctx.run_task(finally(Ends(move || fails(panics)), yield_now())),
                    "shield" => ctx.run_task(shielded(Ends(move || fails(panics)))),
                    _ => ctx.run_task(finally(body, Ends(|| ()))),
                };
                let (all, outcome) = outcomes(&s, task.unwrap()).await;
                let second = match place {
                    "cleanup" => "intended cleanup",
                    _ => "intended drop",
                };
                assert_eq!(all, ["intended body", second], "{place}");
                let first = panics && place != "drop";
                assert_eq!(outcome == "intended body", first, "{place}");
            });
        }
    }
}

/// A task that makes nothing of its body's end goes on, and is ended by the cleanup's panic.
#[test]
fn a_task_that_goes_on_is_ended() {
    everywhere(async |s| {
        let gone = Counter::new();
        let (a, b) = (gone.dropped(), gone.dropped());
        let task = s
            .ctx
            .run_task(async move {
                let _guard = a;
                let body = finally(async { 5 }, async { panic!("intended cleanup") });
                assert_eq!(body.await, 5);
                pending().await
            })
            .unwrap();
        let (all, outcome) = outcomes(&s, task).await;
        assert_eq!(all, ["intended cleanup"]);
        assert_eq!(outcome, "intended cleanup");
        let task = s.h.spawn(async move {
            spawn(async move {
                let _guard = b;
                pending::<()>().await
            });
            finally(async {}, async { panic!("intended cleanup") }).await;
            pending::<()>().await
        });
        assert_eq!(panicked(task).await, "intended cleanup");
        assert_eq!(gone.get(), 2);
    });
}

/// In the drop of a deferred cleanup.
#[test]
fn a_deferred_cleanups_drop() {
    everywhere(async |s| {
        let task = s.ctx.run_task(async {
            drop(defer(Ends(|| ())));
            Err("intended body")?
        });
        let (all, outcome) = outcomes(&s, task.unwrap()).await;
        assert_eq!(all, ["intended body", "intended drop"]);
        assert_eq!(outcome, "intended drop");
    });
}

/// Outside of tasks the caller has the first panic, or the only one.
#[test]
fn outside_of_tasks() {
    everywhere(async |s| {
        for panics in [false, true] {
            let body = finally(async move { fails(panics) }, async {
                panic!("intended cleanup")
            });
            let mut body = Box::pin(body);
            let polled = || body.as_mut().poll(&mut Cx::from_waker(Waker::noop()));
            let payload = catch_unwind(AssertUnwindSafe(polled)).unwrap_err();
            let text = payload.downcast_ref::<&str>().unwrap();
            assert_eq!(*text == "intended body", panics);
        }
        s.unharmed().await;
    });
}

/// A raw task that has panicked is done also if its deferred cleanup spawns a child after that.
#[test]
fn a_cleanup_that_spawns_after_the_panic() {
    everywhere(async |s| {
        let gone = Counter::new();
        for late in [false, true] {
            let (a, b) = (gone.dropped(), gone.dropped());
            let task: Task<()> = s.h.spawn(async move {
                let _cleanup = defer(async move {
                    let child = async move {
                        let _guard = a;
                        pending::<()>().await
                    };
                    if late {
                        yield_now().await;
                    }
                    spawn(child);
                    yield_now().await;
                    spawn(async move {
                        let _guard = b;
                        pending::<()>().await
                    });
                });
                panic!("intended")
            });
            assert_eq!(panicked(task).await, "intended");
        }
        assert_eq!(gone.get(), 4);
        s.unharmed().await;
    });
}
