//! Commands to tasks: what they mean in the model, and for the interpreter.

use super::cause::Because;
use super::count::{Seen, seen};
use super::drive::{Driver, choose, length};
use super::interp::Do;
use super::model::Scheduled;
use super::node::Scope;
use super::ops::{How, Kind, Tell};

impl Driver<'_> {
    /// Carries it out in the model. `None`: it is not possible, or what comes of it is not said.
    pub(super) fn tell_model(&mut self, node: usize, tell: Tell) -> Option<Do> {
        Some(match tell {
            Tell::End(how) => {
                seen(match how {
                    How::Value => Seen::EndValue,
                    How::Error => Seen::EndError,
                    How::Panic => Seen::EndPanic,
                });
                self.model.end(node, how);
                Do::End(how)
            }
            Tell::Shield | Tell::Finally { .. } => {
                let cancels = self.model.poll.as_ref().map_or(0, |p| p.cancels.len());
                let asked = self.model.nodes[node].closing.is_some();
                let frames = &self.model.nodes[node].frames;
                let killed = self.model.nodes[node].killed.is_some();
                let hard = frames.iter().any(|f| f.scope.is_hard());
                if cancels > 0 && asked && (killed || !hard) {
                    // Whether its turn has come within the poll is not said.
                    return None;
                }
                if let Tell::Finally { waits } = tell {
                    seen(Seen::Finally);
                    let cleanup = self.new_cleanup(node, waits);
                    self.model.enter(node, Scope::Body(cleanup));
                    Do::Finally(cleanup)
                } else {
                    seen(Seen::Shield);
                    self.model.enter(node, Scope::Shield);
                    Do::Shield
                }
            }
            Tell::Defer { waits } => {
                seen(Seen::Defer);
                let cleanup = self.new_cleanup(node, waits);
                self.model.add_guard(node, cleanup);
                Do::Defer(cleanup)
            }
            Tell::Leave | Tell::Abort if self.model.nodes[node].frames.is_empty() => return None,
            Tell::Leave => {
                seen(Seen::Leave);
                self.model.leave(node);
                Do::Leave
            }
            Tell::Abort => {
                seen(Seen::Abort);
                if let Some(Scope::Run(service) | Scope::Beside(service)) =
                    self.model.nodes[node].frames.last().map(|f| f.scope)
                {
                    let poll = self.model.poll.as_mut();
                    poll.expect("it is told").cancels.push(service);
                }
                self.model.abort(node);
                Do::Abort
            }
            Tell::DropDefer => {
                seen(Seen::DropDefer);
                self.model.drop_guard(node);
                Do::DropDefer
            }
            Tell::Start(start) => {
                let launch = self.start(Some(node), start)?;
                if self.places[launch.node] == Scheduled::Waits {
                    self.model.wait(node, Scope::Room(launch.node));
                } else if launch.beside && self.model.nodes[launch.node].done {
                    seen(Seen::NotBeside);
                } else if launch.beside {
                    seen(Seen::Beside);
                    self.model.wait(node, Scope::Beside(launch.node));
                } else if launch.kind == Kind::Run {
                    self.model.wait(node, Scope::Run(launch.node));
                }
                Do::Start(launch)
            }
            Tell::Cancel { which, above } => {
                let other = self.pick_handle(which, |n| !above || self.model.is_below(node, n))?;
                if !self.may_ask(other) {
                    return None;
                }
                self.count_cancel(other);
                seen(Seen::CancelFromTask);
                if self.model.is_below(node, other) {
                    seen(Seen::CancelAbove);
                }
                let reason = self.cancels(other);
                Do::Cancel(other, reason)
            }
            Tell::CancelSelf => {
                if self.model.nodes[node].detached {
                    return None;
                }
                seen(Seen::CancelSelf);
                let reason = self.cancels(node);
                Do::Cancel(node, reason)
            }
            Tell::Kill { which, above } => {
                let other = self.pick_handle(which, |n| !above || self.model.is_below(node, n))?;
                if !self.may_ask(other) {
                    return None;
                }
                seen(Seen::KillFromTask);
                if self.model.is_below(node, other) {
                    seen(Seen::KillAbove);
                }
                self.kills(other);
                Do::Kill(other)
            }
            Tell::KillSelf => {
                if self.model.nodes[node].detached {
                    return None;
                }
                seen(Seen::KillSelf);
                self.kills(node);
                Do::Kill(node)
            }
            Tell::Await(other) => {
                let other = self.pick_handle(other, |n| self.may_wait(node, n))?;
                seen(Seen::Await);
                self.model.wait(node, Scope::Await(other));
                Do::Await(other)
            }
            Tell::Stop { which, within } => {
                let services = |n: usize| self.model.nodes[n].service.is_some();
                let other = self.pick_handle(which, |n| {
                    self.may_wait(node, n) && (within.is_none() || services(n))
                })?;
                if !self.may_ask(other) {
                    return None;
                }
                match within {
                    Some(within) => {
                        seen(Seen::StopWithin);
                        self.model.cancel(other, Because::Asked(None));
                        let poll = self.model.poll.as_mut();
                        poll.expect("it is told").cancels.push(other);
                        let length = length(within + 1);
                        let until = self.model.now + length.as_nanos() as u64;
                        self.model.wait(node, Scope::Until(other, until));
                        Do::StopWithin(other, length)
                    }
                    None => {
                        seen(Seen::Stop);
                        let reason = self.cancels(other);
                        self.model.wait(node, Scope::Await(other));
                        Do::Stop(other, reason)
                    }
                }
            }
            Tell::Ready => {
                let own = self.model.service_of(node)?;
                if !self.model.nodes[own].has_context {
                    return None;
                }
                seen(Seen::Ready);
                let service = self.model.service(own);
                if !std::mem::replace(&mut service.ready, true) {
                    seen(Seen::BecameReady);
                }
                Do::Ready(own)
            }
            Tell::Sleep(seconds) => {
                seen(Seen::Sleep);
                let length = length(seconds + 1);
                let until = self.model.now + length.as_nanos() as u64;
                self.model.wait(node, Scope::Sleep(until));
                Do::Sleep(length)
            }
            Tell::Arm => {
                seen(Seen::Arm);
                self.model.nodes[node].armed = true;
                Do::Arm
            }
        })
    }

    /// Whether what comes of a request to end that node is said: whether a supervisor hears of another request of
    /// the same poll, or of a failure in it, before it hears of the end of its child is not.
    fn may_ask(&self, target: usize) -> bool {
        let poll = self.model.poll.as_ref();
        let first = poll.is_none_or(|poll| poll.cancels.is_empty() && !self.model.panics(poll));
        first || !self.model.is_in_supervisor(target)
    }

    /// Whether a node may wait for that one: a wait for its own end, or for one above, is told by a panic, which the
    /// model does not know.
    fn may_wait(&self, node: usize, other: usize) -> bool {
        other != node && !self.model.is_below(node, other)
    }

    /// The service of a task is cancelled, and before anything follows from it the task is told to
    /// end with an error: whether that is polled, or the task dropped first, it is a consequence of
    /// the shutdown, unless the task is protected.
    pub(super) fn cancel_and_fail(&mut self, task: u8) -> bool {
        let model = &self.model;
        let leaves = model.live().into_iter().filter(|n| {
            let it = &model.nodes[*n];
            it.kind != Kind::Raw && !it.armed && it.closing.is_none() && model.listens(*n)
        });
        let leaves: Vec<_> = leaves
            .filter(|n| model.children(*n).next().is_none())
            .collect();
        let Some(node) = choose(&leaves, task) else {
            return false;
        };
        let service = model.service_of(node);
        let Some(service) = service.filter(|service| !model.nodes[*service].detached) else {
            return false;
        };
        let frames = &model.nodes[node].frames;
        let hard = frames.iter().any(|f| f.scope.is_hard());
        if !hard && !frames.iter().all(|f| f.scope.protects()) {
            return false;
        }
        seen(Seen::CancelAndFail);
        self.note(format!("cancel {service}, tell {node} End(Error)"));
        let reason = self.new_reason();
        self.model.cancel(service, Because::Asked(reason));
        self.world.cancel(service, reason);
        self.world.control(node).tell(Do::End(How::Error));
        self.world.control(node).wake();
        if hard || self.model.in_grace(node) || self.model.nodes[node].closing.is_none() {
            self.model.begin_poll(node);
            self.model.end(node, How::Error);
        } else {
            seen(Seen::ConsequenceAtOnce);
            self.model.nodes[node].told_late = true;
        }
        true
    }
}
