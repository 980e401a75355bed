//! Behaviour 21: calls from outside.

use crate::common::{Counter, Event};
use crate::drive::scenario;
use crate::util::{Idle, assert_not_running, forever, in_background};
use std::sync::Arc;
use taskgrove::{
    Context, LifecycleError, Manager, ManagerSlot, Service, background_service, shielded,
};

/// A service with an API: it answers seven while it is running, and once it is told to.
#[derive(Default)]
struct Seven {
    slot: ManagerSlot,
    called: Event,
    answer: Event,
    calls_alive: Counter,
}

impl Seven {
    /// Answers at once.
    async fn get(&self) -> Result<u32, LifecycleError> {
        self.slot.external_api(async { 7 }).await
    }

    /// Answers when told to.
    async fn get_later(&self) -> Result<u32, LifecycleError> {
        self.slot
            .external_api(async {
                let _call = self.calls_alive.live();
                self.called.set();
                self.answer.wait().await;
                7
            })
            .await
    }
}

impl Service for Seven {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        ctx.wait_finished().await;
        Ok(())
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.slot)
    }
}

/// `test_trio_service_external_api_fails_before_start`
#[test]
fn b21_external_api_fails_before_the_start() {
    scenario(async || {
        let service = Arc::new(Seven::default());
        assert!(matches!(
            service.get().await,
            Err(LifecycleError::NoManager)
        ));
        let manager = Manager::new(service.clone()).unwrap();
        assert_not_running(service.get().await);
        assert_not_running(manager.external_api(async { 7 }).await);
    });
}

/// `test_trio_service_external_api_works_while_running`
#[test]
fn b21_external_api_works_while_running() {
    scenario(async || {
        let service = Arc::new(Seven::default());
        background_service(service.clone(), async |manager: Manager| {
            assert_eq!(service.get().await, Ok(7));
            assert_eq!(manager.external_api(async { 7 }).await, Ok(7));

            let later = {
                let service = service.clone();
                taskgrove::spawn(async move { service.get_later().await })
            };
            service.called.wait().await;
            assert!(!later.is_done());
            service.answer.set();
            assert_eq!(later.await.unwrap(), Ok(7));
        })
        .await
        .unwrap();
    });
}

/// `test_trio_service_external_api_raises_when_cancelled`
#[test]
fn b21_call_under_way_fails_when_the_service_is_cancelled() {
    scenario(async || {
        let service = Arc::new(Seven::default());
        // Holds the service in its shutdown until the calls have been seen to fail.
        let (in_shield, go) = (Event::new(), Event::new());
        let (set, gone) = (in_shield.clone(), go.wait());
        let manager = Manager::new(service.clone()).unwrap();
        let run = in_background(&manager);
        manager.wait_started().await;
        let hold = shielded(async move {
            set.set();
            gone.await;
            Ok(())
        });
        service.slot.context().unwrap().run_task(hold).unwrap();
        in_shield.wait().await;

        let call = {
            let service = service.clone();
            taskgrove::spawn(async move { service.get_later().await })
        };
        service.called.wait().await;
        manager.cancel().unwrap();
        assert_not_running(call.await.unwrap());
        assert_eq!(service.calls_alive.get(), 0, "the call's future is dropped");
        assert!(manager.is_running(), "cancelled, but not finished");
        assert_not_running(service.get().await);

        go.set();
        run.await.unwrap().unwrap();
        assert_not_running(service.get().await);
    });
}

/// `test_trio_service_external_api_raises_when_finished`
#[test]
fn b21_external_api_fails_after_the_end() {
    scenario(async || {
        let service = Arc::new(Seven::default());
        let manager = background_service(service.clone(), async |manager| manager)
            .await
            .unwrap();
        assert!(manager.is_finished());
        let polled = Event::new();
        let call = manager.external_api(async { polled.set() });
        assert_not_running(call.await);
        assert!(!polled.is_set(), "the call's future is never polled");
        assert_not_running(service.get().await);
    });
}

/// `test_trio_external_api_call_that_schedules_task`
#[test]
fn b21_call_can_schedule_tasks() {
    scenario(async || {
        let (done, dropped) = (Event::new(), Counter::new());
        let service = Idle::new();
        let (set, guard) = (done.clone(), dropped.dropped());
        let manager = background_service(service.clone(), async |manager: Manager| {
            let scheduled = service.slot.external_api(async {
                service.schedule(async move {
                    let _guard = guard;
                    set.set();
                    forever().await
                })
            });
            let task = scheduled.await.unwrap().unwrap();
            assert_eq!(
                task.parent(),
                manager.id(),
                "it is the service's, not the caller's"
            );
            done.wait().await;
            manager
        })
        .await
        .unwrap();
        assert_eq!(dropped.get(), 1, "it ends with the service");
        assert_eq!(manager.stats().tasks.total_count, 1);
    });
}
