//! Calls from outside any task.

use super::calls::{Ask, RealCall};
use super::cause::Because;
use super::count::{Seen, seen};
use super::drive::{Driver, MOST_NODES, SECOND, choose, length};
use super::model::Scheduled;
use super::node::CleanupState;
use super::ops::{Kind, Op};
use std::time::Duration;

/// So that no two kinds of deadlines coincide.
const STOP: Duration = Duration::from_nanos(107);
const EXTERNAL: Duration = Duration::from_nanos(211);

impl Driver<'_> {
    pub(super) fn outside(&mut self, op: Op) -> bool {
        match op {
            Op::RootTask | Op::RootService(_) => {
                if self.model.nodes.len() >= MOST_NODES {
                    return false;
                }
                let (service, limit) = match op {
                    Op::RootService(limit) => (true, limit.map(usize::from)),
                    _ => (false, None),
                };
                seen(if service {
                    Seen::RootService
                } else {
                    Seen::RootTask
                });
                let kind = if service { Kind::Service } else { Kind::Raw };
                let node = self.new_node(kind, None, limit.unwrap_or(1000));
                self.place(node, Scheduled::Under(None), None);
                self.note(format!("{node} = {op:?}"));
                if service {
                    self.world.root_service(node, limit);
                } else {
                    self.world.root_task(node);
                }
            }
            Op::Schedule(start) => {
                let Some(launch) = self.start(None, start) else {
                    return false;
                };
                seen(Seen::FromOutside);
                match launch.when_room {
                    true => {
                        let wait = RealCall::when_room(self.world.clone(), launch);
                        self.waits.push(wait);
                    }
                    false => self.world.start(launch),
                }
            }
            Op::Cancel(selector) => {
                let Some(node) = self.pick_handle(selector, |_| true) else {
                    return false;
                };
                let reason = self.new_reason();
                self.note(format!("cancel {node}, {reason:?}"));
                self.count_cancel(node);
                self.model.cancel(node, Because::Asked(reason));
                self.world.cancel(node, reason);
            }
            Op::Kill(selector) => {
                let Some(node) = self.pick_handle(selector, |_| true) else {
                    return false;
                };
                self.note(format!("kill {node}"));
                seen(Seen::Kill);
                self.model.kill(node);
                self.world.kill(node);
            }
            Op::CancelAndFail(task) => return self.cancel_and_fail(task),
            Op::Release { which, panic } => {
                let cleanups = 0..self.model.cleanups.len();
                let waiting: Vec<_> = cleanups
                    .filter(|c| {
                        let cleanup = &self.model.cleanups[*c];
                        let wait =
                            matches!(cleanup.state, CleanupState::Unborn | CleanupState::Running);
                        wait && !cleanup.released
                    })
                    .collect();
                let Some(cleanup) = choose(&waiting, which) else {
                    return false;
                };
                self.note(format!("release cleanup {cleanup}, panic {panic}"));
                seen(if panic {
                    Seen::ReleasePanic
                } else {
                    Seen::Release
                });
                self.model.cleanups[cleanup].released = true;
                self.model.cleanups[cleanup].panics = panic;
                self.world.release(cleanup, panic);
            }
            Op::Advance(seconds) => {
                seen(Seen::Advance);
                self.note(format!("advance {} s", seconds + 1));
                self.settle(u64::from(seconds + 1) * SECOND);
            }
            Op::Detach { which, all } => {
                let Some(node) = self.pick_task(which) else {
                    return false;
                };
                self.note(format!("detach {node}, all {all}"));
                seen(if all { Seen::DetachAll } else { Seen::Detach });
                self.model.nodes[node].detached = true;
                self.world.detach(node, all);
            }
            Op::CancelOnDrop(which) => {
                let node = self.pick_task(which);
                let Some(node) = node.filter(|node| self.world.cancel_on_drop(*node)) else {
                    return false;
                };
                self.note(format!("cancel {node} on drop"));
                seen(Seen::CancelOnDrop);
                self.model.cancel(node, Because::Dropped);
                self.model.nodes[node].detached = true;
            }
            Op::Forget(which) => {
                let Some(node) = self.pick_service(which) else {
                    return false;
                };
                self.note(format!("forget {node}"));
                seen(Seen::Forget);
                self.model.nodes[node].detached = true;
                self.model.nodes[node].has_context = false;
                self.world.forget(node);
            }
            Op::Stop { which, within } => {
                return self.call(which, Ask::Stop, length(within) + STOP);
            }
            Op::StopOrKill { which, within } => {
                return self.call(which, Ask::StopOrKill, length(within) + STOP);
            }
            Op::Cleanup { which, start } => return self.cleanup_starts(which, start),
            Op::External { which, lasts: 0 } => {
                return self.call(which, Ask::External, Duration::ZERO);
            }
            Op::External { which, lasts } => {
                return self.call(which, Ask::External, length(lasts) + EXTERNAL);
            }
            Op::DropRuntime => self.drop_runtime(),
            Op::Tell { .. } => return false,
        }
        true
    }

    fn pick_task(&self, selector: u8) -> Option<usize> {
        self.pick_handle(selector, |n| self.model.nodes[n].service.is_none())
    }

    fn pick_service(&self, selector: u8) -> Option<usize> {
        self.pick_handle(selector, |n| self.model.nodes[n].service.is_some())
    }

    /// A call that may take its time.
    fn call(&mut self, which: u8, ask: Ask, length: Duration) -> bool {
        let Some(node) = self.pick_service(which) else {
            return false;
        };
        let Some(manager) = self.world.manager(node) else {
            return false;
        };
        self.note(format!("{ask:?} {node}, {length:?}"));
        seen(match ask {
            Ask::Stop => Seen::StopOutside,
            Ask::StopOrKill => Seen::StopOrKill,
            Ask::External => Seen::External,
        });
        self.model.call(node, ask, length);
        self.calls.push(RealCall::new(manager, ask, length));
        true
    }

    pub(super) fn count_cancel(&self, node: usize) {
        let it = &self.model.nodes[node];
        seen(match it.service {
            Some(_) => Seen::CancelService,
            None if self.model.children(node).next().is_some() => Seen::CancelSubtree,
            None => Seen::CancelLeaf,
        });
    }
}
