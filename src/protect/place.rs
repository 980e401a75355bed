//! The scope that the calling thread's code is in.
//!
//! A thread keeps two values for it: the kind of its code, which is among the values that each poll
//! copies ([`PlaceKind`]), and the innermost body around that code. The functions that poll or drop
//! such code set both, and restore them when the code returns or panics.

use super::cover::CoverCell;
use super::scope::{Body, Scope};
use crate::sync::Arc;
use crate::task::Live;
use crate::task::current::code::PlaceKind;
use crate::task::current::view::Apart;
use crate::task::current::{Current, Lent, change, look};
use std::cell::RefCell;
use std::task::{Context, Waker};

crate::sync::thread_local! {
    /// The innermost body around the calling code. Code of a [`PlaceKind`] that is inside no body
    /// leaves it as it is, so only [`body`] reads it.
    static BODY: Lent<Option<Arc<Body>>> = const { Lent::new(RefCell::new(None)) };
}

/// The place of the calling code: a [`Scope`] without what it refers to.
enum Place<'a> {
    Outside,
    Root(Live<'a>),
    Body,
    Hard,
}

/// Calls `f` with the place of the calling code, which polls with the context `cx`.
fn with_place<R>(cx: &Context<'_>, f: impl FnOnce(Place<'_>) -> R) -> R {
    use PlaceKind::{Body, BodyDrop, Hard, HardInBody, Root};
    look(|current| {
        f(match (current.place(), current.task()) {
            (Hard | HardInBody | BodyDrop, _) => Place::Hard,
            _ if must_run_on(current, cx.waker()) => Place::Hard,
            (Body, _) => Place::Body,
            (Root, Some(task)) => Place::Root(task),
            (Root, None) => Place::Outside,
        })
    })
}

/// Whether code of the task or of a body has to run on at its turn, because it is in a destructor, or
/// in a `block_on` inside the poll: suspending it for good would block the thread. Such code polls
/// with a waker other than the task's.
#[inline]
pub(crate) fn must_run_on(current: &Current, waker: &Waker) -> bool {
    let Some(task) = current.task() else {
        return false;
    };
    current.place() == PlaceKind::Root && task.is_future_gone()
        || (current.stalls_for_good() || std::thread::panicking()) && !task.is_waker(waker)
}

/// Restores the kind of the code when it is dropped.
struct Restore(PlaceKind);

impl Restore {
    fn replace(kind: PlaceKind) -> Self {
        change(|current| Restore(current.set_place(kind)))
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        change(|current| current.set_place(self.0));
    }
}

/// Whether the calling code is inside a shield or a cleanup of its task.
#[inline]
pub(super) fn is_hard(current: &Current) -> bool {
    match current.place() {
        PlaceKind::Root => false,
        PlaceKind::Hard | PlaceKind::HardInBody => true,
        PlaceKind::Body | PlaceKind::BodyDrop => body().is_some_and(|body| body.is_hard()),
    }
}

/// Runs `f` as code of a shield or a cleanup, which is not told of the turn. `cell` has its cover.
pub(super) fn hard<R>(cell: &mut CoverCell, f: impl FnOnce() -> R) -> R {
    if look(is_hard) {
        hard_inside(f)
    } else {
        cell.lend(|| hard_inside(f))
    }
}

fn hard_inside<R>(f: impl FnOnce() -> R) -> R {
    let _apart = Apart::begin();
    let _restore = Restore::replace(match look(Current::place) {
        PlaceKind::Root | PlaceKind::Hard => PlaceKind::Hard,
        PlaceKind::Body | PlaceKind::BodyDrop | PlaceKind::HardInBody => PlaceKind::HardInBody,
    });
    f()
}

/// Runs `f` as code of a deferred cleanup that `body` has left behind. `cell` has its cover.
pub(super) fn hard_of<R>(
    body: Option<&Arc<Body>>,
    cell: &mut CoverCell,
    f: impl FnOnce() -> R,
) -> R {
    match body {
        Some(body) => cell.lend(|| with_body(body, PlaceKind::HardInBody, f)),
        None => cell.lend(|| hard_inside(f)),
    }
}

/// Runs `f`, which polls the future of `body`.
pub(crate) fn in_body<R>(body: &Arc<Body>, f: impl FnOnce() -> R) -> R {
    with_body(body, PlaceKind::Body, f)
}

/// Runs `f`, which drops the future of `body`. The destructor is not told of the turn.
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
    change(|current| {
        let outside = current.task().is_none();
        current.stalls().outside_of_tasks(outside);
    });
    let _body = RestoreBody(BODY.with(|b| b.replace(Some(body.clone()))));
    f()
}

/// Returns the innermost body around the calling code.
pub(crate) fn body() -> Option<Arc<Body>> {
    match look(Current::place) {
        PlaceKind::Root | PlaceKind::Hard => None,
        PlaceKind::Body | PlaceKind::BodyDrop | PlaceKind::HardInBody => {
            BODY.with(|body| body.borrow().clone())
        }
    }
}

/// Returns the scope that the calling code is in. It polls with the context `cx`.
pub(crate) fn scope(cx: &Context<'_>) -> Scope {
    with_place(cx, |place| match place {
        Place::Outside => Scope::Outside,
        Place::Root(task) => Scope::Root(task.retain()),
        Place::Hard => Scope::Hard(body()),
        Place::Body => body().map_or(Scope::Hard(None), Scope::Body),
    })
}

/// Whether `scope` is the one that [`scope`] would return.
pub(crate) fn is_in(scope: &Scope, cx: &Context<'_>) -> bool {
    let is_body = |of: Option<&Arc<Body>>| body().as_ref().map(Arc::as_ptr) == of.map(Arc::as_ptr);
    with_place(cx, |place| match (scope, place) {
        (Scope::Outside, Place::Outside) => true,
        (Scope::Root(task), Place::Root(current)) => task.borrowed() == current.borrowed(),
        (Scope::Body(of), Place::Body) => is_body(Some(of)),
        (Scope::Hard(of), Place::Hard) => is_body(of.as_ref()),
        _ => false,
    })
}

/// Whether the calling code is code of this body, outside of hard code: then the body is being polled
/// or dropped, and its owner looks at it after that.
pub(crate) fn is_polled(body: &Arc<Body>) -> bool {
    let kind = look(Current::place);
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
        let (body, other) = (
            Body::inside_of(Scope::Outside, true),
            Body::inside_of(Scope::Outside, true),
        );
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
        assert_eq!(hard_inside(inside), Some(1));
        let within = || {
            (
                inside(),
                hard_inside(inside),
                hard_inside(|| hard_inside(inside)),
                inside(),
            )
        };
        assert_eq!(in_body(&body, within), (Some(2), Some(3), Some(3), Some(2)));
        assert_eq!(in_body_drop(&body, inside), Some(3));
        assert_eq!(inside(), Some(0));
    }
}
