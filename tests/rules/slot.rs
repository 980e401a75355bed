//! The manager slot, and the external API.

use crate::util::*;
use std::borrow::Cow;
use std::future::pending;
use std::sync::{Arc, Weak};
use taskgrove::{
    Context, LifecycleError, Manager, ManagerSlot, Service, ServiceError, SpawnError, service_fn,
    shielded, yield_now,
};

#[derive(Default)]
struct Counter {
    slot: ManagerSlot,
    go: Event,
}

impl Service for Counter {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        self.go.wait().await;
        Ok(())
    }
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.slot)
    }
}

fn not_running() -> LifecycleError {
    LifecycleError::NotRunning {
        service: "Counter".into(),
    }
}

/// Without a manager everything is `NoManager`.
#[test]
fn an_empty_slot() {
    everywhere(async |_| {
        static SLOT: ManagerSlot = ManagerSlot::new();
        for slot in [&SLOT, &ManagerSlot::default()] {
            let none = LifecycleError::NoManager;
            assert_eq!(slot.get().unwrap_err(), none);
            assert_eq!(slot.context().unwrap_err(), none);
            assert_eq!(slot.external_api(async {}).await, Err(none));
        }
    });
}

/// A manager from the slot can do what the first one can: run the service, once.
#[test]
fn a_manager_from_the_slot_runs_the_service() {
    everywhere(async |_| {
        let s = Arc::new(Counter::default());
        let first = Manager::new(s.clone()).unwrap();
        s.go.set();
        s.slot.get().unwrap().run().await.unwrap();
        assert!(first.is_finished());
        assert!(first.run().await.is_err(), "it ran already");
    });
}

/// A service that says nothing about a slot has none.
#[test]
fn no_slot() {
    struct Plain;
    impl Service for Plain {
        async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
            Ok(())
        }
    }
    assert!(Plain.manager_slot().is_none());
    assert!(Arc::new(Plain).manager_slot().is_none());
    assert!(Plain.boxed().manager_slot().is_none());
}

/// The slot's manager and context are those of the service.
#[test]
fn a_taken_slot() {
    everywhere(async |h| {
        let s = Arc::new(Counter::default());
        let m = Manager::new(s.clone()).unwrap();
        assert_eq!(s.slot.get().unwrap().name(), "Counter");
        assert!(!s.slot.get().unwrap().is_started());
        let runner = m.clone();
        let running = h.spawn(async move { runner.run().await });
        m.wait_started().await;
        assert_eq!(s.slot.get().unwrap().id(), m.id());
        assert_eq!(s.slot.context().unwrap().id(), m.id());
        s.go.set();
        running.await.unwrap().unwrap();
        assert!(s.slot.get().unwrap().is_finished());
    });
}

fn taken() -> LifecycleError {
    LifecycleError::AlreadyManaged {
        service: "Counter".into(),
    }
}

/// A slot is taken while there is a manager, and stays taken for ever once the service was started.
#[test]
fn a_slot_stays_taken() {
    everywhere(async |h| {
        let taken = taken();
        let s = Arc::new(Counter::default());
        let first = Manager::new(s.clone()).unwrap();
        let second = s.slot.get().unwrap();
        drop(first);
        assert_eq!(Manager::new(s.clone()).unwrap_err(), taken);
        assert_eq!(Manager::builder(s.clone()).build().unwrap_err(), taken);
        assert_eq!(h.start(s.clone()).unwrap_err(), taken);
        s.go.set();
        second.run().await.unwrap();
        drop(second);
        assert_eq!(h.start(s.clone()).unwrap_err(), taken);
        assert!(s.slot.get().unwrap().is_finished());
        let s = Arc::new(Counter::default());
        s.go.set();
        Manager::run_service(s.clone()).await.unwrap();
        assert_eq!(Manager::new(s.clone().boxed()).unwrap_err(), taken);
        let error = Manager::run_service(s).await.unwrap_err();
        assert!(error.to_string().contains("Counter"));
    });
}

