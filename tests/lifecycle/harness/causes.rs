//! Compares the causes of cancellations with the model.

use super::cause::{Because, Cause};
use super::drive::Driver;
use super::ends::path;
use super::model::Model;
use super::same::same;
use super::world::Real;
use taskgrove::{CancelCause, CauseKind};

/// The reason of that number.
pub(crate) fn reason(number: usize) -> String {
    format!("reason {number}")
}

/// Through the handles of a node.
pub(crate) fn of_handles(driver: &Driver<'_>, node: usize, real: &Real) -> Result<(), String> {
    if let Some(task) = &real.task {
        compare(&driver.model, node, task.cancel_cause())?;
    }
    match &real.manager {
        Some(manager) => compare(&driver.model, node, manager.cancel_cause()),
        None => Ok(()),
    }
}

fn compare(model: &Model, node: usize, real: Option<CancelCause>) -> Result<(), String> {
    let (target, because) = match model.cause(node) {
        Cause::Unsure => return Ok(()),
        Cause::Nothing => {
            same!(node, "its cause", real, None);
            return Ok(());
        }
        Cause::Of(target, because) => (target, because),
    };
    let Some(real) = real else {
        return Err(format!(
            "node {node}: no cause, should be {because:?} of {target}"
        ));
    };
    let whole = path(model, target);
    let short = whole.rsplit('/').next().map(|name| format!("../{name}"));
    if !model.nodes[node].done || Some(real.path()) != short.as_deref() {
        same!(node, "the path of its cause", real.path(), whole);
    }
    let number = match because {
        Because::Asked(number) => number,
        _ => None,
    };
    let given = number.map(reason);
    same!(
        node,
        "the reason of its cause",
        real.reason(),
        given.as_deref()
    );
    let right = match (real.kind(), &because) {
        (CauseKind::Requested, Because::Asked(_))
        | (CauseKind::Killed, Because::Killed)
        | (CauseKind::Dropped, Because::Dropped) => true,
        (CauseKind::Failed(failure), Because::Failed) => {
            let of_services = model.nodes.iter().filter_map(|node| node.service.as_ref());
            let failed = of_services.flat_map(|service| &service.failures);
            let mut failed = failed.map(|failure| failure.node).chain([target]);
            failed.any(|node| path(model, node) == failure.path())
        }
        _ => false,
    };
    if right {
        return Ok(());
    }
    Err(format!(
        "node {node}: its cause is {real:?}, should be {because:?} of {target}"
    ))
}

/// In a snapshot.
pub(crate) fn in_snapshot(model: &Model, node: usize, text: Option<&str>) -> Result<(), String> {
    let expected = match model.cause(node) {
        Cause::Unsure => return Ok(()),
        Cause::Nothing => None,
        Cause::Of(target, because) => Some((path(model, target), because)),
    };
    let (Some(text), Some((path, because))) = (text, &expected) else {
        same!(
            node,
            "its having a cause",
            text.is_some(),
            expected.is_some()
        );
        return Ok(());
    };
    let begins = text.starts_with(&format!("{path}: "));
    let ends = match because {
        Because::Asked(Some(number)) => text.ends_with(&format!(": {:?}", reason(*number))),
        _ => true,
    };
    if begins && ends {
        return Ok(());
    }
    Err(format!(
        "node {node}: its cause is {text:?}, should be {because:?} of {path}"
    ))
}
