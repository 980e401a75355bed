//! [`Protection`]: what a shield and a `finally` share.

use super::checkpoint;
use super::cover::CoverCell;
use super::entered::Entered;
use super::hold::Hold;
use super::place;
use super::scope::{Scope, Turn};
use super::wait::TaskWait;
use crate::task::current::{self, view};
use std::task::Context;

/// An active shield or `finally`, counted into the scope that it is polled in.
#[derive(Default)]
pub(super) struct Protection {
    entered: Option<Entered>,
    /// The number of the task's poll in which the start was refused.
    refused: Option<u64>,
    /// Wakes a set of futures that this was refused in when the task ends.
    end: TaskWait,
    /// Whether the code inside is hard, as in a shield or a cleanup. If that is dropped before its
    /// end, what the code around it returns comes from inside protection.
    pub(super) hard: bool,
    /// What is spawned inside.
    pub(super) cell: CoverCell,
}

impl Protection {
    /// Counts in at the first poll, or follows a future that was moved to another task. `false` if
    /// the protection must not start: the turn has come and no other protection is active, or the
    /// budget of this poll is spent.
    pub(super) fn enter(&mut self, cx: &Context<'_>) -> bool {
        if self.entered.as_ref().is_none_or(|at| !at.is_here(cx)) {
            let scope = match &self.entered {
                Some(_) => place::scope(cx),
                None => match self.start(cx) {
                    Some(scope) => scope,
                    None => return false,
                },
            };
            self.uncover();
            // Counted in before it is counted out elsewhere.
            let old = self.entered.replace(Entered::new(scope, true));
            drop(old);
        }
        if let Some(entered) = &mut self.entered {
            entered.hear(cx);
        }
        true
    }

    /// Returns the scope to start in, if the protection may start.
    fn start(&mut self, cx: &Context<'_>) -> Option<Scope> {
        if !checkpoint::has_budget(cx) {
            return None;
        }
        let scope = place::scope(cx);
        if scope.turn() == Turn::No {
            Some(scope)
        } else {
            (!self.refuse(cx)).then(|| place::scope(cx))
        }
    }

    /// Suspends for good in this task; another task may go on with the future. `false` if the code must
    /// not suspend.
    #[cold]
    fn refuse(&mut self, cx: &Context<'_>) -> bool {
        let Some(poll) = current::with(|task| task.map(|task| task.polls())) else {
            return !checkpoint::stall(cx, true);
        };
        let before = self.refused.replace(poll);
        if checkpoint::is_suspended() || before.is_none_or(|before| before == poll) {
            return !checkpoint::stall(cx, true);
        }
        // The task is polled on for protection beside this, so a stall would wake the set of futures
        // in each of its polls. The end of the task wakes it once.
        let task = current::with(|task| {
            let task = task?;
            (!task.is_waker(cx.waker())).then(|| task.retain())
        });
        if let Some(task) = task {
            self.end.register(&task, cx);
        }
        true
    }

    /// Ends the protection of what was spawned inside. The scope stays protected until that is done.
    fn uncover(&mut self) {
        let entered = self.entered.as_ref();
        (self.cell).end(|| entered.and_then(|entered| Hold::of(entered.scope())));
    }

    /// Counts out.
    pub(super) fn leave(&mut self) {
        self.uncover();
        self.entered = None;
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        if self.hard && self.entered.is_some() {
            view::set_protected_if_unknown();
        }
        self.leave();
    }
}
