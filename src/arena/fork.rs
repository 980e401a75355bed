//! The arena across `fork`.
//!
//! The child has a copy of the process's memory and one thread. A lock that another thread holds at that
//! moment would be held there for ever, and what it guards is half changed. So the thread that forks
//! takes all of the arena's locks before, in their order, and gives them back after: in the parent
//! and in the child. (None of the handlers waits for anything but these locks, whose holders wait for
//! nothing but the allocator; and the system locks that after the handlers have run.)
//!
//! What other threads' magazines hold in the parent is lost to the child, and nothing else is.

use super::depot::Depot;
use super::page::HeldPages;
use super::{ARENA, Arena, CLASSES};
use crate::sync::MutexGuard;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// All locks of an arena, until it is dropped.
struct Held {
    _shelves: [MutexGuard<'static, Option<Box<Depot>>>; CLASSES],
    _pages: HeldPages<'static>,
}

impl Held {
    /// Takes them, in their order.
    fn take(arena: &'static Arena) -> Held {
        Held {
            _shelves: std::array::from_fn(|class| arena.shelves[class].0.lock()),
            _pages: arena.pages.hold(),
        }
    }
}

/// The locks, between the moment before and the moment after.
struct Handed(UnsafeCell<Option<Held>>);

// SAFETY: it is touched only by the handlers below, on the thread that forks and has all the locks:
// filled once it has them, emptied before it gives them back.
unsafe impl Sync for Handed {}

static HANDED: Handed = Handed(UnsafeCell::new(None));

unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> std::ffi::c_int;
}

extern "C" fn before() {
    let held = Held::take(&ARENA);
    // SAFETY: this thread has all the locks.
    unsafe { *HANDED.0.get() = Some(held) };
}

extern "C" fn after() {
    // SAFETY: this thread has all the locks since `before`.
    let held = unsafe { (*HANDED.0.get()).take() };
    drop(held);
}

/// Has the handlers run from now on.
pub(super) fn watch() {
    static WATCHES: AtomicBool = AtomicBool::new(false);
    if !WATCHES.load(Ordering::Relaxed) && !WATCHES.swap(true, Ordering::Relaxed) {
        // SAFETY: the handlers are functions for the life of the process, and do not unwind. Where
        // there is no memory for them, a child has to do without.
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

    /// What needs all of a runtime: tasks from inside and outside, parking, timers, the arena, the end.
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

    /// The child's exit code; `None` if it hangs, and is killed.
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
