//! Every public type is `Debug`: what it shows says which thing it is and how that is doing.

use crate::util::*;
use std::fmt::Debug;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;
use taskgrove::{Context, Manager, ManagerSlot, Service, defer, service_fn};

#[track_caller]
fn shows(thing: &dyn Debug, parts: &[&str]) {
    let shown = format!("{thing:?}");
    for part in parts {
        assert!(shown.contains(part), "{shown} has no `{part}`");
    }
}

#[test]
fn of_a_task() {
    on(0, async |h| {
        let task = h.task(pending::<()>()).name("digger").spawn();
        let id = format!("{:?}", task.id());
        shows(&task, &["Task", "\"digger\"", &id, "is_done: false"]);
        let handle = task.cancel_handle();
        shows(&handle, &["CancelHandle", &id, "is_done: false"]);
        let guard = task.cancel_on_drop();
        shows(&guard, &["CancelOnDrop", "\"digger\"", &id]);
        guard.cancel();
        guard.wait_done().await;
        shows(&guard, &["is_done: true"]);
        shows(&handle, &["is_done: true"]);
    });
}

#[test]
fn of_a_service() {
    on(0, async |h| {
        let (manager, ctx) = app(&h).await;
        let running = ["\"app\"", "is_running: true", "is_finished: false"];
        shows(&manager, &running);
        shows(&ctx, &["Context", running[0], running[1], running[2]]);
        manager.stop().await.unwrap();
        shows(&manager, &["is_running: false", "is_cancelled: true"]);
        shows(&manager, &["is_finished: true", "did_error: false"]);
    });
}

#[test]
fn of_a_slot() {
    #[derive(Default)]
    struct Mill(ManagerSlot);
    impl Service for Mill {
        async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
            Ok(())
        }
        fn manager_slot(&self) -> Option<&ManagerSlot> {
            Some(&self.0)
        }
    }
    let mill = Arc::new(Mill::default());
    shows(&mill.0, &["ManagerSlot", "None"]);
    let _manager = Manager::new(mill.clone()).unwrap();
    shows(&mill.0, &["ManagerSlot", "\"Mill\""]);
}

#[test]
fn of_what_is_not_started() {
    let service = || service_fn("wheel", async |_: Context| Ok(()));
    shows(&service(), &["ServiceFn", "\"wheel\""]);
    shows(&service().boxed(), &["BoxService"]);
    shows(&defer(ready(())), &["Defer", file!()]);
    let builder = Manager::builder(service()).name("dam").max_children(77);
    shows(
        &builder.grace(Duration::from_secs(5)),
        &["ManagerBuilder", "\"dam\"", "77", "5s"],
    );
}

#[test]
fn of_builders_in_a_service() {
    on(0, async |h| {
        let (_manager, ctx) = app(&h).await;
        let task = || ctx.task(async { Ok(()) }).name("digger");
        shows(&task(), &["TaskBuilder", "\"digger\"", "daemon: false"]);
        let daemon = task().daemon().grace(Duration::from_secs(5));
        shows(&daemon, &["daemon: true", "5s"]);
        let child = || {
            let wheel = service_fn("wheel", async |_: Context| Ok(()));
            ctx.child_service(wheel).name("cog")
        };
        shows(
            &child(),
            &["ChildServiceBuilder", "\"cog\"", "daemon: false"],
        );
        let daemon = child().daemon().grace(Duration::from_secs(5));
        shows(&daemon, &["daemon: true", "5s"]);
    });
}
