//! Every public asynchronous function is one of the crate's own awaits: none outruns a cancellation, each wakes whom it was polled by, and each answers in a destructor.

use crate::common::suspend_times;
use crate::util::*;
use futures_lite::future::block_on;
use std::collections::BTreeSet;
use std::future::{pending, poll_fn, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;
use taskgrove::supervisor::{ChildSpec, Strategy, Supervisor};
use taskgrove::{
    Context, Handle, Manager, ManagerSlot, Service, Task, background_service, finally, service_fn,
    shielded, spawn, time, yield_now,
};

type Await = Pin<Box<dyn Future<Output = ()> + Send>>;
type Make = Arc<dyn Fn() -> Await + Send + Sync>;

/// A service that has a slot, taken or not.
#[derive(Default)]
struct Slotted(ManagerSlot);

impl Service for Slotted {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        pending().await
    }
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.0)
    }
}

fn idle(name: &'static str) -> ChildSpec {
    ChildSpec::new(name, move || service_fn(name, |_| pending()))
}

fn entry<F: Future + Send + 'static>(
    name: &'static str,
    make: impl Fn() -> F + Send + Sync + 'static,
) -> (&'static str, Make) {
    let make = move || {
        let future = make();
        Box::pin(async move {
            future.await;
        }) as Await
    };
    (name, Arc::new(make))
}

/// Handles of tasks that are done, as long as there are some.
async fn done(h: &Handle) -> impl Fn() -> Task<()> + Send + Sync + 'static {
    let mut all = Vec::new();
    for _ in 0..8 {
        let task = h.spawn(async {});
        task.wait_done().await;
        all.push(task);
    }
    let all = Mutex::new(all);
    move || {
        let next = all.lock().unwrap().pop();
        next.unwrap_or_else(|| spawn(async {}))
    }
}

