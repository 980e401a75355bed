//! The life of a body, as `finally` and `background_service` run it: the body is made in the first
//! poll, follows its future when that moves to another task, is polled until it ends or is due, and is
//! dropped as its own code.

use super::count::wake;
use super::place;
use super::scope::{Body, Turn};
use crate::sync::Arc;
use crate::wait_list::KeptWaker;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

/// Why a body is polled no more. Its future is still there, to be dropped by [`Body::drop_future`].
pub(crate) enum BodyEnd<T> {
    Returned(T),
    Panicked(Box<dyn Any + Send>),
    /// The body has its turn, and nothing in it is protected.
    Due,
}

impl Body {
    /// Makes a body in the scope of the calling code. `passes_on`: protection inside it counts
    /// outside, too.
    pub(crate) fn new(passes_on: bool, cx: &Context<'_>) -> Arc<Body> {
        Body::inside_of(place::scope(cx), passes_on)
    }

    /// Notes the task and the scope that the body is polled in now, which change when its future moves.
    /// The owner of the body calls it at each poll, before it polls the body.
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
                // Counted in before it is counted out, so that both tasks are protected meanwhile.
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

    /// Polls the body's future, unless the body is due. At its turn, what is inside and protected is
    /// woken before that.
    pub(crate) fn poll<F: Future>(
        this: &Arc<Self>,
        future: Pin<&mut Option<F>>,
        cx: &mut Context<'_>,
    ) -> Poll<BodyEnd<F::Output>> {
        let turn = this.turn();
        if this.is_due(turn) {
            return Poll::Ready(BodyEnd::Due);
        }
        let Some(future) = future.as_pin_mut() else {
            return Poll::Ready(BodyEnd::Due);
        };
        if turn != Turn::No {
            this.inside.wake_all();
        }
        let poll = || place::in_body(this, || future.poll(cx));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Ready(output)) => Poll::Ready(BodyEnd::Returned(output)),
            Err(panic) => Poll::Ready(BodyEnd::Panicked(panic)),
            // The last protection inside may have ended in this poll.
            Ok(Poll::Pending) if this.is_due(this.turn()) => Poll::Ready(BodyEnd::Due),
            Ok(Poll::Pending) => Poll::Pending,
        }
    }

    /// Drops the body's future as code of the body, and returns a panic of its destructor.
    pub(crate) fn drop_future<F>(
        this: &Arc<Self>,
        mut future: Pin<&mut Option<F>>,
    ) -> thread::Result<()> {
        catch_unwind(AssertUnwindSafe(|| {
            place::in_body_drop(this, || future.set(None));
        }))
    }
}