/// With the last manager of a service that was not started its slot is free again.
#[test]
fn a_manager_dropped_before_the_start_leaves_the_slot_free() {
    everywhere(async |h| {
        let s = Arc::new(Counter::default());
        for _ in 0..3 {
            let first = Manager::new(s.clone()).unwrap();
            drop(s.slot.get().unwrap());
            drop(s.slot.context().unwrap());
            drop(first);
            assert_eq!(s.slot.get().unwrap_err(), LifecycleError::NoManager);
            let call = s.slot.external_api(async { 1 });
            assert_eq!(call.await, Err(LifecycleError::NoManager));
        }
        // A run that is never polled is no start, either.
        drop(Manager::run_service(s.clone()));
        drop(Manager::new(s.clone()).unwrap().run());
        let m = h.start(s.clone()).unwrap();
        s.go.set();
        s.slot.get().unwrap().wait_finished().await;
        assert!(m.is_finished());
    });
}

/// A service that the limit refused can be started when there is room, as the error advises.
#[test]
fn a_start_refused_by_the_limit_leaves_the_slot_free() {
    everywhere(async |h| {
        let (_m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let s = Arc::new(Counter::default());
        let first = ctx.run_task(pending()).unwrap();
        for _ in 0..3 {
            let refused = ctx.run_child_service(s.clone());
            assert!(matches!(refused, Err(SpawnError::TooManyChildren(_))));
            assert_eq!(s.slot.get().unwrap_err(), LifecycleError::NoManager);
        }
        first.cancel();
        first.wait_done().await;
        let m = ctx.run_child_service(s.clone()).unwrap();
        assert_eq!(s.slot.get().unwrap().id(), m.id());
        assert_eq!(h.start(s.clone()).unwrap_err(), taken());
        s.go.set();
        m.wait_finished().await;
    });
}

/// So can one that came too late, in a task or in a service that is being cancelled.
#[test]
fn a_start_that_came_too_late_leaves_the_slot_free() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let s = Arc::new(Counter::default());
        let (inside, go, late) = (Event::new(), Event::new(), s.clone());
        let (set, wait, inner) = (inside.clone(), go.wait(), ctx.clone());
        let (over, answer) = (Event::new(), Gift::new());
        let (until, give) = (over.wait(), answer.clone());
        let beside = async move {
            set.set();
            wait.await;
            let own = Manager::new(late.clone()).unwrap();
            let refused = own.run().await;
            assert!(own.is_finished() && own.is_cancelled() && !own.is_started());
            own.wait_started().await;
            own.wait_finished().await;
            assert_eq!(own.result().map(|result| result.is_ok()), Some(true));
            assert!(own.run().await.is_err());
            give.put((refused, inner.run_child_service(late).unwrap()));
            over.set();
        };
        // The shield keeps the task, but what is beside it is not protected.
        let work = async move {
            both(shielded(until), beside).await;
            Ok(())
        };
        let task = ctx.task(work).spawn().unwrap();
        inside.wait().await;
        m.cancel().unwrap();
        // The service's own walk may not be there yet when the shield goes on.
        task.cancel();
        go.set();
        let (refused, born_done) = answer.take().await;
        task.wait_done().await;
        assert!(matches!(refused, Err(ServiceError::Lifecycle(e)) if e == not_running()));
        assert!(born_done.is_finished() && !born_done.is_started());
        let m = h.start(s.clone()).unwrap();
        s.go.set();
        m.wait_finished().await;
        assert!(m.result().unwrap().is_ok());
    });
}

/// Two who manage one service at once: one of them does, whoever drops a manager beside them.
#[test]
fn a_slot_is_taken_by_one() {
    watchdog(|| {
        let rt = build(2);
        for _ in 0..500 {
            let s = Arc::new(Counter::default());
            drop(Manager::new(s.clone()).unwrap());
            s.go.set();
            let start = || rt.start(s.clone()).is_ok();
            let [a, b] = std::thread::scope(|scope| {
                [scope.spawn(start), scope.spawn(start)].map(|thread| thread.join().unwrap())
            });
            assert!(a != b, "one of two, not {a} and {b}");
            rt.block_on(s.slot.get().unwrap().wait_finished());
        }
    });
}

/// `service_fn` can be started once.
#[test]
fn a_closure_can_be_managed_once() {
    everywhere(async |_| {
        let s = Arc::new(service_fn("once", |_| async { Ok(()) }));
        let taken = LifecycleError::AlreadyManaged {
            service: "once".into(),
        };
        let first = Manager::new(s.clone()).unwrap();
        assert_eq!(Manager::new(s.clone()).unwrap_err(), taken);
        drop(first);
        Manager::new(s.clone()).unwrap().run().await.unwrap();
        assert_eq!(Manager::new(s).unwrap_err(), taken);
    });
}

