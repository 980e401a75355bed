//! Names and paths.

use crate::util::*;
use std::borrow::Cow;
use std::future::pending;
use std::sync::Arc;
use taskgrove::{Context, Manager, Service, service_fn, spawn};

async fn carry_water() {
    pending::<()>().await
}

struct Mill;

impl Service for Mill {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
}

struct Named;

impl Service for Named {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
    fn name(&self) -> Cow<'static, str> {
        "given".into()
    }
}

/// The default name of a task is that of the function, without path and closures.
#[test]
fn a_tasks_default_name() {
    on(0, async |h| {
        assert_eq!(h.spawn(carry_water()).name(), "carry_water");
        assert_eq!(h.spawn(async {}).name(), "a_tasks_default_name");
        let (_m, ctx) = app(&h).await;
        let task = ctx.run_task(async { Ok(()) }).unwrap();
        assert_eq!(task.name(), "a_tasks_default_name");
    });
}

/// The default name of a service is its type's; an `Arc` and a box forward it.
#[test]
fn a_services_default_name() {
    assert_eq!(Manager::new(Mill).unwrap().name(), "Mill");
    assert_eq!(Manager::new(Arc::new(Mill)).unwrap().name(), "Mill");
    assert_eq!(Manager::new(Mill.boxed()).unwrap().name(), "Mill");
    assert_eq!(Manager::new(Named).unwrap().name(), "given");
    assert_eq!(Manager::new(Arc::new(Named)).unwrap().name(), "given");
    assert_eq!(Manager::new(Named.boxed()).unwrap().name(), "given");
    let f = service_fn("closure", |_| async { Ok(()) });
    assert_eq!(Manager::new(f).unwrap().name(), "closure");
}

/// The builders' names win.
#[test]
fn names_can_be_set() {
    everywhere(async |h| {
        assert_eq!(h.task(async {}).name("a").spawn().name(), "a");
        let m = Manager::builder(Mill).name("b").build().unwrap();
        assert_eq!(m.name(), "b");
        let (_m, ctx) = app(&h).await;
        let task = ctx.task(async { Ok(()) }).name("c").spawn().unwrap();
        assert_eq!(task.name(), "c");
        let child = ctx.child_service(Named).name("d").spawn().unwrap();
        assert_eq!(child.name(), "d");
    });
}

/// Where a task was spawned is recorded.
#[test]
fn the_place_is_recorded() {
    on(0, async |h| {
        let (here, task) = (line!(), h.spawn(pending::<()>()));
        let nodes = h.snapshot();
        let node = &nodes.nodes()[0];
        assert_eq!(node.id, task.id());
        assert!(node.location.file().ends_with("names.rs"));
        assert_eq!(node.location.line(), here);
    });
}

/// Paths read `app/db/conn-3`; `run` is no segment.
#[test]
fn paths_are_names_from_the_root() {
    everywhere(async |h| {
        let seen = Gift::new();
        let give = seen.clone();
        h.start(service_fn("app", |ctx| async move {
            ctx.run_child_service(service_fn("db", |ctx| async move {
                ctx.task(pending::<taskgrove::Result>())
                    .name("conn-3")
                    .spawn()?;
                give.put(ctx);
                pending().await
            }))?;
            pending().await
        }))
        .unwrap();
        let ctx = seen.take().await;
        let all = h.snapshot();
        let paths: Vec<_> = all.nodes().iter().map(|n| n.path.as_str()).collect();
        assert_eq!(paths, ["app", "app/db", "app/db/conn-3"]);
        let part = ctx.snapshot();
        assert_eq!(part.nodes()[1].path, "app/db/conn-3");
    });
}

/// Deeper than 32 segments, the middle is left out.
#[test]
fn deep_paths_elide_the_middle() {
    fn dig(depth: usize, bottom: Event) -> impl Future<Output = ()> + Send {
        let down: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            if depth == 0 {
                bottom.set();
            } else {
                spawn(dig(depth - 1, bottom));
            }
            pending().await
        });
        down
    }
    on(0, async |h| {
        for (below, whole) in [(31, true), (32, false), (200, false)] {
            let bottom = Event::new();
            let task = h.task(dig(below, bottom.clone())).name("top").spawn();
            bottom.wait().await;
            let all = h.snapshot();
            let path = &all.nodes().last().unwrap().path;
            let segments: Vec<_> = path.split('/').collect();
            assert_eq!(all.nodes().len(), below + 1);
            assert_eq!(segments[0], "top");
            assert!(segments.len() <= 33, "{path}");
            assert_eq!(segments.len() == below + 1 && !path.contains('…'), whole);
            task.cancel();
            task.wait_done().await;
        }
    });
}
