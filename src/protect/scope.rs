//! Scopes: what some code runs in, and what is dropped with it.
//!
//! The scopes of a task form a tree: the task at the root, and below it the bodies of `finally` and
//! `background_service`. Each body knows the scope around it.

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex};
use crate::task::TaskRef;
use crate::wait_list::{KeptWaker, WaitList};

/// Whether code in a scope may go on outside protection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// It may.
    No,
    /// It may not, but protection and cleanups may.
    Cancel,
    /// It may not. The task is killed: it is dropped with its cleanups after this poll.
    Kill,
}

/// The scope that some code runs in.
#[derive(Clone)]
pub(crate) enum Scope {
    /// Outside of any task.
    Outside,
    /// A task, outside of its bodies.
    Root(TaskRef),
    /// A shield, a cleanup or a destructor, maybe inside this body. It is not told of the turn.
    Hard(Option<Arc<Body>>),
    /// A body.
    Body(Arc<Body>),
}

/// The body of a `finally` or of a `background_service`. It may be dropped before its task is, but not
/// while protection inside it is active.
pub(crate) struct Body {
    pub(super) state: Mutex<BodyState>,
    /// The wakers of the entries that are directly inside and have to learn of the turn.
    pub(super) inside: WaitList,
    /// The body has its turn for a reason of its own: its background service has failed. The poll of
    /// `background_service` that finds the failure writes it; each poll of something inside the body
    /// reads it, maybe on another thread. The Release store pairs with the Acquire load in
    /// [`Body::turn`].
    cut_short: AtomicBool,
    /// Whether protection inside counts outside, too. A `finally` is protection itself, so its body
    /// passes nothing on.
    pub(super) passes_on: bool,
}

/// The part of a body that changes, behind its lock.
pub(super) struct BodyState {
    /// The number of active shields, cleanups and `finally`s inside.
    pub(super) inner: usize,
    /// The scope around the body. It changes when the body's future moves to another task.
    pub(super) outer: Scope,
    /// Wakes the task that polls the body, if protection inside ends elsewhere.
    pub(super) waker: Option<KeptWaker>,
    /// The number of deferred cleanups that the body has left behind, plus one for each body inside
    /// that has left some.
    pub(super) left: usize,
    /// The body is over, and its owner waits for those.
    pub(super) awaits_left: bool,
}

impl Body {
    pub(super) fn inside_of(outer: Scope, passes_on: bool) -> Arc<Body> {
        Arc::new(Body {
            state: Mutex::new(BodyState {
                inner: 0,
                outer,
                waker: None,
                left: 0,
                awaits_left: false,
            }),
            inside: WaitList::default(),
            cut_short: AtomicBool::new(false),
            passes_on,
        })
    }

    /// Whether it is inside a shield or a cleanup.
    pub(crate) fn is_hard(&self) -> bool {
        let outer = self.state.lock().outer.clone();
        matches!(outer.outward().last(), Some(Scope::Hard(_)))
    }

    /// Gives the body its turn, whatever the scope around it does.
    pub(crate) fn cut_short(&self) {
        self.cut_short.store(true, Ordering::Release);
    }

    pub(crate) fn turn(&self) -> Turn {
        match self.state.lock().outer.turn() {
            // Pairs with the store in `cut_short`.
            Turn::No if self.cut_short.load(Ordering::Acquire) => Turn::Cancel,
            turn => turn,
        }
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.state.lock().inner > 0
    }

    /// Whether the body is to be dropped, given its `turn`: nothing inside it is protected.
    pub(super) fn is_due(&self, turn: Turn) -> bool {
        turn == Turn::Cancel && !self.is_protected()
    }

    /// Whether deferred cleanups are left of the body, which is over. Its owner is woken when the
    /// last of them is over.
    pub(super) fn has_left(&self) -> bool {
        let mut state = self.state.lock();
        state.awaits_left = state.left > 0;
        state.awaits_left
    }
}

impl Scope {
    /// This scope and those around it, the innermost first, as far as the bodies go.
    pub(super) fn outward(&self) -> impl Iterator<Item = Scope> + use<> {
        std::iter::successors(Some(self.clone()), |scope| match scope {
            Scope::Body(body) => Some(body.state.lock().outer.clone()),
            _ => None,
        })
    }

    /// Returns the innermost body.
    pub(super) fn body(&self) -> Option<&Arc<Body>> {
        match self {
            Scope::Body(body) | Scope::Hard(Some(body)) => Some(body),
            Scope::Outside | Scope::Root(_) | Scope::Hard(None) => None,
        }
    }

    pub(crate) fn turn(&self) -> Turn {
        match self {
            Scope::Outside | Scope::Hard(_) => Turn::No,
            Scope::Root(task) => match task.word() {
                word if !word.is_turn() => Turn::No,
                word if word.is_killed() => Turn::Kill,
                _ => Turn::Cancel,
            },
            Scope::Body(body) => body.turn(),
        }
    }
}
