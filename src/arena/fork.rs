//! The arena across `fork`.
//!
//! The child has a copy of the process's memory and one thread. A lock that another thread holds
//! when the process forks would never be released in the child, and the data it protects could be
//! half changed. So the thread that forks takes every lock of the arena before, in their order, and
//! releases them after, in the parent and in the child. The holders of these locks wait for nothing
//! but the global allocator, whose locks the system takes after these handlers have run; so the
//! handlers do not deadlock.
//!
//! The child loses the slots that lie in the magazines of the parent's other threads, and nothing
//! else.

use super::depot::{AllLocks, Depots};
use crate::sync::atomic::{AtomicPtr, Ordering};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// The depots that the handlers lock; null until [`watch`] is called.
///
/// `watch` sets it once, with `Release`; the handlers' `Acquire` load pairs with that.
static WATCHED: AtomicPtr<Depots> = AtomicPtr::new(null_mut());

/// The locks, from the handler that runs before the fork to the one that runs after it.
struct Kept(UnsafeCell<Option<AllLocks<'static>>>);

// SAFETY: only the handlers below access it, on the thread that forks, which holds all the locks:
// it is filled after they were taken, and emptied before they are released.
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(UnsafeCell::new(None));

unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> std::ffi::c_int;
}

extern "C" fn before() {
    // SAFETY: `watch` stored a `&'static Depots` before it registered this handler.
    let depots: &'static Depots = unsafe { &*WATCHED.load(Ordering::Acquire) };
    let locks = depots.lock_all();
    // SAFETY: this thread holds all the locks.
    unsafe { *KEPT.0.get() = Some(locks) };
}

extern "C" fn after() {
    // SAFETY: this thread has held all the locks since `before`.
    let locks = unsafe { (*KEPT.0.get()).take() };
    drop(locks);
}

/// Registers the handlers for the process's arena. Every call passes the same depots.
pub(super) fn watch(depots: &'static Depots) {
    // Relaxed: the load only decides whether to try, and no data depend on it.
    if !WATCHED.load(Ordering::Relaxed).is_null() {
        return;
    }
    let depots = (&raw const *depots).cast_mut();
    // Relaxed on failure: another thread registers the handlers.
    let stored = WATCHED.compare_exchange(null_mut(), depots, Ordering::Release, Ordering::Relaxed);
    if stored.is_ok() {
        // SAFETY: the handlers are functions for the life of the process, and do not unwind.
        // Without memory for them, a child has to do without.
        unsafe { pthread_atfork(Some(before), Some(after), Some(after)) };
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use crate::Runtime;
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    const NO_HANG: c_int = 1;
    const KILL: c_int = 9;

    unsafe extern "C" {
        fn fork() -> c_int;
        fn waitpid(child: c_int, status: *mut c_int, options: c_int) -> c_int;
        fn kill(process: c_int, signal: c_int) -> c_int;
        fn _exit(code: c_int) -> !;
    }

    fn runtime() -> Runtime {
        let builder = Runtime::builder().workers(2);
        builder.build().expect("a runtime")
    }

    /// What needs all of a runtime: tasks from inside and outside, parking, timers, the arena, the
    /// end.
    fn use_a_runtime() {
        let runtime = runtime();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..300_u64)
                .map(|n| {
                    crate::spawn(async move {
                        let child = crate::spawn(async move { n });
                        crate::time::sleep(Duration::from_micros(n % 3)).await;
                        child.await.expect("a value")
                    })
                })
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.expect("a value");
            }
            assert_eq!(sum, 299 * 300 / 2);
        });
        drop(runtime);
    }

    /// Runs `f` in a child, and returns the child's exit code; `None` if it hangs and is killed.
    fn in_a_child(f: fn()) -> Option<c_int> {
        // SAFETY: the child runs `f` and leaves by `_exit`; what `f` needs of the process, its
        // allocator and the crate, is usable in a child.
        let child = unsafe { fork() };
        if child == 0 {
            let done = std::panic::catch_unwind(f).is_ok();
            // SAFETY: it has no preconditions.
            unsafe { _exit(if done { 0 } else { 1 }) };
        }
        assert!(child > 0, "no process");
        let began = Instant::now();
        let mut status = 0;
        loop {
            // SAFETY: a child of this process, and a place for its status.
            if unsafe { waitpid(child, &raw mut status, NO_HANG) } == child {
                return Some(status);
            }
            if began.elapsed() > Duration::from_secs(30) {
                // SAFETY: as above.
                unsafe { (kill(child, KILL), waitpid(child, &raw mut status, 0)) };
                return None;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    #[test]
    fn a_child_of_a_busy_parent_has_a_runtime_of_its_own() {
        let busy = runtime();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let handle = busy.handle().clone();
                        busy.block_on(async move {
                            let many = (0..500).map(|_| {
                                let nested = handle.clone();
                                handle.spawn(async move { drop(nested.spawn(async {})) })
                            });
                            for task in many.collect::<Vec<_>>() {
                                task.await.expect("a value");
                            }
                        });
                    }
                });
            }
            let ends: Vec<_> = (0..100).map(|_| in_a_child(use_a_runtime)).collect();
            over.store(true, Ordering::Relaxed);
            assert_eq!(ends, vec![Some(0); ends.len()]);
        });
    }
}
