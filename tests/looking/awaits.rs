//! `Node::awaiting`: each of the crate's own awaits says what it waits for.

use crate::common::{Event, watchdog};
use crate::{awaiting, tracked};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use taskgrove::sim::{Sim, check};
use taskgrove::time::{interval, sleep, timeout};
use taskgrove::{Context, Handle, Manager, Runtime, TaskId, service_fn, spawn, yield_now};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Spawns a task, lets it run for `after` of virtual time, and returns what it waits for.
async fn after<F>(wait: Duration, future: F) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let task = spawn(future);
    sleep(wait).await;
    let text = now(task.id());
    task.cancel();
    text
}

fn now(id: TaskId) -> String {
    let snapshot = Handle::current().snapshot();
    awaiting(&snapshot, id).expect("a parked task").to_owned()
}

#[test]
fn times_count_down() {
    check(0..20, async || {
        assert_eq!(after(ms(300), sleep(ms(1500))).await, "sleep, 1.2s left");
        let limited = async {
            let _ = timeout(ms(900), pending::<()>()).await;
        };
        assert_eq!(after(ms(400), limited).await, "timeout, 500.0ms left");
        let ticks = async {
            let mut ticks = interval(ms(40));
            loop {
                ticks.tick().await;
            }
        };
        assert_eq!(after(ms(50), ticks).await, "sleep, 30.0ms left");
        let never = sleep(Duration::MAX);
        assert_eq!(after(ms(1), never).await, "sleep without end");
    });
}

#[test]
fn a_handle_names_its_task_by_path_and_id() {
    check(0..20, async || {
        let app = service_fn("app", async |ctx: Context| {
            let job = ctx.task(pending::<taskgrove::Result>()).name("job 1");
            let job = job.spawn()?;
            let id = job.id();
            let awaits = ctx
                .task(async move { Ok(job.await?) })
                .name("waits")
                .spawn()?;
            sleep(ms(1)).await;
            assert_eq!(now(awaits.id()), format!("task app/job 1 {id}"));
            ctx.cancel()?;
            pending().await
        });
        Manager::run_service(app).await.expect("no failure");
        let job = spawn(pending::<()>());
        let id = job.id();
        let waits = spawn(async move { job.wait_done().await });
        sleep(ms(1)).await;
        assert_eq!(now(waits.id()), format!("task Pending {id}"));
    });
}

#[test]
fn a_manager_names_its_service_by_path() {
    check(0..20, async || {
        let app = service_fn("app", async |ctx: Context| {
            let db = service_fn("db", async |_| pending().await);
            let db = ctx.run_child_service(db)?;
            let late = Manager::new(service_fn("late", async |_| Ok(())))?;
            let waits = [
                spawn({
                    let db = db.clone();
                    async move { db.wait_finished().await }
                }),
                spawn({
                    let db = db.clone();
                    async move { drop(db.wait_ready().await) }
                }),
                spawn({
                    let db = db.clone();
                    async move { drop(db.external_api(pending::<()>()).await) }
                }),
                spawn(async move { late.wait_started().await }),
            ];
            let told = ctx.clone();
            let cancelled = spawn(async move { told.cancelled().await });
            sleep(ms(1)).await;
            assert_eq!(now(waits[0].id()), "end of service app/db");
            assert_eq!(now(waits[1].id()), "readiness of service app/db");
            assert_eq!(now(waits[2].id()), "a call to service app/db");
            assert_eq!(now(waits[3].id()), "start of service late");
            assert_eq!(now(cancelled.id()), "cancellation");
            // A picture of a subtree names what is outside of it.
            let picture = db.snapshot();
            assert_eq!(picture.nodes().len(), 1);
            assert_eq!(picture.nodes()[0].awaiting.as_deref(), Some("a waker"));
            ctx.cancel()?;
            pending().await
        });
        Manager::run_service(app).await.expect("no failure");
    });
}

#[test]
fn a_wait_for_room_names_the_parent() {
    check(0..20, async || {
        let app = service_fn("app", async |ctx: Context| {
            ctx.run_task(pending())?;
            let (outer, inner) = (ctx.clone(), ctx.clone());
            let waits = spawn(async move {
                drop(outer.task::<_, ()>(pending()).spawn_when_room().await);
                let full = outer.task::<_, ()>(pending()).spawn_when_room().await;
                drop(full);
            });
            let other = service_fn("other", async move |_: Context| {
                drop(inner.task::<_, ()>(pending()).spawn_when_room().await);
                Ok(())
            });
            let other = Handle::current().start(other)?;
            sleep(ms(1)).await;
            let path = format!("room under app/{}", name(waits.id()));
            assert_eq!(now(waits.id()), path);
            assert_eq!(now(other.id().expect("started")), "room under app");
            ctx.cancel()?;
            pending().await
        });
        let app = Manager::builder(app).max_children(1).build().expect("new");
        app.run().await.expect("no failure");
    });
}

/// The last segment of a task's path.
fn name(id: TaskId) -> String {
    let snapshot = Handle::current().snapshot();
    let node = snapshot.nodes().iter().find(|node| node.id == id);
    node.expect("it is there").name.clone()
}

