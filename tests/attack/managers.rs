//! Managers and who waits by them.

use crate::common::{Event, on_two_workers};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Wake, Waker};
use taskgrove::{
    Context, Manager, ManagerSlot, Service, background_service, service_fn, yield_now,
};

/// A service that looks into its own slot while it is given its manager, as another thread might.
#[derive(Default)]
struct Peeks {
    slot: ManagerSlot,
    seen: Mutex<Vec<Manager>>,
}

impl Service for Peeks {
    async fn run(self: Arc<Self>, _ctx: Context) -> taskgrove::Result {
        Ok(())
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        if let Ok(manager) = self.slot.get() {
            self.seen.lock().expect("no panic").push(manager);
        }
        Some(&self.slot)
    }
}

/// A manager that was taken out of the slot the moment it was filled can start the service.
#[test]
fn a_slot_is_filled_in_one_step() {
    on_two_workers(async || {
        let service = Arc::new(Peeks::default());
        let manager = Manager::new(service.clone()).expect("managed");
        let seen = std::mem::take(&mut *service.seen.lock().expect("no panic"));
        let first = seen.first().unwrap_or(&manager);
        first.run().await.expect("started by it");
        assert!(manager.is_finished());
    });
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who has waited beside a service that ended well leaves nothing in its record.
#[test]
fn a_background_service_that_ends_first_keeps_no_waker() {
    on_two_workers(async || {
        let (over, may_end) = (Event::new(), Event::new());
        let kept = Arc::new(Mutex::new(None));
        let (open, keep) = (over.clone(), kept.clone());
        let woken = Arc::new(Woken::default());
        {
            let waker = Waker::from(woken.clone());
            // Not before it is waited for, or there is nothing to wake.
            let end = may_end.clone();
            let service = service_fn("short", async move |_| {
                end.wait().await;
                Ok(())
            });
            let mut both = pin!(background_service(service, async move |manager| {
                *keep.lock().expect("no panic") = Some(manager);
                open.wait().await;
            }));
            let mut poll = || both.as_mut().poll(&mut TaskContext::from_waker(&waker));
            assert!(poll().is_pending());
            let manager = kept.lock().expect("no panic").clone().expect("kept");
            may_end.set();
            manager.wait_finished().await;
            while woken.0.load(Ordering::Relaxed) == 0 {
                yield_now().await;
            }
            assert!(poll().is_pending());
            over.set();
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                poll().map(|ended| ended.expect("it ended well"))
            })
            .await;
        }
        assert_eq!(Arc::strong_count(&woken), 1, "its waker is kept");
        drop(kept);
    });
}
