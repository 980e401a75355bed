//! Scopes of protection: the task itself, and the bodies of `finally` and `background_service`
//! inside it.
//!
//! Protection is counted into the scope it is polled in, and out when it ends. A `finally` counts
//! itself into what is around it, and so keeps that; a `background_service` does not, so its body
//! passes on that there is protection inside. A future that is moved to another task takes its
//! bodies along ([`Body::follow`]). Locks are taken from the inside out; wakers are woken after.

use super::cell::NodeRef;
use super::{current, side};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex};
use std::task::Waker;

/// Whether some code's time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    No,
    /// But what is protected, and its cleanups, may run.
    Cancel,
    /// The runtime is being dropped: it is dropped after this poll, with its cleanups.
    Kill,
}

/// Where in the protection of a task some code runs.
#[derive(Clone)]
pub(crate) enum Scope {
    /// Outside of any task.
    Outside,
    Root(NodeRef),
    Hard,
    Body(Arc<Body>),
}

/// The body of a `finally` or a `background_service`: it can be dropped before the task is, but
/// not while protection inside it is active.
pub(crate) struct Body {
    state: Mutex<BodyState>,
    /// Ended for a reason of its own: the background service failed.
    pub(crate) ended: AtomicBool,
    /// Whether protection inside counts outside, too.
    passes_on: bool,
}

struct BodyState {
    /// Active shields, cleanups and `finally`s inside.
    inner: usize,
    outer: Scope,
    /// Who polls the body, if protection inside may end elsewhere.
    waker: Option<Waker>,
}

impl Body {
    pub(crate) fn new(passes_on: bool) -> Arc<Body> {
        Arc::new(Body {
            state: Mutex::new(BodyState {
                inner: 0,
                outer: current::scope(),
                waker: None,
            }),
            ended: AtomicBool::new(false),
            passes_on,
        })
    }

    /// To be called at each poll, outside of the body: it may have been moved to another task.
    pub(crate) fn follow(&self, waker: Option<&Waker>) {
        let fresh = waker.cloned();
        let mut woken = Vec::new();
        let stale = {
            let mut state = self.state.lock();
            if !current::is_in(&state.outer) {
                let scope = current::scope();
                let counted = self.passes_on && state.inner > 0;
                if counted {
                    scope.protect();
                }
                let old = std::mem::replace(&mut state.outer, scope);
                if counted {
                    old.count_out(&mut woken);
                }
            }
            std::mem::replace(&mut state.waker, fresh)
        };
        drop(stale);
        wake(woken);
    }

    /// To be dropped: its time is over and nothing inside it is protected.
    pub(crate) fn is_due(&self) -> bool {
        self.turn() == Turn::Cancel && !self.is_protected()
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.state.lock().inner > 0
    }

    pub(crate) fn turn(&self) -> Turn {
        match self.state.lock().outer.turn() {
            Turn::No if self.ended.load(Ordering::Acquire) => Turn::Cancel,
            turn => turn,
        }
    }
}

/// Somebody who has to look again.
enum Woken {
    Task(NodeRef),
    Other(Waker),
}

fn wake(woken: Vec<Woken>) {
    for one in woken {
        match one {
            Woken::Task(node) => node.wake(),
            Woken::Other(waker) => crate::wait::quietly(|| waker.wake()),
        }
    }
}

impl Scope {
    /// Whether the code in this scope may not go on outside protection.
    pub(crate) fn turn(&self) -> Turn {
        match self {
            Scope::Outside | Scope::Hard => Turn::No,
            Scope::Root(node) => match node.state.load() {
                state if !state.is_turn() => Turn::No,
                state if state.is_killed() => Turn::Kill,
                _ => Turn::Cancel,
            },
            Scope::Body(body) => body.turn(),
        }
    }

    /// Counts protection in.
    pub(crate) fn protect(&self) {
        current::note_protection();
        match self {
            Scope::Outside | Scope::Hard => {}
            Scope::Root(node) => {
                let side = node.side_or_new();
                side.protection.fetch_add(1, Ordering::AcqRel);
            }
            Scope::Body(body) => {
                let mut state = body.state.lock();
                state.inner += 1;
                if state.inner == 1 && body.passes_on {
                    state.outer.protect();
                }
            }
        }
    }

    /// Counts protection out. Should another thread, or another task, be doing this (the future
    /// was moved out of its task), whoever polls the scope is woken to notice.
    pub(crate) fn unprotect(&self) {
        let mut woken = Vec::new();
        self.count_out(&mut woken);
        wake(woken);
    }

    fn count_out(&self, woken: &mut Vec<Woken>) {
        match self {
            Scope::Outside | Scope::Hard => {}
            Scope::Root(node) => {
                side::visit(node, |side| {
                    side.protection.fetch_sub(1, Ordering::AcqRel);
                });
                if current::node() != Some(**node) {
                    woken.push(Woken::Task(node.clone()));
                }
            }
            Scope::Body(body) => {
                let mut state = body.state.lock();
                state.inner -= 1;
                if state.inner > 0 {
                    return;
                }
                if body.passes_on {
                    state.outer.count_out(woken);
                }
                let waker = if current::is_in(self) {
                    None
                } else {
                    state.waker.take()
                };
                woken.extend(waker.map(Woken::Other));
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn code_is_in_one_scope() {
        let (body, other) = (Body::new(true), Body::new(true));
        let scopes = [
            Scope::Outside,
            Scope::Hard,
            Scope::Body(body.clone()),
            Scope::Body(other),
        ];
        let inside = || scopes.each_ref().map(current::is_in);
        assert_eq!(inside(), [true, false, false, false]);
        assert_eq!(current::hard(inside), [false, true, false, false]);
        let within = || (inside(), current::hard(inside), inside());
        let (before, hard, after) = current::in_body(&body, within);
        assert_eq!(before, [false, false, true, false]);
        assert_eq!(hard, [false, true, false, false]);
        assert_eq!(after, before);
        assert_eq!(inside(), [true, false, false, false]);
    }
}
