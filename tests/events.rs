//! The feature `tracing`: a span for each task, and events of its life.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError, mpsc};
use std::time::Duration;
use taskgrove::sim::check;
use taskgrove::supervisor::{ChildSpec, Strategy, Supervisor};
use taskgrove::time::sleep;
use taskgrove::{Context, Handle, Manager, Runtime, Task, service_fn};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const MS: Duration = Duration::from_millis(1);

/// Collects the lines of all events, each with the path of the task in whose span it came.
#[derive(Default)]
struct Collector {
    spans: AtomicU64,
    /// The path of each span that is open.
    open: Mutex<HashMap<u64, String>>,
    lines: Mutex<Vec<String>>,
}

thread_local! {
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

static COLLECTOR: std::sync::LazyLock<Collector> = std::sync::LazyLock::new(Collector::default);

struct Forward;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Fields(String, String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.1, " {name}={value:?}"),
        }
        .expect("a string");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.1, " {}={value}", field.name()).expect("a string");
    }
}

impl Subscriber for Forward {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        assert!(span.is_root() && span.metadata().name() == "task");
        let mut fields = Fields::default();
        span.record(&mut fields);
        let (_, path) = fields.1.split_once("path=").expect("a path");
        let path = path.split(" id=").next().expect("a path").to_owned();
        let id = COLLECTOR.spans.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&COLLECTOR.open).insert(id, path);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = ENTERED.with(|entered| entered.borrow().last().copied());
        let span = span.and_then(|id| lock(&COLLECTOR.open).get(&id).cloned());
        let Fields(message, fields) = fields;
        let line = format!("[{}] {message}{fields}", span.unwrap_or_default());
        lock(&COLLECTOR.lines).push(line);
    }

    fn enter(&self, span: &Id) {
        ENTERED.with(|entered| entered.borrow_mut().push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        let left = ENTERED.with(|entered| entered.borrow_mut().pop());
        assert_eq!(left, Some(span.into_u64()));
    }

    fn try_close(&self, span: Id) -> bool {
        lock(&COLLECTOR.open).remove(&span.into_u64()).is_some()
    }
}

fn collect() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Forward).expect("the first"));
}

/// The lines with this text. Each test has names of its own.
fn lines(with: &str) -> Vec<String> {
    let lines = lock(&COLLECTOR.lines);
    lines.iter().filter(|l| l.contains(with)).cloned().collect()
}

/// The spans of these tasks that are open.
fn open(with: &str) -> usize {
    let open = lock(&COLLECTOR.open);
    open.values().filter(|path| path.contains(with)).count()
}

#[test]
fn a_task_has_a_span_that_is_entered_for_its_polls() {
    collect();
    check(0..10, async || {
        let seed = taskgrove::sim::random();
        let name = format!("spans-{seed}");
        let said = name.clone();
        let handle = Handle::current();
        let task = handle.task(async move {
            tracing::info!("one {said}");
            sleep(MS).await;
            tracing::info!("two {said}");
        });
        let task = task.name(name.clone()).spawn();
        let second = handle.task(pending::<()>()).name(format!("{name}-b"));
        let second: Task<()> = second.spawn();
        sleep(MS / 2).await;
        assert_eq!(open(&name), 2);
        tracing::info!("outside {name}");
        task.await.expect("it ends");
        assert_eq!(open(&name), 1);
        second.cancel();
        let _ = second.await;
        assert_eq!(open(&name), 0);
        let own: Vec<_> = lines(&format!(" {name}"));
        assert_eq!(own.len(), 3, "{own:?}");
        assert!(own[0].starts_with(&format!("[{name}] one")), "{own:?}");
        assert!(own[1].starts_with("[] outside"), "{own:?}");
        assert!(own[2].starts_with(&format!("[{name}] two")), "{own:?}");
        let started = lines(&format!("[{name}] started"));
        assert!(started.len() == 1 && started[0].contains("location=tests/events.rs:"));
        let cancelled = lines(&format!("cancelled path={name}-b "));
        assert_eq!(cancelled.len(), 1);
        assert!(cancelled[0].contains("kill=false"), "{cancelled:?}");
    });
}

