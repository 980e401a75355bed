//! [`CoverCell`]: the cover of a protection, and how a thread knows the one around the code that it runs.
//! [`crate::task::cover`] has the rules.
//!
//! The owner of a protection (a shield, a `finally` in its cleanup, a deferred cleanup) lends its [`CoverCell`]
//! to the thread while it polls the code inside. The first spawn puts a cover into it. Code that is inside
//! several protections of its task belongs to the outermost: only that one lends its cell.

use crate::sync::Arc;
use crate::task::cover::Cover;
use crate::task::current::{Lent, look};
use crate::task::raw::{Covering, hand_over};
use crate::task::shared::Cancellation;
use crate::task::state::Level;
use crate::task::{Job, Live};
use std::cell::RefCell;

crate::sync::thread_local! {
    /// The cell of the outermost protection around the calling code. Code outside of protection leaves it
    /// as it is, so only code inside reads it.
    static COVERING: Lent<Option<Covering>> = const { Lent::new(RefCell::new(None)) };
}

/// The place for the cover of one protection, which is made when it is needed.
#[derive(Default)]
pub(super) struct CoverCell(Option<Covering>);

impl CoverCell {
    /// Lends the cell to the code that `f` runs, as the outermost protection around it.
    pub(super) fn lend<R>(&mut self, f: impl FnOnce() -> R) -> R {
        struct Restore<'a> {
            cell: &'a mut Option<Covering>,
            outer: Option<Covering>,
        }
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                let outer = self.outer.take();
                *self.cell = COVERING.with(|covering| covering.replace(outer));
            }
        }
        if self.0.is_some() && !self.is_here() {
            self.end(|| None);
        }
        let mine = self.0.take();
        let _restore = Restore {
            cell: &mut self.0,
            outer: COVERING.with(|covering| covering.replace(mine)),
        };
        f()
    }

    /// Whether the cover is one of the calling task.
    fn is_here(&self) -> bool {
        look(|current| {
            let covering = self.0.as_ref();
            current.task().is_some_and(|task| {
                covering.is_some_and(|it| it.task().borrowed() == task.borrowed())
            })
        })
    }

    /// Ends the protection: what was spawned inside it is covered no more. If the task is being cancelled, that
    /// asks for the cancellation of what is left, and `hold` is kept until this is done.
    pub(super) fn end(&mut self, hold: impl FnOnce() -> Option<Box<dyn Send>>) {
        if let Some(covering) = self.0.take() {
            end(covering, hold);
        }
    }
}

impl Drop for CoverCell {
    fn drop(&mut self) {
        self.end(|| None);
    }
}

#[cold]
fn end(covering: Covering, hold: impl FnOnce() -> Option<Box<dyn Send>>) {
    let Some((target, cover)) = covering.end(hold) else {
        return;
    };
    let at_ns = target.live().shared().clock.now_ns();
    hand_over(target, |shared, target| {
        shared.schedule().job(Job::Cancel(Box::new(Cancellation {
            target,
            level: Level::Cancel,
            left: Some(cover),
            grace: 0,
            at_ns,
        })));
    });
}

/// Returns the cover of the outermost protection around the calling code, which is inside protection of
/// `task`.
pub(super) fn here(task: Live<'_>) -> Option<Arc<Cover>> {
    COVERING.with(|covering| {
        let mut covering = covering.borrow_mut();
        let covering = covering.get_or_insert_with(|| Covering::new(task));
        (covering.task().borrowed() == task.borrowed()).then(|| covering.cover().clone())
    })
}
