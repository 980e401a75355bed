//! [`Watchdog`]: a thread that reports polls which last.
//!
//! Each worker shows the task that it polls in a `Window` (`task/raw/window.rs`), with the
//! time at which the poll began. The watchdog looks at all of them. A poll that it meets for the first
//! time began after its last look, so a look in each `after`, and one at each moment at which a known poll
//! is due, report every poll on time. While no poll lasts that long the workers never wait for it.
//!
//! # The end
//!
//! The hook is code of the user and may block, so nobody may wait for it. `State` has two flags under one
//! lock: the watchdog sets `in_hook` before a call unless `stopped` is set, and the owner that stops the
//! watchdog joins the thread unless `in_hook` is set. So once the owner has set `stopped`, no call begins;
//! and a thread that is joined makes no call.

use crate::events;
use crate::panics::quietly;
use crate::snapshot::stall::Stall;
use crate::sync::{Arc, Mutex, Parker};
use crate::task::Shared;
use crate::timer_queue::{NEVER, nanos};
use std::fmt;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

/// The shortest duration of a poll that is reported, in nanoseconds: 1 ms.
const SHORTEST: u64 = 1_000_000;

/// What to call when a poll lasts.
#[derive(Clone)]
pub(super) struct StallHook {
    /// The duration of a poll that is reported first, in nanoseconds.
    after: u64,
    hook: std::sync::Arc<dyn Fn(&Stall) + Send + Sync>,
}

impl StallHook {
    pub(super) fn new(after: Duration, hook: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        StallHook {
            after: nanos(after).max(SHORTEST),
            hook: std::sync::Arc::new(hook),
        }
    }
}

impl fmt::Debug for StallHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallHook")
            .field("after", &Duration::from_nanos(self.after))
            .finish_non_exhaustive()
    }
}

/// What the watchdog and its owner share.
struct Control {
    state: Mutex<State>,
    /// Parks the watchdog until its next look, or until it is stopped.
    parker: Parker,
}

#[derive(Default)]
struct State {
    stopped: bool,
    in_hook: bool,
}

/// The owner of the thread. Dropping it stops the watchdog.
pub(super) struct Watchdog {
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
    /// Kept so that a thread that is joined does not drop the hook, whose destructor may block. Taken by the drop.
    hook: Option<StallHook>,
}

impl Watchdog {
    /// Starts the thread.
    pub(super) fn start(name: String, hook: StallHook, shared: Arc<Shared>) -> io::Result<Self> {
        let control = Arc::new(Control {
            state: Mutex::new(State::default()),
            parker: Parker::new(),
        });
        let (own_control, own_hook) = (control.clone(), hook.clone());
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || watch(&own_control, &own_hook, &shared))?;
        Ok(Watchdog {
            control,
            thread: Some(thread),
            hook: Some(hook),
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let in_hook = {
            let mut state = self.control.state.lock();
            state.stopped = true;
            state.in_hook
        };
        self.control.parker.unpark();
        if !in_hook && let Some(thread) = self.thread.take() {
            // A panic of the hook is caught.
            let _ = thread.join();
        }
        // Its destructor may panic, and the runtime is often dropped because of a panic.
        quietly(|| drop(self.hook.take()));
    }
}

impl Control {
    fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Calls the hook, unless the watchdog is stopped.
    fn call(&self, hook: &StallHook, stall: &Stall) {
        {
            let mut state = self.state.lock();
            if state.stopped {
                return;
            }
            state.in_hook = true;
        }
        events::stalled(stall);
        quietly(|| (hook.hook)(stall));
        self.state.lock().in_hook = false;
    }
}

/// Looks at the workers until the watchdog is stopped.
fn watch(control: &Control, hook: &StallHook, shared: &Shared) {
    let watch = &shared.watch;
    let mut known: Vec<Known> = watch.windows().map(|_| Known::default()).collect();
    while !control.is_stopped() {
        let mut next = shared.clock.now_ns().saturating_add(hook.after);
        for (window, known) in watch.windows().zip(&mut known) {
            let now = shared.clock.now_ns();
            let poll = window.id().map(|(id, began)| (id.get(), began));
            let (due, at) = known.look(poll, now, hook.after);
            next = next.min(at);
            // The poll that is pinned may be a later one.
            if due
                && let Some((pin, began)) = window.pin()
                && poll == Some((pin.live().id().get(), began))
            {
                let stall = Stall {
                    id: pin.live().id(),
                    path: pin.live().path(),
                    location: pin.live().location(),
                    running_for: Duration::from_nanos(now.saturating_sub(began)),
                };
                // The task must not wait for the hook.
                drop(pin);
                control.call(hook, &stall);
            }
        }
        let deadline = (next != NEVER).then(|| shared.clock.instant(next));
        control.parker.park(deadline);
    }
}

/// What the watchdog knows of one worker.
#[derive(Default)]
struct Known {
    /// The task and the beginning of the poll that was seen last.
    poll: Option<(u64, u64)>,
    /// The duration at which that poll is reported next.
    report_at: u64,
}

impl Known {
    /// Notes what the worker polls, and since when. Returns whether that is to be reported now, and when
    /// to look next because of it. All times are in nanoseconds.
    fn look(&mut self, poll: Option<(u64, u64)>, now: u64, after: u64) -> (bool, u64) {
        if self.poll != poll {
            self.poll = poll;
            self.report_at = after;
        }
        let Some((_, began)) = poll else {
            return (false, NEVER);
        };
        let lasted = now.saturating_sub(began);
        let due = lasted >= self.report_at && self.report_at != NEVER;
        while lasted >= self.report_at && self.report_at != NEVER {
            self.report_at = self.report_at.saturating_mul(2);
        }
        (due, began.saturating_add(self.report_at))
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_reported_when_its_duration_has_doubled() {
        let mut known = Known::default();
        assert_eq!(known.look(None, 90, 10), (false, NEVER));
        assert_eq!(known.look(Some((1, 95)), 100, 10), (false, 105));
        assert_eq!(known.look(Some((1, 95)), 105, 10), (true, 115));
        assert_eq!(known.look(Some((1, 95)), 110, 10), (false, 115));
        assert_eq!(known.look(Some((1, 95)), 115, 10), (true, 135));
        // A late look reports once.
        assert_eq!(known.look(Some((1, 95)), 500, 10), (true, 735));
        assert_eq!(known.look(Some((2, 499)), 500, 10), (false, 509));
        // The same task again, in its next poll.
        assert_eq!(known.look(Some((2, 600)), 600, 10), (false, 610));
    }

    #[test]
    fn a_duration_without_end_is_never_reported() {
        let mut known = Known::default();
        assert_eq!(known.look(Some((1, 5)), NEVER - 1, NEVER), (false, NEVER));
        assert_eq!(known.look(Some((1, 0)), NEVER, NEVER), (false, NEVER));
        // The doubled duration is one without end.
        let poll = Some((2, 0));
        assert_eq!(known.look(poll, NEVER, NEVER / 2 + 1), (true, NEVER));
        assert_eq!(known.look(poll, NEVER, NEVER / 2 + 1), (false, NEVER));
    }
}