/// The event has the cause; a request that changes nothing is no event.
#[test]
fn a_cancellation_has_its_cause() {
    collect();
    check(0..3, async || {
        let name = format!("causes-{}", taskgrove::sim::random());
        let app = || service_fn(name.clone(), async |_| pending().await);
        let cancelled = || lines(&format!("cancelled path={name} "));
        let cause = |text: &str| format!(" cause={name}: {text}");
        let m = Handle::current().start(app()).expect("it starts");
        m.cancel_with("reload").expect("it was started");
        m.cancel_with("again").expect("it was started");
        m.wait_finished().await;
        let first = cancelled();
        assert_eq!(first.len(), 1, "{first:?}");
        assert!(first[0].contains(&cause("cancel_with() at tests/events.rs:")));
        assert!(first[0].ends_with(": \"reload\"") && first[0].contains("kill=false"));
        let m = Handle::current().start(app()).expect("it starts");
        m.kill().expect("it was started");
        m.wait_finished().await;
        let second = cancelled().split_off(1);
        assert_eq!(second.len(), 1, "{second:?}");
        assert!(second[0].contains(&cause("kill() at tests/events.rs:")));
        assert!(second[0].contains("kill=true"), "{second:?}");
    });
}

#[test]
fn failures_and_restarts_are_events() {
    collect();
    check(0..3, async || {
        let name = format!("fails-{}", taskgrove::sim::random());
        let app = service_fn(name.clone(), async |ctx: Context| {
            ctx.task(async { Err::<(), _>("no disk".into()) })
                .name("disk")
                .spawn()?;
            pending().await
        });
        Manager::run_service(app).await.expect_err("a failure");
        let failed = lines(&format!("failed path={name}/disk "));
        assert_eq!(failed.len(), 1);
        assert!(failed[0].contains("no disk"), "{failed:?}");
        let spec = ChildSpec::new("child", || {
            service_fn("child", async |_| {
                sleep(MS).await;
                Err("again".into())
            })
        });
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(2, Duration::from_secs(5));
        let before = lines("restarted supervisor=").len();
        let supervisor = Handle::current()
            .start(supervisor.child(spec))
            .expect("it starts");
        supervisor.wait_finished().await;
        let restarted = lines("restarted supervisor=").split_off(before);
        assert_eq!(restarted.len(), 2, "{restarted:?}");
        assert!(
            restarted[1].contains("child=child restarts=2"),
            "{restarted:?}"
        );
    });
}

#[test]
fn on_threads_and_with_stalls() {
    collect();
    let (tell, told) = mpsc::channel();
    let builder = Runtime::builder().workers(2);
    let rt = builder
        .on_stall(MS, move |_| _ = tell.send(()))
        .build()
        .expect("a runtime");
    let (go_on, goes_on) = mpsc::channel::<()>();
    let stuck = rt.task(async move {
        let _ = goes_on.recv();
    });
    let stuck = stuck.name("stuck-on-threads").spawn();
    told.recv().expect("a stall");
    drop(go_on);
    rt.block_on(stuck).expect("it ends");
    let stalled = lines("stalled path=stuck-on-threads ");
    assert!(stalled[0].contains("running_for="), "{stalled:?}");
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let task = rt.task(async move {
                taskgrove::yield_now().await;
                tracing::info!("thread {n}.");
            });
            task.name(format!("task-{n}")).spawn()
        })
        .collect();
    for task in tasks {
        rt.block_on(task).expect("it ends");
    }
    for n in 0..50 {
        assert_eq!(lines(&format!("[task-{n}] thread {n}.")).len(), 1);
    }
    drop(rt);
    assert_eq!(open("task-") + open("stuck-on-threads"), 0);
}

/// Panics in each call about a span or an event, and counts the spans that are open.
struct Panics(std::sync::Arc<AtomicU64>);

impl Subscriber for Panics {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        panic!("in an event");
    }

    fn enter(&self, span: &Id) {
        // Both are tried: an enter that panics has no exit.
        assert!(span.into_u64().is_multiple_of(2), "in an enter");
    }

    fn exit(&self, _: &Id) {
        panic!("in an exit");
    }

    fn try_close(&self, _: Id) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed);
        panic!("in a close");
    }
}

/// Two panics at once would end the process.
#[test]
fn a_subscriber_may_panic_in_each_call() {
    let open = std::sync::Arc::new(AtomicU64::new(0));
    tracing::subscriber::with_default(Panics(open.clone()), || {
        let rt = Runtime::builder().workers(0).build().expect("a runtime");
        for _ in 0..4 {
            let app = service_fn("app", async |ctx: Context| {
                ctx.run_daemon_task(pending())?;
                ctx.run_task(async {
                    taskgrove::yield_now().await;
                    Err("no disk".into())
                })?;
                pending().await
            });
            let error = rt.run(app).expect_err("a failure");
            assert!(error.to_string().contains("no disk"), "{error}");
        }
        let killed: Task<()> = rt.spawn(pending());
        rt.block_on(taskgrove::yield_now());
        killed.kill();
        rt.block_on(killed.wait_done());
        assert_eq!(open.load(Ordering::Relaxed), 0);
    });
}
