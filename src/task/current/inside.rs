//! The runtime that the thread is in: [`InRuntime`] for the length of a call, as a worker or in `block_on`, and
//! [`Entered`] as long as a guard of [`Handle::enter`](crate::Handle::enter) is kept, whose code is outside of the
//! task around it.
//!
//! # The levels of a thread
//!
//! Each enter is a level. So is a call that makes the thread part of a runtime ([`InRuntime`]) while
//! there are levels. A level has what is restored when it ends: the runtime that the thread was in, and the
//! [`Fields`] of the code. The top level is the runtime that the thread is in.
//!
//! Guards may be dropped in any order. A level that ends below the top leaves what it had to restore to the
//! level above it. A call returns before what was there when it began ends, so it ends all levels above its
//! own, and the guards of those have no effect any more.
//!
//! # Why no task is restored after its poll
//!
//! The fields have the address of a task that is valid only until `run_as` returns, while a guard may be kept
//! for longer, for example in a thread-local. So a level restores its fields only onto fields that have its own
//! number ([`Fields::outside`]). `run_as` overwrites the fields when it begins and when it returns, and a number is
//! never used again on the thread, so fields with the number of a level show that the `run_as` in which the
//! level began has not returned.
//!
//! Fields outside of a task say that the task was woken. If a guard outlives the poll, wake-ups that were noted
//! before it are not lost: the poll counts as woken.

use super::{CURRENT, Fields, Lent, OUTER_WORKERS, SHARED, WORKER, fields, replace};
use crate::sync::Arc;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use crate::task::requests::Seen;
use crate::task::shared::Shared;
use std::cell::RefCell;

/// What is restored when a level ends.
struct Outer {
    shared: Option<Arc<Shared>>,
    current: Fields,
}

struct Level {
    number: u64,
    outer: Outer,
}

struct Levels {
    /// The number of the next level.
    next: u64,
    all: Vec<Level>,
}

crate::sync::thread_local! {
    static LEVELS: Lent<Levels> = const { Lent::new(RefCell::new(Levels { next: 1, all: Vec::new() })) };
}

impl Fields {
    /// The fields of code that the level with this number has put outside of its task.
    fn outside(number: u64) -> Fields {
        Fields {
            requests: Seen::of_level(number),
            woken: true,
            ..Fields::NOTHING
        }
    }

    fn is_outside(&self, number: u64) -> bool {
        self.task.is_none() && self.requests == Seen::of_level(number)
    }
}

impl Levels {
    fn push(&mut self, outer: impl FnOnce(u64) -> Outer) -> u64 {
        let number = self.next;
        self.next += 1;
        let outer = outer(number);
        self.all.push(Level { number, outer });
        number
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.all.iter().position(|level| level.number == number)
    }

    /// The thread-local value has no destructor that would free the memory.
    fn free_if_empty(&mut self) {
        if self.all.is_empty() {
            self.all = Vec::new();
        }
    }
}

/// A level of the thread's. Until dropped, the thread is in its runtime and its code outside of tasks, unless
/// there is a level above.
pub(crate) struct Entered(u64);

impl Entered {
    pub(crate) fn begin(shared: Arc<Shared>) -> Entered {
        let number = LEVELS.with(|levels| {
            levels.borrow_mut().push(|number| Outer {
                shared: SHARED.with(|of| of.replace(Some(shared))),
                current: replace(Fields::outside(number)),
            })
        });
        Entered(number)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let number = self.0;
        // The reference to a runtime that is let go of may be the last one: it is dropped after the borrow.
        let _left = LEVELS.with(|levels| {
            let mut levels = levels.borrow_mut();
            let at = levels.position(number)?;
            let Level { outer, .. } = levels.all.remove(at);
            let left = match levels.all.get_mut(at) {
                Some(above) => {
                    if above.outer.current.is_outside(number) {
                        above.outer.current = outer.current;
                    }
                    std::mem::replace(&mut above.outer.shared, outer.shared)
                }
                None => {
                    if fields().is_outside(number) {
                        CURRENT.set(outer.current);
                    }
                    SHARED.with(|of| of.replace(outer.shared))
                }
            };
            levels.free_if_empty();
            Some(left)
        });
    }
}

/// What a call that makes the thread part of a runtime restores in the end: in a level if there are levels
/// below it, which may end before it does.
enum Below {
    Nothing(Outer),
    Level(u64),
}

impl Below {
    fn keep(outer: Outer) -> Below {
        LEVELS.with(|levels| {
            let mut levels = levels.borrow_mut();
            if levels.all.is_empty() {
                return Below::Nothing(outer);
            }
            Below::Level(levels.push(|_| outer))
        })
    }

    /// Ends the levels above, and returns what is to be restored.
    fn take(&mut self) -> Outer {
        let nothing = Outer {
            shared: None,
            current: Fields::NOTHING,
        };
        let (outer, _ended) = LEVELS.with(|levels| {
            let mut levels = levels.borrow_mut();
            let (outer, above) = match self {
                Below::Nothing(outer) => (std::mem::replace(outer, nothing), 0),
                Below::Level(number) => match levels.position(*number) {
                    Some(at) => (std::mem::replace(&mut levels.all[at].outer, nothing), at),
                    None => (nothing, levels.all.len()),
                },
            };
            let ended = levels.all.split_off(above);
            levels.free_if_empty();
            (outer, ended)
        });
        outer
    }
}

/// Until dropped, the thread is inside a runtime, as worker or in `block_on`.
pub(crate) struct InRuntime {
    below: Below,
    worker: (u64, usize),
    /// A worker that has become another runtime's, too.
    nested: bool,
}

impl InRuntime {
    pub(crate) fn enter(shared: Arc<Shared>, worker: Option<usize>) -> Self {
        let serial = shared.serial;
        let outer = InRuntime {
            below: Below::keep(Outer {
                shared: SHARED.with(|h| h.replace(Some(shared))),
                current: replace(Fields::NOTHING),
            }),
            worker: WORKER.get(),
            nested: worker.is_some() && WORKER.get().0 != 0,
        };
        if outer.nested {
            OUTER_WORKERS.with(|o| o.borrow_mut().push(outer.worker.0));
        }
        if let Some(index) = worker {
            WORKER.set((serial, index));
        }
        outer
    }
}

impl Drop for InRuntime {
    fn drop(&mut self) {
        if self.nested {
            OUTER_WORKERS.with(|outer| {
                let mut outer = outer.borrow_mut();
                outer.pop();
                if outer.is_empty() {
                    // The thread-local value has no destructor that would free it.
                    *outer = Vec::new();
                }
            });
        }
        WORKER.set(self.worker);
        let outer = self.below.take();
        CURRENT.set(outer.current);
        let left = SHARED.with(|h| h.replace(outer.shared));
        drop(left);
    }
}
