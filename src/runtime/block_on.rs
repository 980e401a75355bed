//! Blocking a thread on a future in a runtime with a thread pool.

use super::driver::{Bed, Driver, PassOn};
use crate::schedule::pool::Pool;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::task::Shared;
use crate::task::current;
use crate::task::current::inside::InRuntime;
use crate::task::shared::BlockOn;
use std::task::Context;

impl BlockOn for Arc<Pool> {
    fn block_on(&self, shared: &Arc<Shared>, poll: &mut dyn FnMut(&mut Context<'_>) -> bool) {
        assert!(
            !current::is_worker_of(shared),
            "`block_on` was called on a worker of the same runtime, and would block the tasks it waits for: await the future instead"
        );
        let drives = !self.has_threads();
        let _in_runtime = InRuntime::enter(shared.clone(), None);
        let bed = Bed::made();
        let Bed {
            parker,
            woken,
            waker,
        } = &bed;
        let mut cx = Context::from_waker(waker);
        // Declared before the driver, so dropped after it has given the core back.
        let _pass_on = PassOn(drives.then_some(&**self));
        let mut driver: Option<Driver<'_>> = None;
        loop {
            // Acquire pairs with the waker's Release. A wake during the poll sets the flag again.
            if woken.swap(false, Ordering::AcqRel) && poll(&mut cx) {
                break;
            }
            // Relaxed: it is about a wake on this thread. One that comes from elsewhere meanwhile may count as such.
            let has_yielded = woken.load(Ordering::Relaxed);
            let may_drive = drives && !self.has_terminated();
            if driver.is_none() && may_drive {
                driver = Driver::take(self, shared, parker);
            }
            match &mut driver {
                // Nothing is left to drive, and no worker of a runtime that has ended sleeps.
                Some(driving) if !may_drive => {
                    driving.finish();
                    driver = None;
                }
                Some(driver) if has_yielded => driver.run_queued(),
                Some(driver) => driver.run(|| woken.load(Ordering::Acquire)),
                None => self.park_block_on_thread(shared, parker, || {
                    let free = may_drive && (self.is_core_free() || self.has_terminated());
                    free || woken.load(Ordering::Acquire)
                }),
            }
        }
        // The runtime was dropped meanwhile, perhaps by the future: then no other thread ends its tasks.
        if let Some(driver) = &mut driver
            && !shared.is_open()
        {
            while !self.has_terminated() {
                driver.run(|| self.has_terminated());
            }
        }
        drop(driver);
        bed.leave();
    }
}
