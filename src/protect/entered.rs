//! [`Entered`]: an entry in a scope, of something that has to learn of the turn.
//!
//! A set of futures polls only the futures that were woken. So a future that is polled with a waker
//! other than its task's registers that waker in the scope around it. A task wakes what is registered
//! in it before it is polled at its turn, and a body does the same with what is inside it. Nothing
//! registers once the turn has come, so that each future is woken once.

use super::count::wake;
use super::place;
use super::scope::{Scope, Turn};
use crate::task::cold::Cold;
use crate::task::current;
use crate::wait_list::{WaitKey, WaitList};
use std::task::Context;

/// An entry in a scope, which ends when this is dropped. It may count as protection.
pub(crate) struct Entered {
    scope: Scope,
    key: Option<WaitKey>,
    protects: bool,
}

impl Entered {
    pub(crate) fn new(scope: Scope, protects: bool) -> Self {
        if protects {
            scope.protect();
        }
        Entered {
            scope,
            key: None,
            protects,
        }
    }

    /// The scope.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether the calling code is still in that scope.
    pub(crate) fn is_here(&self, cx: &Context<'_>) -> bool {
        place::is_in(&self.scope, cx)
    }

    /// Registers the waker of `cx`, unless it is the task's: that one is woken at the turn anyway.
    pub(crate) fn hear(&mut self, cx: &Context<'_>) {
        if current::with(|task| task.is_some_and(|task| task.is_waker(cx.waker()))) {
            return;
        }
        match &self.scope {
            Scope::Outside | Scope::Hard(_) => {}
            Scope::Root(task) => {
                if let Some(scopes) = task.with_cold(Cold::scopes) {
                    self.register(&scopes, cx);
                }
            }
            Scope::Body(body) => self.register(&body.clone().inside, cx),
        }
    }

    fn register(&mut self, list: &WaitList, cx: &Context<'_>) {
        if self.scope.turn() != Turn::No {
            return;
        }
        list.register(&mut self.key, cx.waker());
        // The turn may have come in between, and this poll may be the one for which the others were
        // woken.
        if self.scope.turn() != Turn::No
            && let Some(key) = self.key.take()
        {
            list.deregister(key);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut stale = None;
        if let Some(key) = self.key.take() {
            match &self.scope {
                Scope::Outside | Scope::Hard(_) => {}
                Scope::Root(task) => {
                    stale = task.with_cold(|cold| cold.scopes().remove(key)).flatten();
                }
                Scope::Body(body) => stale = body.inside.remove(key),
            }
        }
        if self.protects {
            let mut woken = Vec::new();
            self.scope.count_out(&mut woken);
            wake(woken);
        }
        // A waker's drop is user code: the scope is left by now.
        drop(stale);
    }
}
