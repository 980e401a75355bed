//! How services and tasks have ended: failures, outcomes.

use super::drive::Driver;
use super::interp::Fault;
use super::model::Model;
use super::node::{Failure, Outcome, Why};
use super::ops::Kind;
use super::same::same;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use taskgrove::{FailureKind, JoinError, ServiceError, Task, TaskFailure};

/// The names from the root to this node.
pub(crate) fn path(model: &Model, node: usize) -> String {
    let mut names = Vec::new();
    let mut at = Some(node);
    while let Some(node) = at {
        at = model.nodes[node].parent;
        let raw = model.nodes[node].kind == Kind::Raw && at.is_some();
        let name = model.nodes[node].name.clone();
        names.push(match name {
            _ if raw => "raw".to_owned(),
            Some(name) => name,
            None => format!("n{node}"),
        });
    }
    names.reverse();
    names.join("/")
}

/// Failures of one step come in any order, those of different steps in theirs.
pub(crate) fn failures(model: &Model, node: usize, real: &[TaskFailure]) -> Result<(), String> {
    let service = model.nodes[node].service.as_ref();
    let expected: &[Failure] = service.map_or(&[], |s| &s.failures);
    same!(node, "the number of failures", real.len(), expected.len());
    let mut left: Vec<&Failure> = expected.iter().collect();
    left.sort_by_key(|failure| failure.step);
    for failure in real {
        let first = left.first().map(|f| f.step);
        let mut wrong = String::new();
        let found = left.iter().position(|expected| {
            Some(expected.step) == first
                && match is_failure(model, failure, expected) {
                    Ok(()) => true,
                    Err(why) => {
                        wrong += &why;
                        false
                    }
                }
        });
        let Some(found) = found else {
            return Err(format!("node {node}: failure {failure:?}; {wrong}"));
        };
        left.remove(found);
    }
    Ok(())
}

/// The leaves below, too: in the order of their steps.
pub(crate) fn root_causes(model: &Model, node: usize, real: &ServiceError) -> Result<(), String> {
    let mut expected = Vec::new();
    let mut services = vec![node];
    while let Some(node) = services.pop() {
        let service = model.nodes[node].service.as_ref().expect("a service");
        for failure in &service.failures {
            match failure.why {
                Why::Service(below) => services.push(below),
                _ => expected.push((failure.step, path(model, failure.node))),
            }
        }
    }
    expected.sort();
    let mut left = expected.as_slice();
    let mut real: Vec<_> = real.root_causes().map(TaskFailure::path).collect();
    same!(node, "the number of root causes", real.len(), left.len());
    let mut at = real.as_mut_slice();
    while let Some((step, _)) = left.first() {
        let (now, later) = left.split_at(left.partition_point(|(other, _)| other == step));
        let (these, others) = at.split_at_mut(now.len());
        these.sort_unstable();
        let now: Vec<_> = now.iter().map(|(_, path)| path.as_str()).collect();
        same!(node, "the root causes of a step", &*these, &*now);
        (left, at) = (later, others);
    }
    Ok(())
}

fn is_failure(model: &Model, real: &TaskFailure, expected: &Failure) -> Result<(), String> {
    let from = expected.node;
    same!(from, "a failure's path", real.path(), path(model, from));
    match (real.kind(), &expected.why) {
        (FailureKind::Error(error), Why::Error(node)) => {
            same!(
                from,
                "the fault",
                error.downcast_ref::<Fault>().map(|f| f.0),
                Some(*node)
            );
            Ok(())
        }
        (FailureKind::Panic(_), Why::Panic) | (FailureKind::DaemonExit, Why::DaemonExit) => Ok(()),
        (FailureKind::Error(_), Why::Forced) => Ok(()),
        (FailureKind::Service(error), Why::Service(node)) => {
            failures(model, *node, error.failures())
        }
        (real, expected) => Err(format!(
            "node {from}: failed by {real:?}, should be {expected:?}"
        )),
    }
}

pub(crate) fn outcome(driver: &Driver<'_>, node: usize, task: Task<usize>) -> Result<(), String> {
    let waker = Waker::noop();
    let Poll::Ready(real) = pin!(task).poll(&mut Context::from_waker(waker)) else {
        return Err(format!("node {node} is done, and its handle pends"));
    };
    let real = match real {
        Ok(value) => {
            same!(node, "its value", value, node);
            Outcome::Value
        }
        Err(JoinError::Cancelled) => Outcome::Cancelled,
        Err(JoinError::Panicked(_)) => Outcome::Panicked,
        Err(JoinError::Failed(failure)) => {
            same!(
                node,
                "its failure's path",
                failure.path(),
                path(&driver.model, node)
            );
            Outcome::Failed
        }
        Err(other) => return Err(format!("node {node}: {other:?}")),
    };
    same!(node, "its outcome", real, driver.model.nodes[node].outcome);
    Ok(())
}