/// Each by the name of its function or type, in the ways in which it is ready without ever suspending.
async fn all(h: &Handle) -> Vec<(&'static str, Make)> {
    let short = Duration::from_secs(1);
    let inside = Gift::new();
    let give = inside.clone();
    let ended = h
        .start(service_fn("ended", |ctx| async move {
            ctx.set_ready();
            give.put(ctx);
            Ok(())
        }))
        .unwrap();
    ended.wait_finished().await;
    let ctx = inside.take().await;
    let (running, inner) = app(h).await;
    let unborn = Manager::new(service_fn("unborn", |_| pending())).unwrap();
    let taken = Arc::new(Slotted::default());
    let manager = h.start(taken.clone()).unwrap();
    manager.stop().await.unwrap();
    let supervisor = Supervisor::new(Strategy::OneForOne).child(idle("a"));
    let (children, never) = (
        supervisor.handle(),
        Supervisor::new(Strategy::OneForOne).handle(),
    );
    h.start(supervisor).unwrap();
    children.wait_child("a").await.unwrap();
    let service = || service_fn("brief", |_| async { Ok(()) }).boxed();
    let interval = Arc::new(Mutex::new(Some(time::interval(Duration::from_nanos(1)))));
    let (handles, more, waited) = (done(h).await, done(h).await, done(h).await);
    macro_rules! of {
        ($m:ident, $call:expr) => {{
            let $m = $m.clone();
            move || {
                let $m = $m.clone();
                async move {
                    let _ = $call.await;
                }
            }
        }};
    }
    vec![
        entry("start_child", of!(never, never.start_child(idle("a")))),
        entry("stop_child", of!(never, never.stop_child("a"))),
        entry("restart_child", of!(never, never.restart_child("a"))),
        entry("remove_child", of!(never, never.remove_child("a"))),
        entry("wait_child", of!(never, never.wait_child("a"))),
        entry("wait_child", of!(children, children.wait_child("a"))),
        entry("wait_child", of!(children, children.wait_child("b"))),
        entry("yield_now", yield_now),
        entry("Task", handles),
        entry("CancelOnDrop", move || more().cancel_on_drop()),
        entry("wait_done", move || {
            let task = waited();
            async move { task.wait_done().await }
        }),
        entry("Sleep", || time::sleep(Duration::ZERO)),
        entry("Sleep", || time::sleep_until(time::now())),
        entry("timeout", move || time::timeout(short, ready(()))),
        entry("timeout", move || time::timeout(short, shielded(ready(())))),
        entry("tick", move || {
            let place = interval.clone();
            async move {
                let taken = place.lock().unwrap().take();
                let mut interval = taken.unwrap_or_else(|| time::interval(Duration::from_nanos(1)));
                interval.tick().await;
                *place.lock().unwrap() = Some(interval);
            }
        }),
        entry("shielded", || shielded(ready(()))),
        entry("finally", || finally(ready(()), async {})),
        entry("background_service", move || {
            background_service(service(), async |_| ())
        }),
        entry(
            "background_service",
            of!(taken, background_service(taken, async |_| ())),
        ),
        entry("run_service", of!(taken, Manager::run_service(taken))),
        entry("run_service", move || Manager::run_service(service())),
        entry("run", of!(ended, ended.run())),
        entry("stop", of!(ended, ended.stop())),
        entry("stop", of!(unborn, unborn.stop())),
        entry("stop_timeout", of!(ended, ended.stop_timeout(short))),
        entry("stop_timeout", of!(unborn, unborn.stop_timeout(short))),
        entry("stop_or_kill", of!(ended, ended.stop_or_kill(short))),
        entry("stop_or_kill", of!(unborn, unborn.stop_or_kill(short))),
        entry("wait_started", of!(ended, ended.wait_started())),
        entry("wait_ready", of!(ended, ended.wait_ready())),
        entry("wait_finished", of!(ended, ended.wait_finished())),
        entry("external_api", of!(ended, ended.external_api(ready(())))),
        entry("external_api", of!(unborn, unborn.external_api(ready(())))),
        entry(
            "external_api",
            of!(running, running.external_api(ready(()))),
        ),
        entry("external_api", of!(taken, taken.0.external_api(ready(())))),
        entry("external_api", || async {
            let _ = ManagerSlot::new().external_api(ready(())).await;
        }),
        entry(
            "spawn_when_room",
            of!(ctx, ctx.task(async { Ok(()) }).spawn_when_room()),
        ),
        entry(
            "spawn_when_room",
            of!(inner, inner.task(async { Ok(()) }).spawn_when_room()),
        ),
        entry("cancelled", of!(ctx, ctx.cancelled())),
        entry("until_cancelled", of!(ctx, ctx.until_cancelled(ready(())))),
        entry(
            "until_cancelled",
            of!(inner, inner.until_cancelled(ready(()))),
        ),
    ]
}

/// The names of what the sources make public: `pub async fn`, `pub fn .. -> impl Future`, `impl Future for`.
fn public(dir: &Path, names: &mut BTreeSet<String>) {
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        // Those of the sockets are in `sockets::cancelled`.
        if path.ends_with("src/net") || path.ends_with("src/hyper") {
            continue;
        }
        if path.is_dir() {
            public(&path, names);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code: String = lines.map(|line| format!("{line}\n")).collect();
        let word = |rest: &str| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            rest[..end.unwrap_or(rest.len())].to_owned()
        };
        for (at, _) in code.match_indices("pub async fn ") {
            names.insert(word(&code[at + 13..]));
        }
        for (at, _) in code.match_indices("pub fn ") {
            let signature = code[at..].split('{').next().unwrap();
            if signature.contains("-> impl Future<") {
                names.insert(word(&code[at + 7..]));
            }
        }
        for (at, _) in code.match_indices(" Future for ") {
            names.insert(word(&code[at + 12..]));
        }
    }
}

/// The list is whole.
#[test]
fn the_list_has_every_public_await() {
    let mut names = BTreeSet::new();
    public(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut names,
    );
    on(0, async move |h| {
        let listed: BTreeSet<_> = all(&h).await.iter().map(|(n, _)| n.to_string()).collect();
        assert_eq!(listed, names);
    });
}

