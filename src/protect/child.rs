//! Which protection a task belongs to that the calling code spawns.

use super::cover::here;
use super::place;
use crate::sync::Arc;
use crate::task::cover::Cover;
use crate::task::current::code::PlaceKind;
use crate::task::current::{Current, look};
use crate::task::{Borrowed, Live, kind};

/// Whether a child of the calling task may be inside protection of that task.
#[inline]
pub(crate) fn is_protected() -> bool {
    look(Current::place) != PlaceKind::Root
}

/// Returns the cover for a child that the calling code spawns under `parent`. `None` if the child is not
/// covered.
#[inline]
pub(crate) fn cover_of(parent: Borrowed<'_>) -> Option<Arc<Cover>> {
    let may_cover = look(|current| {
        current.place() != PlaceKind::Root
            || current.task().is_some_and(|task| task.is(kind::COVERED))
    });
    if may_cover { find(parent) } else { None }
}

#[cold]
fn find(parent: Borrowed<'_>) -> Option<Arc<Cover>> {
    look(|current| {
        current
            .task()
            .and_then(|task| find_below(current, task, parent))
    })
}

fn find_below(current: &Current, task: Live<'_>, parent: Borrowed<'_>) -> Option<Arc<Cover>> {
    if task.borrowed() == parent {
        return place::is_hard(current).then(|| here(task))?;
    }
    if !task.is(kind::COVERED) || parent.is(kind::SENTINEL) {
        return None;
    }
    // The calling task may be below a covered child of the parent.
    let is_child = |task: &Live<'_>| task.parent().is_some_and(|it| it.borrowed() == parent);
    let cover = task.upward().find(is_child)?.cold()?.cover.get()?;
    cover.is_active().then(|| cover.clone())
}