#[test]
fn several_awaits_of_one_poll_are_all_there() {
    check(0..20, async || {
        let both = async {
            let job = spawn(pending::<()>());
            let (mut job, mut nap) = (pin!(job.wait_done()), pin!(sleep(ms(2_000))));
            poll_fn(|cx| {
                let job = job.as_mut().poll(cx);
                if nap.as_mut().poll(cx).is_ready() || job.is_ready() {
                    return Poll::Ready(());
                }
                Poll::Pending
            })
            .await;
        };
        let text = after(ms(500), both).await;
        let (job, nap) = text.split_once(" or ").expect("two");
        assert!(
            job.starts_with("task ") && job.contains("Pending #"),
            "{job}"
        );
        assert_eq!(nap, "sleep, 1.5s left");
    });
}

#[test]
fn what_is_not_of_this_crate_is_a_waker() {
    check(0..20, async || {
        let foreign = Event::new();
        let (wait, set) = (foreign.wait(), foreign.clone());
        let task = spawn(async move {
            sleep(ms(1)).await;
            wait.await;
            sleep(ms(7)).await;
        });
        yield_now().await;
        sleep(ms(2)).await;
        assert_eq!(now(task.id()), "a waker");
        set.set();
        sleep(ms(3)).await;
        assert_eq!(now(task.id()), "sleep, 4.0ms left");
        task.await.expect("it ends");
    });
}

#[test]
fn only_idle_tasks_wait() {
    check(0..20, async || {
        let parent = spawn(async {
            let me = TaskId::current().expect("a task");
            let snapshot = Handle::current().snapshot();
            assert_eq!(awaiting(&snapshot, me), None);
            spawn(sleep(ms(20)));
        });
        let id = parent.id();
        let queued = spawn(pending::<()>());
        let snapshot = Handle::current().snapshot();
        assert_eq!(awaiting(&snapshot, queued.id()), None);
        sleep(ms(5)).await;
        let snapshot = Handle::current().snapshot();
        assert_eq!(awaiting(&snapshot, id), None, "its future has ended");
        parent.await.expect("it ends");
    });
}

#[test]
fn a_task_of_another_runtime_is_named() {
    let other = Sim::new(1);
    let foreign = other.handle().task(pending::<()>()).name("far").spawn();
    let id = foreign.id();
    let sim = Sim::new(2);
    sim.block_on(async {
        assert_eq!(
            after(ms(1), async move { drop(foreign.await) }).await,
            format!("task far {id}")
        );
    });
}

#[test]
fn a_cleanup_says_what_it_waits_for() {
    check(0..20, async || {
        let task = spawn(async {
            let _cleanup = taskgrove::defer(sleep_for(80));
            pending::<()>().await
        });
        sleep(ms(1)).await;
        task.cancel();
        sleep(ms(30)).await;
        assert_eq!(now(task.id()), "sleep, 50.0ms left");
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

async fn sleep_for(n: u64) {
    sleep(ms(n)).await
}

/// On threads, also by a look from outside.
#[test]
fn on_threads() {
    watchdog(|| {
        for workers in [0, 1, 2] {
            let rt = tracked(workers);
            let far = Duration::from_secs(3600);
            let nap = rt.spawn(async move { sleep(far).await });
            let napping = nap.id();
            let waits = rt.spawn(async move { drop(nap.await) });
            let look = |id| {
                let snapshot = rt.snapshot();
                awaiting(&snapshot, id).map(str::to_owned)
            };
            rt.block_on(async {
                while look(napping).is_none() || look(waits.id()).is_none() {
                    yield_now().await;
                }
            });
            let text = look(napping).expect("it is parked");
            assert!(
                text.starts_with("sleep, 3") && text.ends_with("s left"),
                "{text}"
            );
            let text = look(waits.id()).expect("it is parked");
            assert!(text.starts_with("task on_threads #"), "{text}");
        }
    });
}

#[test]
fn without_track_awaits_there_is_nothing() {
    let rt = Runtime::builder().workers(0).build().expect("a runtime");
    let task = rt.spawn(async { sleep(Duration::MAX).await });
    rt.block_on(yield_now());
    assert_eq!(awaiting(&rt.snapshot(), task.id()), None);
    assert!(!rt.snapshot().to_string().contains("awaiting"));
}

#[cfg(feature = "blocking")]
#[test]
fn a_blocking_job_is_one() {
    watchdog(|| {
        let rt = tracked(1);
        let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let waits = rt.spawn(async move {
            let job = taskgrove::run_blocking(move || {
                tell.send(()).expect("the test waits");
                let _ = goes_on.recv();
            });
            job.await.expect("no panic");
        });
        told.recv().expect("the job runs");
        let look = || {
            let snapshot = rt.snapshot();
            let job = snapshot.nodes()[1].clone();
            (awaiting(&snapshot, waits.id()).map(str::to_owned), job)
        };
        let (text, job) = loop {
            match look() {
                (Some(text), job) => break (text, job),
                _ => std::thread::yield_now(),
            }
        };
        assert_eq!(job.awaiting.as_deref(), Some("a blocking job"));
        assert_eq!(text, format!("task {} {}", job.path, job.id));
        drop(go_on);
        rt.block_on(waits).expect("it ends");
    });
}
