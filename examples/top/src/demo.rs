//! A program that has something to show: workers that compute, connections that come and go, a service that fails
//! and is restarted, and a task that now and then blocks its worker.

use std::future::pending;
use std::hint::black_box;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use taskgrove::supervisor::{Backoff, ChildSpec, Strategy, Supervisor, SupervisorHandle};
use taskgrove::time::{interval, sleep, timeout};
use taskgrove::{Context, FailureKind, Manager, Runtime, ServiceError, Snapshot, service_fn};

/// The program, which runs until it is stopped.
pub(crate) struct Demo {
    runtime: Runtime,
    app: Manager,
    news: News,
}

/// What has happened since it was last asked for.
#[derive(Clone, Default)]
pub(crate) struct News(Arc<(Mutex<Vec<String>>, Condvar)>);

impl News {
    fn push(&self, line: String) {
        let (lines, pushed) = &*self.0;
        lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        pushed.notify_all();
    }
}

impl Demo {
    pub(crate) fn start() -> io::Result<Demo> {
        let news = News::default();
        let stalls = news.clone();
        let runtime = Runtime::builder()
            .workers(2)
            .track_busy_time(true)
            .track_awaits(true)
            .on_stall(Duration::from_millis(50), move |stall| {
                stalls.push(format!("stalled: {stall}"))
            })
            .build()?;
        let tell = news.clone();
        let app = service_fn("app", move |ctx| app(ctx, tell));
        let app = runtime.start(app).map_err(io::Error::other)?;
        Ok(Demo { runtime, app, news })
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.runtime.snapshot()
    }

    /// Takes what has happened.
    pub(crate) fn news(&self) -> Vec<String> {
        let (lines, _) = &*self.news.0;
        std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Blocks until something has happened that was not taken yet.
    pub(crate) fn wait_for_news(&self) {
        let (lines, pushed) = &*self.news.0;
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        drop(pushed.wait_while(lines, |lines| {
            !lines.iter().any(|line| line.contains("restarted"))
        }));
    }

    pub(crate) fn stop(self) {
        // A service that was started can be cancelled.
        let _ = self.runtime.block_on(self.app.stop());
    }
}

async fn app(ctx: Context, news: News) -> taskgrove::Result {
    for n in 1..=2 {
        ctx.task(crunch(n))
            .name(format!("crunch-{n}"))
            .daemon()
            .spawn()?;
    }
    ctx.task(block()).name("blocks").daemon().spawn()?;
    ctx.run_daemon_child_service(service_fn("web", web))?;
    let uplink = ChildSpec::new("uplink", || service_fn("uplink", uplink));
    let backoff = Backoff::exponential(Duration::from_millis(200), Duration::from_secs(2));
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .intensity(1_000_000, Duration::from_secs(1))
        .child(uplink.backoff(backoff));
    let handle = supervisor.handle();
    ctx.child_service(supervisor)
        .name("supervisor")
        .daemon()
        .spawn()?;
    ctx.task(report(handle, news))
        .name("reports")
        .daemon()
        .spawn()?;
    pending().await
}

/// Computes for a while, then waits.
async fn crunch(n: u64) -> taskgrove::Result {
    let mut ticks = interval(Duration::from_millis(40 * n));
    loop {
        ticks.tick().await;
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(8) {
            black_box((0..1_000_u64).sum::<u64>());
        }
    }
}

/// Blocks its worker every few seconds, as a program should not.
async fn block() -> taskgrove::Result {
    loop {
        sleep(Duration::from_secs(3)).await;
        std::thread::sleep(Duration::from_millis(120));
    }
}

/// Serves connections, each in a task of its own.
async fn web(ctx: Context) -> taskgrove::Result {
    for n in 1.. {
        let conn = async move {
            let _ = timeout(
                Duration::from_secs(5),
                sleep(Duration::from_millis(700 * (n % 5 + 1))),
            )
            .await;
            Ok(())
        };
        ctx.task(conn).name(format!("conn-{n}")).spawn()?;
        sleep(Duration::from_millis(400)).await;
    }
    Ok(())
}

/// Fails soon.
async fn uplink(_: Context) -> taskgrove::Result {
    sleep(Duration::from_millis(300)).await;
    Err("no route to host".into())
}

/// Tells of the supervisor's children that were restarted.
async fn report(children: SupervisorHandle, news: News) -> taskgrove::Result {
    let mut seen = 0;
    let mut ticks = interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        for child in children.children() {
            if child.restarts > seen {
                seen = child.restarts;
                news.push(format!(
                    "restarted {} (x{seen}): {}",
                    child.name,
                    reason(child.last_failure.as_ref())
                ));
            }
        }
    }
}

/// The error of the task that failed last, without its path.
fn reason(failure: Option<&ServiceError>) -> String {
    match failure.and_then(|failure| failure.root_causes().last()) {
        Some(cause) => match cause.kind() {
            FailureKind::Error(error) => error.to_string(),
            kind => format!("{kind:?}"),
        },
        None => "it ended".to_owned(),
    }
}
