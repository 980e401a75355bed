//! Too many children: which, from where, and a hook that is called before.

use crate::common::{Log, watchdog};
use std::future::pending;
use taskgrove::sim::Sim;
use taskgrove::{
    Context, Crowd, Handle, Manager, Runtime, SpawnError, Task, TooManyChildren, service_fn,
    yield_now,
};

/// Starts an app that may have 20 children, and returns its context.
async fn app() -> (Manager, Context) {
    let (tell, told) = std::sync::mpsc::channel();
    let app = service_fn("app", async move |ctx: Context| {
        tell.send(ctx).expect("the test waits");
        pending().await
    });
    let builder = Manager::builder(app).max_children(20);
    let app = builder.start(&Handle::current()).expect("it starts");
    loop {
        match told.try_recv() {
            Ok(ctx) => return (app, ctx),
            Err(_) => yield_now().await,
        }
    }
}

fn children(ctx: &Context, name: &str, count: usize) -> Vec<Task<()>> {
    let child = || ctx.task(pending::<taskgrove::Result>()).name(name).spawn();
    (0..count)
        .map(|_| child().expect("there is room"))
        .collect()
}

async fn end(tasks: Vec<Task<()>>) {
    for task in tasks {
        task.cancel();
        let _ = task.await;
    }
}

/// Runs a body in simulations and on threads, with a hook that logs.
fn with_hook(share: f64, body: impl AsyncFn(&Log<Crowd>) + Copy + Send + 'static) {
    for seed in 0..20 {
        let log = Log::new();
        let calls = log.clone();
        let sim = Sim::new(seed).on_crowd(share, move |crowd| calls.push(crowd.clone()));
        sim.block_on(body(&log));
    }
    watchdog(move || {
        for workers in [0, 1, 2] {
            let log = Log::new();
            let calls = log.clone();
            let builder = Runtime::builder().workers(workers);
            let builder = builder.on_crowd(share, move |crowd| calls.push(crowd.clone()));
            builder.build().expect("a runtime").block_on(body(&log));
        }
    });
}

#[test]
fn the_hook_is_called_once_for_each_crossing() {
    with_hook(0.8, async |calls| {
        let (app, ctx) = app().await;
        let mut conns = children(&ctx, "conn", 12);
        let mut jobs = children(&ctx, "job", 3);
        assert!(calls.is_empty(), "15 of 20");
        jobs.extend(children(&ctx, "job", 1));
        let told = calls.take();
        let [crowd] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((crowd.id, &*crowd.parent), (app.id().unwrap(), "app"));
        assert_eq!((crowd.children, crowd.limit), (16, 20));
        let names = [("conn".to_owned(), 12), ("job".to_owned(), 4)];
        assert_eq!(crowd.most_common, names);
        // Around the share it is quiet.
        for _ in 0..5 {
            end(jobs).await;
            jobs = children(&ctx, "job", 4);
        }
        jobs.extend(children(&ctx, "job", 4));
        assert!(calls.is_empty());
        end(jobs).await;
        end(conns.split_off(6)).await;
        assert!(calls.is_empty(), "6 of 20");
        let more = children(&ctx, "conn", 10);
        assert_eq!(calls.take().len(), 1);
        drop(more);
        app.stop().await.expect("it was started");
    });
}

/// Each time that the number comes to a share of at most three, it was below three quarters of that before.
#[test]
fn a_small_share_is_crossed_again() {
    for (share, number) in [(0.05, 1), (0.1, 2), (0.15, 3)] {
        for seed in 0..5 {
            let log: Log<Crowd> = Log::new();
            let calls = log.clone();
            let sim = Sim::new(seed).on_crowd(share, move |crowd| calls.push(crowd.clone()));
            sim.block_on(async {
                let (app, ctx) = app().await;
                let _base = children(&ctx, "base", number - 1);
                for _ in 0..3 {
                    assert!(log.is_empty());
                    let one = children(&ctx, "one", 1);
                    assert_eq!(log.take().len(), 1, "{number}");
                    end(one).await;
                }
                app.stop().await.expect("it was started");
            });
        }
    }
}

#[test]
fn child_services_count_and_raw_tasks_do_not() {
    with_hook(0.1, async |calls| {
        let (app, ctx) = app().await;
        for _ in 0..30 {
            taskgrove::spawn(pending::<()>()).cancel();
        }
        let child = || service_fn("child", async |_| pending().await);
        ctx.run_child_service(child()).expect("there is room");
        assert!(calls.is_empty());
        ctx.run_child_service(child()).expect("there is room");
        let told = calls.take();
        assert_eq!(told[0].most_common, [("child".to_owned(), 2)]);
        assert!(told[0].places[0].location.file().ends_with("crowd.rs"));
        app.stop().await.expect("it was started");
    });
}

#[test]
fn the_hook_may_panic_and_use_the_runtime() {
    for seed in 0..20 {
        let log: Log<usize> = Log::new();
        let seen = log.clone();
        let sim = Sim::new(seed).on_crowd(1.0, move |crowd| {
            let snapshot = Handle::current().snapshot();
            seen.push(snapshot.nodes().len());
            taskgrove::spawn(async {});
            std::panic::resume_unwind(Box::new(crowd.clone()));
        });
        sim.block_on(async {
            let (app, ctx) = app().await;
            children(&ctx, "conn", 20);
            assert_eq!(log.take(), [21]);
            app.stop().await.expect("it was started");
        });
    }
}

/// The error says which children there are, and where they come from.
#[test]
fn a_refusal_names_the_places() {
    with_hook(1.0, async |_| {
        let (app, ctx) = app().await;
        children(&ctx, "conn", 11);
        children(&ctx, "job", 3);
        let begin = line!();
        for _ in 0..6 {
            let conn = ctx
                .task(pending::<taskgrove::Result>())
                .name("conn")
                .spawn();
            conn.expect("there is room");
        }
        let lines = begin..line!();
        let refused = ctx.run_task(pending()).expect_err("it is full");
        let text = refused.to_string();
        let SpawnError::TooManyChildren(TooManyChildren { places, .. }) = refused else {
            panic!("{refused:?}")
        };
        let seen: Vec<_> = places.iter().map(|at| (&*at.name, at.count)).collect();
        assert_eq!(seen, [("conn", 11), ("conn", 6), ("job", 3)]);
        assert!(lines.contains(&places[1].location.line()));
        assert_eq!(places[0].location, places[2].location);
        let (first, second) = (places[0].location, places[1].location);
        let conns = format!("conn (x17, spawned at {first} (x11) and {second} (x6))");
        assert!(text.contains(&conns), "{text}");
        assert!(
            text.contains(&format!("job (x3, spawned at {first})")),
            "{text}"
        );
        app.stop().await.expect("it was started");
    });
}

#[test]
fn a_share_is_above_zero_and_at_most_one() {
    for share in [0.0, -1.0, 1.1, f64::NAN, f64::INFINITY] {
        let set = move || drop(Runtime::builder().on_crowd(share, |_| {}));
        assert!(std::panic::catch_unwind(set).is_err(), "{share}");
    }
}
