//! Where in the protection of its task the calling code runs: in the task's own code, in the body
//! of a `finally` or a `background_service`, or in code that the turn does not reach.

use super::scope::{Body, Scope};
use crate::sync::Arc;
use crate::task::cell::Node;
use crate::task::current::{Apart, Current, Lent, change, current};
use std::cell::RefCell;
use std::task::{Context, Waker};

/// What kind of code the thread runs, as far as its callers in this crate know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    /// The task's own code.
    Root,
    /// The body that `BODY` names.
    Body,
    /// The destructor of the body that `BODY` names.
    BodyDrop,
    /// A shield or a cleanup, outside of any body: the turn is not seen.
    Hard,
    /// A shield or a cleanup, inside the body that `BODY` names.
    HardInBody,
}

crate::sync::thread_local! {
    static BODY: Lent<Option<Arc<Body>>> = const { Lent::new(RefCell::new(None)) };
}

/// What the calling code's place comes to.
enum Place {
    Outside,
    Root(Node),
    Body,
    Hard,
}

fn place(cx: &Context<'_>) -> Place {
    use PlaceKind::{Body, BodyDrop, Hard, HardInBody, Root};
    let current = current();
    match (current.place, current.node) {
        (Hard | HardInBody | BodyDrop, _) => Place::Hard,
        _ if must_run_on(&current, cx.waker()) => Place::Hard,
        (Body, _) => Place::Body,
        (Root, Some(node)) => Place::Root(node),
        (Root, None) => Place::Outside,
    }
}

/// Whether code of the task or of a body cannot be suspended for good although it is its turn,
/// since it is in a destructor, or in a `block_on` inside the poll. What such code polls, it polls
/// with a waker of its own.
#[inline]
pub(crate) fn must_run_on(current: &Current, waker: &Waker) -> bool {
    let Some(node) = current.node else {
        return false;
    };
    current.place == PlaceKind::Root && node.is_future_gone()
        || (current.stalls.are_endless() || std::thread::panicking()) && !node.is_waker(waker)
}

struct Restore(PlaceKind);

impl Restore {
    fn replace(kind: PlaceKind) -> Self {
        change(|current| Restore(std::mem::replace(&mut current.place, kind)))
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        change(|current| current.place = self.0);
    }
}

/// Runs `f` as code of a shield or a cleanup: the turn is not seen in there.
pub(crate) fn hard<R>(f: impl FnOnce() -> R) -> R {
    let _apart = Apart::begin();
    let _restore = Restore::replace(match current().place {
        PlaceKind::Root | PlaceKind::Hard => PlaceKind::Hard,
        PlaceKind::Body | PlaceKind::BodyDrop | PlaceKind::HardInBody => PlaceKind::HardInBody,
    });
    f()
}

/// Runs `f` as code of a deferred cleanup, which was left by that body.
pub(crate) fn hard_of<R>(body: Option<&Arc<Body>>, f: impl FnOnce() -> R) -> R {
    match body {
        Some(body) => with_body(body, PlaceKind::HardInBody, f),
        None => hard(f),
    }
}

/// Runs `f`, which polls a body.
pub(crate) fn in_body<R>(body: &Arc<Body>, f: impl FnOnce() -> R) -> R {
    with_body(body, PlaceKind::Body, f)
}

/// Runs `f`, which drops a body's future: the turn is not seen in there.
pub(crate) fn in_body_drop<R>(body: &Arc<Body>, f: impl FnOnce() -> R) -> R {
    with_body(body, PlaceKind::BodyDrop, f)
}

fn with_body<R>(body: &Arc<Body>, kind: PlaceKind, f: impl FnOnce() -> R) -> R {
    struct RestoreBody(Option<Arc<Body>>);
    impl Drop for RestoreBody {
        fn drop(&mut self) {
            let outer = self.0.take();
            drop(BODY.with(|b| b.replace(outer)));
        }
    }
    let _kind = Restore::replace(kind);
    change(|current| current.stalls.outside_of_tasks(current.node.is_none()));
    let _body = RestoreBody(BODY.with(|b| b.replace(Some(body.clone()))));
    f()
}

/// The innermost body around the calling code.
pub(crate) fn body() -> Option<Arc<Body>> {
    match current().place {
        PlaceKind::Root | PlaceKind::Hard => None,
        PlaceKind::Body | PlaceKind::BodyDrop | PlaceKind::HardInBody => {
            BODY.with(|body| body.borrow().clone())
        }
    }
}

/// The scope that the calling code, which polls with this context, is in.
pub(crate) fn scope(cx: &Context<'_>) -> Scope {
    match place(cx) {
        Place::Outside => Scope::Outside,
        Place::Root(node) => Scope::Root(node.retain()),
        Place::Hard => Scope::Hard(body()),
        Place::Body => body().map_or(Scope::Hard(None), Scope::Body),
    }
}

/// Whether that is this scope.
pub(crate) fn is_in(scope: &Scope, cx: &Context<'_>) -> bool {
    let is_body = |of: Option<&Arc<Body>>| body().as_ref().map(Arc::as_ptr) == of.map(Arc::as_ptr);
    match (scope, place(cx)) {
        (Scope::Outside, Place::Outside) => true,
        (Scope::Root(node), Place::Root(current)) => **node == current,
        (Scope::Body(of), Place::Body) => is_body(Some(of)),
        (Scope::Hard(of), Place::Hard) => is_body(of.as_ref()),
        _ => false,
    }
}

/// Whether this body is the innermost that is being polled or dropped, so that its owner looks at
/// it after that.
pub(crate) fn is_polled(body: &Arc<Body>) -> bool {
    let kind = current().place;
    matches!(kind, PlaceKind::Body | PlaceKind::BodyDrop)
        && self::body().is_some_and(|current| Arc::ptr_eq(&current, body))
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn code_is_in_one_scope() {
        let cx = &Context::from_waker(Waker::noop());
        let (body, other) = (Body::new(true, cx), Body::new(true, cx));
        let scopes = [
            Scope::Outside,
            Scope::Hard(None),
            Scope::Body(body.clone()),
            Scope::Hard(Some(body.clone())),
            Scope::Body(other.clone()),
            Scope::Hard(Some(other)),
        ];
        let inside = || {
            let inside = scopes.each_ref().map(|scope| is_in(scope, cx));
            assert_eq!(inside.iter().filter(|&&is| is).count(), 1);
            inside.iter().position(|&is| is)
        };
        assert_eq!(inside(), Some(0));
        assert_eq!(hard(inside), Some(1));
        let within = || (inside(), hard(inside), hard(|| hard(inside)), inside());
        assert_eq!(in_body(&body, within), (Some(2), Some(3), Some(3), Some(2)));
        assert_eq!(in_body_drop(&body, inside), Some(3));
        assert_eq!(inside(), Some(0));
    }
}
