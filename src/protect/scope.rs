//! Scopes of protection: the task itself, and the bodies of `finally` and `background_service`
//! inside it.
//!
//! Protection is counted into the scope it is polled in, and out when it ends. A `finally` counts
//! itself into what is around it, and so keeps that; a `background_service` does not, so its body
//! passes on that there is protection inside. A future that is moved to another task takes its
//! bodies along ([`Body::follow`]). Locks are taken from the inside out; wakers are woken after.
//!
//! A set of futures polls only those that were woken. So what is polled with a waker other than its
//! task's registers that in the scope around it ([`Entered::hear`]): a task at its turn wakes what
//! is registered in it before it is polled, and a body does the same with what is inside it. Nothing
//! registers once the turn has come, so that each is woken once.

use super::place;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex};
use crate::task::cell::TaskRef;
use crate::task::{cold, current, wakes};
use crate::wait_list::{KeptWaker, WaitKey, WaitList};
use std::task::Context;

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
    Root(TaskRef),
    /// A shield, a cleanup or a destructor, perhaps in this body: the turn is not seen.
    Hard(Option<Arc<Body>>),
    Body(Arc<Body>),
}

/// The body of a `finally` or a `background_service`: it can be dropped before the task is, but
/// not while protection inside it is active.
pub(crate) struct Body {
    state: Mutex<BodyState>,
    /// What is directly inside and has to hear of the turn.
    inside: WaitList,
    /// Ended for a reason of its own: the background service failed.
    pub(crate) ended: AtomicBool,
    /// Whether protection inside counts outside, too.
    passes_on: bool,
}

struct BodyState {
    /// Active shields, cleanups and `finally`s inside.
    inner: usize,
    outer: Scope,
    /// Wakes the task that polls the body, if protection inside ends elsewhere.
    waker: Option<KeptWaker>,
    /// Deferred cleanups that are left of the body, and one for each body inside that has some.
    left: usize,
    /// The body is over, and its owner waits for those.
    awaits_left: bool,
}

impl Body {
    pub(crate) fn new(passes_on: bool, cx: &Context<'_>) -> Arc<Body> {
        Arc::new(Body {
            state: Mutex::new(BodyState {
                inner: 0,
                outer: place::scope(cx),
                waker: None,
                left: 0,
                awaits_left: false,
            }),
            inside: WaitList::default(),
            ended: AtomicBool::new(false),
            passes_on,
        })
    }

    /// Whether it is inside a shield or a cleanup.
    pub(crate) fn is_hard(&self) -> bool {
        let mut scope = self.state.lock().outer.clone();
        while let Scope::Body(body) = &scope {
            let outer = body.state.lock().outer.clone();
            scope = outer;
        }
        matches!(scope, Scope::Hard(_))
    }

    /// To be called at each poll, outside of the body: it may have been moved to another task.
    pub(crate) fn follow(&self, cx: &Context<'_>) {
        let (known, moved) = {
            let state = self.state.lock();
            let waker = state.waker.as_ref();
            (
                waker.is_some_and(|waker| waker.will_wake(cx.waker())),
                !place::is_in(&state.outer, cx),
            )
        };
        if known && !moved {
            return;
        }
        let fresh = (!known).then(|| KeptWaker::new(cx.waker()));
        let scope = moved.then(|| place::scope(cx));
        let mut woken = Vec::new();
        let stale = {
            let mut state = self.state.lock();
            let old = scope.map(|scope| {
                let counted = self.passes_on && state.inner > 0;
                if counted {
                    scope.protect();
                }
                let old = std::mem::replace(&mut state.outer, scope);
                if counted {
                    old.count_out(&mut woken);
                }
                if state.left > 0 {
                    if let Some(body) = state.outer.body() {
                        body.count_left();
                    }
                    if let Some(body) = old.body() {
                        body.count_left_out(&mut woken);
                    }
                }
                old
            });
            (old, fresh.and_then(|waker| state.waker.replace(waker)))
        };
        wake(woken);
        drop(stale);
    }

    /// Once the body's turn has come, wakes what is inside and has not heard of it. To be called
    /// before each poll of the body.
    pub(crate) fn announce(&self) {
        if self.turn() != Turn::No {
            self.inside.wake_all();
        }
    }

