//! An idle runtime uses no CPU. Alone in its process, whose whole CPU time is measured.
#![cfg(target_os = "linux")]

mod common;

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use common::Event;
use taskgrove::time::{interval, sleep};
use taskgrove::{Context, Manager, Runtime, service_fn, yield_now};

const FAR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// The CPU time of this process so far, user and system, in clock ticks of 10 ms.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the process's own figures");
    // The second field is the command in parentheses, and may hold anything; what follows is fields 3 and on.
    let (_, fields) = stat.rsplit_once(')').expect("a command in parentheses");
    let mut times = fields.split_whitespace().skip(14 - 3);
    let mut next = || -> u64 { times.next().expect("a field").parse().expect("a number") };
    next() + next()
}

/// Lets a second pass in which nobody does anything, and asserts that it cost less than 20 ms of CPU time.
#[track_caller]
fn assert_idle(what: &str) {
    let (_nobody_sends, never) = mpsc::channel::<()>();
    let before = cpu_ticks();
    never
        .recv_timeout(SECOND)
        .expect_err("nobody sends anything");
    let ticks = cpu_ticks() - before;
    assert!(
        ticks < 2,
        "{what}: an idle second took about {} ms of CPU time",
        ticks * 10
    );
}

/// Makes the runtime work: tasks that yield, are stolen, sleep, finish and are cancelled.
fn work(rt: &Runtime) {
    rt.block_on(async {
        let busy = taskgrove::spawn(async {
            for _ in 0..200 {
                drop(taskgrove::spawn(async {
                    for _ in 0..20 {
                        yield_now().await;
                    }
                    sleep(Duration::from_millis(1)).await;
                }));
            }
        });
        let cancelled = taskgrove::spawn(pending::<()>());
        cancelled.cancel();
        cancelled.wait_done().await;
        busy.await.expect("the work ends");
    });
}

/// Leaves tasks behind that wait: for nothing, for far timers, in a service.
fn park(rt: &Runtime) -> Manager {
    rt.block_on(async {
        let mut polled = Vec::new();
        for _ in 0..200 {
            let (waits, sleeps) = (Event::new(), Event::new());
            polled.extend([waits.clone(), sleeps.clone()]);
            drop(rt.spawn(common::announced(waits, pending::<()>())));
            drop(rt.spawn(common::announced(sleeps, sleep(FAR))));
        }
        for event in polled {
            event.wait().await;
        }
    });
    let run = |ctx: Context| async move {
        ctx.run_daemon_task(async {
            let mut far = interval(FAR);
            loop {
                far.tick().await;
            }
        })?;
        ctx.set_ready();
        pending().await
    };
    let manager = rt.start(service_fn("app", run)).expect("a service");
    rt.block_on(manager.wait_ready()).expect("it gets ready");
    manager
}

/// Holds a thread in `block_on` with a future that waits for a far timer, while `f` runs.
fn while_blocked_on(rt: &Runtime, f: impl FnOnce()) {
    let end = Event::new();
    std::thread::scope(|scope| {
        let (polled, started) = mpsc::channel();
        let ended = end.wait();
        scope.spawn(move || {
            rt.block_on(async move {
                let (mut far, mut ended) = (pin!(sleep(FAR)), pin!(ended));
                poll_fn(|cx| {
                    let over =
                        far.as_mut().poll(cx).is_ready() | ended.as_mut().poll(cx).is_ready();
                    // The test listens to the first of these only.
                    let _ = polled.send(());
                    if over { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            });
        });
        started.recv().expect("the future is polled");
        // Whatever `f` finds, the thread is let go: the scope joins it.
        let _end = common::OnDrop::new(|| end.set());
        f();
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn an_idle_runtime_uses_no_cpu() {
    for workers in [1, 2, 4] {
        let rt = Runtime::builder()
            .workers(workers)
            .build()
            .expect("a runtime");
        assert_idle(&format!("fresh, {workers} workers"));
        work(&rt);
        assert_idle(&format!("after work, {workers} workers"));
        let manager = park(&rt);
        assert_idle(&format!("with parked tasks, {workers} workers"));
        while_blocked_on(&rt, || {
            assert_idle(&format!("in block_on, {workers} workers"));
        });
        rt.block_on(manager.stop()).expect("a started service");
    }
    let rt = Runtime::builder().workers(0).build().expect("a runtime");
    work(&rt);
    park(&rt);
    while_blocked_on(&rt, || assert_idle("in block_on, no workers"));
}
