//! [`Control`]: decides what a signal and the time do to the service.
//!
//! | state | signal to end | the drain is over | SIGQUIT | the service has ended |
//! |---|---|---|---|---|
//! | runs | cancels: drains | – | prints the tree | ends |
//! | drains | kills: is killed | kills: is killed | prints the tree | ends |
//! | is killed | exits | exits, when nothing has ended for [`PATIENCE`] | prints the tree | ends |

use super::event::{Event, code_of};
use super::notify::{Notifier, OwnTasks};
use super::print::{aside, describe, print};
use super::signals;
use crate::error::{How, Origin, StopTimeout};
use crate::handle::Handle;
use crate::service::Manager;
use crate::task::state::Level;
use crate::tree::request::request_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long the process outlives the last end of a task after a kill.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two looks whether another task has ended.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Control {
    pub(super) manager: Manager,
    pub(super) handle: Handle,
    pub(super) notifier: Arc<Notifier>,
    pub(super) own: OwnTasks,
    pub(super) drain: Duration,
    pub(super) asked: Arc<AtomicI32>,
    pub(super) killed: Arc<AtomicI32>,
}

impl Control {
    /// Decides until the service has ended.
    pub(super) fn run(self, events: Receiver<Event>) {
        // The signal that began the drain, and when that is over; `None` is never.
        let mut draining: Option<(i32, Option<Instant>)> = None;
        loop {
            let over = draining.and_then(|(_, over)| over);
            match (receive(&events, over), draining) {
                (Received::Event(Event::Ended), _) => return,
                (Received::Event(Event::Signal(signals::QUIT)), _) => self.print_tree(),
                (Received::Event(Event::Signal(signal)), None) => {
                    self.asked.store(signal, Ordering::Relaxed);
                    self.notifier.stopping();
                    self.cancel(signal);
                    draining = Some((signal, Instant::now().checked_add(self.drain)));
                }
                (Received::Event(Event::Signal(signal)), Some(_)) => {
                    return self.kill(signal, &events);
                }
                (Received::Late, Some((signal, _))) => return self.kill(signal, &events),
                (Received::Late, None) => {}
            }
        }
    }

    /// Cancels the service, with the name of the signal as the reason.
    fn cancel(&self, signal: i32) {
        // It was started, so this does not fail.
        let reason = signals::name(signal);
        let _ = self
            .manager
            .cancel_for(Origin::nowhere(How::Signal), reason);
    }

    fn print_tree(&self) {
        let handle = self.handle.clone();
        print(move || handle.snapshot().to_string());
    }

    /// Names what is left, kills it, and ends the process if it does not end by itself.
    fn kill(&self, signal: i32, events: &Receiver<Event>) {
        let (manager, handle, own) = (self.manager.clone(), self.handle.clone(), self.own.clone());
        // The causes that a snapshot names have texts of the user's.
        let left = aside(move || {
            let mut remaining = manager.snapshot();
            if remaining.is_empty() {
                remaining = handle.snapshot();
            }
            let cause = manager.cancel_cause();
            own.are_not_all(&remaining)
                .then_some(StopTimeout { remaining, cause })
        });
        if !matches!(left, Some(None)) {
            self.killed.store(signal, Ordering::Release);
            print(move || match left.flatten() {
                Some(left) => describe(&left),
                None => "killed: what was left could not be described in time".to_owned(),
            });
        }
        let _ = self.manager.kill();
        // The service may be over, and other roots have the drain to come to an end.
        request_all(self.handle.shared(), Level::Kill);
        let mut live = usize::MAX;
        let mut since = Instant::now();
        loop {
            match receive(events, Some(Instant::now() + LOOK)) {
                Received::Event(Event::Ended) => return,
                Received::Event(Event::Signal(signals::QUIT)) => self.print_tree(),
                Received::Event(Event::Signal(signal)) => exit(signal),
                Received::Late => {
                    let now = self.handle.metrics().live_tasks;
                    if now < live {
                        (live, since) = (now, Instant::now());
                    } else if since.elapsed() > PATIENCE {
                        exit(signal);
                    }
                }
            }
        }
    }
}

/// Ends the process, in which a task does not end.
fn exit(signal: i32) -> ! {
    std::process::exit(code_of(signal).into())
}

enum Received {
    Event(Event),
    /// Nothing came until the time was over.
    Late,
}

/// Waits for an event, at most until this time.
fn receive(events: &Receiver<Event>, until: Option<Instant>) -> Received {
    let received = match until {
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(until) => events.recv_timeout(until.saturating_duration_since(Instant::now())),
    };
    match received {
        Ok(event) => Received::Event(event),
        Err(RecvTimeoutError::Timeout) => Received::Late,
        // The thread that waited for the service is gone.
        Err(RecvTimeoutError::Disconnected) => Received::Event(Event::Ended),
    }
}