/// The slot of a closure is filled for a service around it, of the same size, that shows it.
#[test]
fn the_slot_of_a_closure_serves_the_service_around_it() {
    struct Around<S>(S);
    impl<S: Service> Service for Around<S> {
        async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
            let slot = self.manager_slot().expect("that of the closure");
            assert_eq!(slot.get()?.id(), ctx.id());
            Ok(())
        }
        fn manager_slot(&self) -> Option<&ManagerSlot> {
            self.0.manager_slot()
        }
    }
    everywhere(async |_| {
        let closure = service_fn("closure", async |_| Ok(()));
        Manager::run_service(Around(closure)).await.unwrap();
    });
}

/// The slot keeps the record, never the service.
#[test]
fn a_slot_is_no_cycle() {
    everywhere(async |h| {
        let s = Arc::new(Counter::default());
        let weak: Weak<Counter> = Arc::downgrade(&s);
        drop(Manager::new(s).unwrap());
        assert!(weak.upgrade().is_none());
        let s = Arc::new(Counter::default());
        let weak = Arc::downgrade(&s);
        let go = s.go.clone();
        let m = h.start(s).unwrap();
        go.set();
        m.wait_finished().await;
        assert!(weak.upgrade().is_none());
    });
}

struct BadName(ManagerSlot);

impl Service for BadName {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
    fn name(&self) -> Cow<'static, str> {
        panic!("intended: no name")
    }
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.0)
    }
}

/// `name` is called before the slot is taken; its panic goes to the caller.
#[test]
fn a_panic_in_name_leaves_the_slot_free() {
    let s = Arc::new(BadName(ManagerSlot::new()));
    let text = panics(|| Manager::new(s.clone()));
    assert_eq!(text, "intended: no name");
    assert_eq!(s.0.get().unwrap_err(), LifecycleError::NoManager);
}

/// The external API fails before the start, works while running, and fails after the end.
#[test]
fn the_external_api() {
    everywhere(async |h| {
        let s = Arc::new(Counter::default());
        let m = Manager::new(s.clone()).unwrap();
        assert_eq!(m.external_api(async { 1 }).await, Err(not_running()));
        assert_eq!(s.slot.external_api(async { 1 }).await, Err(not_running()));
        let runner = m.clone();
        h.spawn(async move { runner.run().await });
        m.wait_started().await;
        assert_eq!(m.external_api(async { 1 }).await, Ok(1));
        assert_eq!(s.slot.external_api(async { 2 }).await, Ok(2));
        let ctx = s.slot.context().unwrap();
        let scheduled = m.external_api(async { ctx.run_task(async { Ok(()) }) });
        scheduled.await.unwrap().unwrap().await.unwrap();
        s.go.set();
        m.wait_finished().await;
        assert_eq!(m.external_api(async { 1 }).await, Err(not_running()));
        assert_eq!(s.slot.external_api(async { 1 }).await, Err(not_running()));
    });
}

/// A call under way fails as soon as the service is cancelled, and its future is dropped.
#[test]
fn a_call_under_way_fails() {
    everywhere(async |h| {
        let s = Arc::new(Counter::default());
        let m = h.start(s.clone()).unwrap();
        let (inside, fallen) = (Event::new(), Event::new());
        let (set, guard) = (inside.clone(), Falls(fallen.clone()));
        let call = h.spawn(async move {
            let call = async move {
                let _guard = guard;
                set.set();
                pending::<()>().await
            };
            s.slot.external_api(call).await
        });
        inside.wait().await;
        m.cancel().unwrap();
        assert_eq!(call.await.unwrap(), Err(not_running()));
        assert!(fallen.is_set());
        assert_eq!(m.external_api(async { 1 }).await, Err(not_running()));
        m.wait_finished().await;
        yield_now().await;
    });
}

/// A call under way fails, too, when the service ends by itself.
#[test]
fn a_call_under_way_fails_at_the_end() {
    everywhere(async |h| {
        let s = Arc::new(Counter::default());
        let m = h.start(s.clone()).unwrap();
        let inside = Event::new();
        let set = inside.clone();
        let caller = m.clone();
        let call = h.spawn(async move {
            let call = async move {
                set.set();
                pending::<()>().await
            };
            caller.external_api(call).await
        });
        inside.wait().await;
        s.go.set();
        assert_eq!(call.await.unwrap(), Err(not_running()));
    });
}