    /// Whether deferred cleanups are left of the body, which is over: its owner is woken when the
    /// last is done.
    pub(crate) fn has_left(&self) -> bool {
        let mut state = self.state.lock();
        state.awaits_left = state.left > 0;
        state.awaits_left
    }

    fn count_left(&self) {
        let mut state = self.state.lock();
        state.left += 1;
        if state.left == 1
            && let Some(body) = state.outer.body()
        {
            body.count_left();
        }
    }

    fn count_left_out(&self, woken: &mut Vec<Woken>) {
        let mut state = self.state.lock();
        state.left -= 1;
        if state.left > 0 {
            return;
        }
        if let Some(body) = state.outer.body() {
            body.count_left_out(woken);
        }
        if state.awaits_left {
            woken.extend(state.waker.take().map(Woken::Other));
        }
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
    Task(TaskRef),
    Other(KeptWaker),
}

fn wake(woken: Vec<Woken>) {
    wakes::wake_all(woken.into_iter().filter_map(|one| match one {
        Woken::Task(node) => {
            node.wake();
            None
        }
        Woken::Other(waker) => Some(waker.into_waker()),
    }));
}

impl Scope {
    /// The innermost body.
    fn body(&self) -> Option<&Arc<Body>> {
        match self {
            Scope::Body(body) | Scope::Hard(Some(body)) => Some(body),
            Scope::Outside | Scope::Root(_) | Scope::Hard(None) => None,
        }
    }

    /// Whether the code in this scope may not go on outside protection.
    pub(crate) fn turn(&self) -> Turn {
        match self {
            Scope::Outside | Scope::Hard(_) => Turn::No,
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
        match self {
            Scope::Outside | Scope::Hard(_) => {}
            Scope::Root(node) => {
                let cold = node.cold_or_new();
                cold.protection.fetch_add(1, Ordering::AcqRel);
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
    fn count_out(&self, woken: &mut Vec<Woken>) {
        match self {
            Scope::Outside | Scope::Hard(_) => {}
            Scope::Root(node) => {
                cold::visit(node, |cold| {
                    cold.protection.fetch_sub(1, Ordering::AcqRel);
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
                let waker = if place::is_polled(body) {
                    None
                } else {
                    state.waker.take()
                };
                woken.extend(waker.map(Woken::Other));
            }
        }
    }
}

/// A deferred cleanup is left of a body, and of those around it, until this is dropped.
pub(crate) struct Left(Arc<Body>);

impl Left {
    pub(crate) fn new(body: Arc<Body>) -> Self {
        body.count_left();
        Left(body)
    }

    pub(crate) fn body(&self) -> &Arc<Body> {
        &self.0
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let mut woken = Vec::new();
        self.0.count_left_out(&mut woken);
        wake(woken);
    }
}

/// A place in a scope, left when this is dropped: for what has to hear of the turn, and is counted
/// as protection or not.
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

    /// Whether the calling code is still there.
    pub(crate) fn is_here(&self, cx: &Context<'_>) -> bool {
        place::is_in(&self.scope, cx)
    }

    /// Registers a waker, unless it is the task's own, which is woken anyway.
    pub(crate) fn hear(&mut self, cx: &Context<'_>) {
        if current::node().is_some_and(|node| node.is_waker(cx.waker())) {
            return;
        }
        match &self.scope {
            Scope::Outside | Scope::Hard(_) => {}
            Scope::Root(node) => self.register(&node.cold_or_new().scopes(), cx),
            Scope::Body(body) => self.register(&body.clone().inside, cx),
        }
    }

    fn register(&mut self, list: &WaitList, cx: &Context<'_>) {
        if self.scope.turn() != Turn::No {
            return;
        }
        list.register(&mut self.key, cx.waker());
        // It may have come in between, and this poll may be the one that the others were woken for.
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
                Scope::Root(node) => {
                    cold::visit(node, |cold| stale = cold.scopes().remove(key));
                }
                Scope::Body(body) => stale = body.inside.remove(key),
            }
        }
        if self.protects {
            let mut woken = Vec::new();
            self.scope.count_out(&mut woken);
            wake(woken);
        }
        drop(stale);
    }
}
