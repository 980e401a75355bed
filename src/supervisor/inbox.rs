//! [`Inbox`]: what has happened since the supervisor's last step: calls of handles, and children that have woken it.
//!
//! Any thread pushes, the supervisor takes all. Both do so under the lock; the one who pushes takes the waker out and
//! wakes it after the lock. The supervisor enters its waker with each take, so that what comes after that wakes it.
//! Once the inbox is closed, what is pushed is dropped where it is pushed, which answers a call.

use super::policy::{Key, Ticket};
use super::reply::Asked;
use super::spec::ChildSpec;
use crate::panics::quietly;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::task::wakes;
use std::sync::Arc;
use std::task::Waker;

pub(super) enum Call {
    Start(ChildSpec),
    Stop(Name),
    Restart(Name),
    Remove(Name),
}

pub(super) struct Name {
    pub(super) name: String,
    /// Whether the caller is inside that child, and so cannot wait for its end.
    pub(super) inside: bool,
}

#[derive(Default)]
pub(super) struct Events {
    pub(super) calls: Vec<(Call, Asked)>,
    pub(super) woken: Vec<Key>,
    /// The last handle was dropped, or there is a first one again.
    pub(super) handles_changed: bool,
}

impl Events {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.woken.is_empty() && !self.handles_changed
    }
}

#[derive(Default)]
struct State {
    events: Events,
    waker: Option<Waker>,
    closed: bool,
}

#[derive(Default)]
pub(super) struct Inbox(Mutex<State>);

impl Inbox {
    fn push(&self, put: impl FnOnce(&mut Events)) {
        let waker = {
            let mut state = self.0.lock();
            if state.closed {
                return;
            }
            put(&mut state.events);
            state.waker.take()
        };
        if let Some(waker) = waker {
            wakes::wake(waker);
        }
    }

    pub(super) fn call(&self, call: Call, asked: Asked) {
        let mut call = Some((call, asked));
        self.push(|events| events.calls.extend(call.take()));
        drop(call);
    }

    pub(super) fn handles_changed(&self) {
        self.push(|events| events.handles_changed = true);
    }

    /// Takes what has happened, and enters the supervisor's waker for what will.
    pub(super) fn take(&self, waker: &Waker) -> Events {
        let waker = waker.clone();
        let mut state = self.0.lock();
        let old = state.waker.replace(waker);
        let events = std::mem::take(&mut state.events);
        drop(state);
        drop(old);
        events
    }

    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let left = (std::mem::take(&mut state.events), state.waker.take());
        drop(state);
        let Events { calls, .. } = left.0;
        for call in calls {
            quietly(|| drop(call));
        }
        drop(left.1);
    }

    /// Returns a waker that tells the supervisor which child has woken it, and the flag that is set from the wake
    /// until the supervisor clears it, before it polls what the child has woken. The flag keeps a child from
    /// being entered twice. Both accesses are read-modify-writes (AcqRel): a wake that finds the flag set comes
    /// before the clearing, and what it published is seen by the poll after that.
    pub(super) fn waker(self: &Arc<Self>, key: Key) -> (Waker, Arc<AtomicBool>) {
        let (inbox, woken) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let flag = woken.clone();
        let waker = waker_fn::waker_fn(move || {
            if !flag.swap(true, Ordering::AcqRel) {
                inbox.push(|events| events.woken.push(key));
            }
        });
        (waker, woken)
    }
}

/// Draws tickets for callers.
#[derive(Default)]
pub(super) struct Tickets(Ticket);

impl Tickets {
    pub(super) fn draw(&mut self) -> Ticket {
        self.0 += 1;
        self.0
    }
}