/// No loop over one outruns the cancellation, or takes the thread that is to ask for it.
#[test]
fn no_loop_over_one_outruns_a_cancellation() {
    for workers in [0, 1] {
        on(workers, async |h| {
            for (name, make) in all(&h).await {
                let inside = Event::new();
                let set = inside.clone();
                let task: Task<()> = h.spawn(async move {
                    // Its turn does not come before the child's, which needs a thread.
                    spawn(finally(pending::<()>(), suspend_times(3)));
                    loop {
                        make().await;
                        set.set();
                    }
                });
                inside.wait().await;
                task.cancel();
                let ended = time::timeout(Duration::from_secs(20), task.wait_done()).await;
                assert!(ended.is_ok(), "{name} goes on");
            }
        });
    }
}

/// Runs a check in a task's poll, after its turn has come.
async fn at_the_turn<T: Send + 'static>(
    h: &Handle,
    check: impl FnOnce(&mut TaskContext<'_>) -> T + Send + 'static,
) -> T {
    let (inside, go, result) = (Event::new(), Event::new(), Gift::new());
    let (set, wait, put) = (inside.clone(), go.wait(), result.clone());
    let mut check = Some(check);
    let task = h.spawn(async move {
        shielded(async {
            set.set();
            wait.await;
        })
        .await;
        poll_fn(|cx| {
            if let Some(check) = check.take() {
                put.put(check(cx));
            }
            Poll::<()>::Pending
        })
        .await;
    });
    inside.wait().await;
    task.cancel();
    the_turn_has_come().await;
    go.set();
    task.wait_done().await;
    result.take().await
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// At the turn it suspends: with the task's own waker for good, with any other one it asks for another poll, wherever that is.
#[test]
fn at_the_turn_each_suspends() {
    on(0, async |h| {
        for (name, make) in all(&h).await {
            let (own, other, woken) = at_the_turn(&h, move |cx| {
                let own = make().as_mut().poll(cx).is_pending();
                let count = Arc::new(Count::default());
                let waker = Waker::from(count.clone());
                let mut future = make();
                let other = future.as_mut().poll(&mut TaskContext::from_waker(&waker));
                (own, other.is_pending(), count.0.load(Ordering::Relaxed))
            })
            .await;
            assert!(own, "{name} goes on");
            assert!(other && woken > 0, "{name}: {other} {woken}");
        }
    });
}

/// Runs a closure when it is dropped.
struct Last<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Last<F> {
    fn new(f: F) -> Self {
        Last(Some(f))
    }
}

impl<F: FnOnce()> Drop for Last<F> {
    fn drop(&mut self) {
        self.0.take().unwrap()();
    }
}

/// What a destructor waits for, it gets: in the drop of a task's future, in that of a body, and in a panic.
#[test]
fn in_a_destructor_each_answers() {
    for way in ["future", "body", "panic"] {
        on(1, async move |h| {
            for (name, make) in all(&h).await {
                let (inside, go, answered) = (Event::new(), Event::new(), Event::new());
                let (set, wait, tell) = (inside.clone(), go.wait(), answered.clone());
                let last = Last::new(move || {
                    block_on(make());
                    tell.set();
                });
                let waits = async move {
                    let _last = last;
                    set.set();
                    pending::<()>().await
                };
                let panics = |waits: Await| async move {
                    let mut waits = waits;
                    let _ = poll_once(&mut waits).await;
                    shielded(wait).await;
                    panic!("intended")
                };
                let task = match way {
                    "future" => h.spawn(waits),
                    "body" => h.spawn(finally(waits, async {})),
                    _ => h.spawn(panics(Box::pin(waits))),
                };
                inside.wait().await;
                task.cancel();
                the_turn_has_come().await;
                go.set();
                task.wait_done().await;
                assert!(answered.is_set(), "{name} in the drop of a {way}");
            }
        });
    }
}

/// What has happened is seen in a destructor, at one look.
#[test]
fn a_destructor_sees_a_child_that_is_done() {
    everywhere(async |h| {
        let (inside, seen) = (Event::new(), Gift::new());
        let (set, put) = (inside.clone(), seen.clone());
        let task = h.spawn(async move {
            let child = spawn(async { 7 });
            child.wait_done().await;
            let mut child = Some(child);
            let _last = Last::new(move || {
                let mut cx = TaskContext::from_waker(Waker::noop());
                let look = Pin::new(child.as_mut().unwrap()).poll(&mut cx);
                put.put(match look {
                    Poll::Ready(result) => Some(result.unwrap()),
                    Poll::Pending => None,
                });
            });
            set.set();
            pending::<()>().await
        });
        inside.wait().await;
        task.cancel();
        task.wait_done().await;
        assert_eq!(seen.take().await, Some(7));
    });
}

/// A destructor that stops a service, in a foreign `block_on`, and waits for that.
#[test]
fn a_destructor_stops_a_service() {
    on(2, async |h| {
        let (service, _) = app(&h).await;
        let (inside, manager) = (Event::new(), service.clone());
        let set = inside.clone();
        let task = h.spawn(async move {
            let _last = Last::new(move || {
                block_on(manager.stop_timeout(Duration::from_secs(20))).unwrap();
            });
            set.set();
            pending::<()>().await
        });
        inside.wait().await;
        task.cancel();
        task.wait_done().await;
        assert!(service.is_finished());
    });
}

/// Protection in a destructor is whole: a body goes on, and its cleanup runs after it.
#[test]
fn protection_works_in_a_destructor() {
    everywhere(async |h| {
        let log = Log::new();
        let (write, inside) = (log.clone(), Event::new());
        let set = inside.clone();
        let task = h.spawn(async move {
            let _last = Last::new(move || {
                let inner = finally(shielded(suspends(write.clone(), "inner")), async {
                    write.push("inner cleanup");
                });
                block_on(finally(inner, suspends(write.clone(), "cleanup")));
                write.push("end");
            });
            set.set();
            pending::<()>().await
        });
        inside.wait().await;
        task.cancel();
        task.wait_done().await;
        assert_eq!(log.take(), ["inner", "inner cleanup", "cleanup", "end"]);
    });
}

async fn suspends(log: Log<&'static str>, name: &'static str) {
    yield_now().await;
    suspend_times(2).await;
    log.push(name);
}

/// A `block_on` inside a poll gets on: however many have been ready in it, and when the task's turn has come.
#[test]
fn a_block_on_inside_a_poll_gets_on() {
    on(2, async |h| {
        for (name, make) in all(&h).await {
            let again = make.clone();
            let task = h.spawn(async move {
                for _ in 0..500 {
                    block_on(again());
                }
            });
            assert!(task.await.is_ok(), "{name}");
            // What ends with a body has nothing to answer.
            if ["finally", "background_service"].contains(&name) {
                continue;
            }
            at_the_turn(&h, move |_| {
                for _ in 0..3 {
                    block_on(make());
                }
            })
            .await;
        }
    });
}

/// It sleeps, rather than ask again and again: how often it is polled does not depend on how long it takes.
#[test]
fn a_block_on_inside_a_poll_sleeps() {
    on(2, async |h| {
        let (m, _) = app(&h).await;
        let manager = m.clone();
        let polls = Arc::new(AtomicUsize::new(0));
        let (count, waits) = (polls.clone(), Event::new());
        let set = waits.clone();
        let task = h.spawn(async move {
            let ended = Manager::new(service_fn("unborn", |_| pending())).unwrap();
            for _ in 0..300 {
                block_on(ended.external_api(ready(()))).unwrap_err();
            }
            let mut wait = std::pin::pin!(manager.wait_finished());
            block_on(poll_fn(|cx| {
                count.fetch_add(1, Ordering::Relaxed);
                let poll = wait.as_mut().poll(cx);
                set.set();
                poll
            }));
        });
        waits.wait().await;
        time::sleep(Duration::from_millis(20)).await;
        m.stop().await.unwrap();
        task.await.unwrap();
        assert!(polls.load(Ordering::Relaxed) < 300);
    });
}
