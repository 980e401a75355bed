//! The view of the running code: what the code knows of cancellations. It decides whether an error that the code returns
//! is a failure, or a consequence of a cancellation.
//!
//! A poll begins with a view: the task's state word, and the latest request for cancellation. The code
//! knows of every cancellation that was requested by then, so an error that it returns is a
//! consequence of those. During the poll the view changes with what ends:
//!
//! - The end of a shield says that an error that comes out of it is a failure.
//! - The end of a `finally` restores the view in which its body ended, however long the cleanup took.
//! - When one of the crate's own awaits reports the end of something that was cancelled from above,
//!   the view becomes that of this moment.

use super::code::{Ended, Protected};
use super::{Fields, change, fields, requests_and_word, with};
use crate::error::Moment;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use crate::task::raw::header::Payload;
use crate::task::record::Record;
use crate::task::requests::Seen;
use crate::task::state::Word;
use std::cell::Cell;

/// The knowledge that the running code has of cancellations.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// The task's state word.
    pub(crate) word: Word,
    /// The latest request for cancellation.
    pub(crate) requests: Seen,
    pub(crate) protected: Protected,
    /// When the code made what it returns, if that was before the end of this poll.
    pub(crate) moment: Option<Moment>,
}

crate::sync::thread_local! {
    /// The moment of a view that has one. Few views have one, so it is not among the values that each
    /// poll copies.
    static MOMENT: Cell<Option<Moment>> = const { Cell::new(None) };
}

/// Returns the view of the calling code. Outside of tasks there is nothing in it.
pub(crate) fn view() -> View {
    let Fields {
        task,
        word,
        requests,
        ended,
        ..
    } = fields();
    View {
        word,
        requests: if task.is_some() { requests } else { Seen::NONE },
        protected: ended.protected(),
        moment: ended.has_moment().then(|| MOMENT.get()).flatten(),
    }
}

/// Gives the calling code this view. Outside of tasks no view is asked for, and this does nothing.
pub(crate) fn set_view(view: View) {
    if fields().task.is_none() {
        return;
    }
    if view.moment.is_some() {
        MOMENT.set(view.moment);
    }
    change(|current| {
        current.0.word = view.word;
        current.0.requests = view.requests;
        current.0.ended = Ended::new(view.protected, view.moment.is_some());
    });
}

/// Restores the view when it is dropped: what ends in between does not change the view of the code
/// around.
pub(crate) struct Apart(View);

impl Apart {
    pub(crate) fn begin() -> Apart {
        let outer = view();
        change(|current| current.0.ended = Ended::NOTHING);
        Apart(outer)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        set_view(self.0);
    }
}

/// Notes that protection has ended, and that what the calling code returns comes from inside it.
pub(crate) fn set_protected() {
    change(|current| current.0.ended = Ended::new(Protected::Yes, false));
}

/// Notes that protection was dropped before its end: what the calling code returns comes from inside
/// it, unless something has ended since.
pub(crate) fn set_protected_if_unknown() {
    change(|current| {
        if current.0.ended.protected() == Protected::Unknown {
            current.0.ended = Ended::new(Protected::Yes, false);
        }
    });
}

/// Notes that one of the crate's own awaits reports the end of something that was cancelled from
/// above: the calling code knows of that cancellation from here on.
#[cold]
pub(crate) fn see() {
    if let Some((requests, word)) = with(|task| task.map(requests_and_word)) {
        set_view(View {
            word,
            requests,
            protected: Protected::Unknown,
            moment: None,
        });
    }
}

/// Whether the running task belongs to this service, or to one below it.
#[cold]
pub(crate) fn is_within(record: &Record) -> bool {
    with(|task| task.is_some_and(|task| task.upward().any(|task| task.is_of(record))))
}

/// Notes a panic beside what the calling code returns, which the panic must not hide. It is counted
/// when this poll of the task ends. Outside of tasks the caller gets the panic back.
pub(crate) fn note_panic(panic: Payload) -> Result<(), Payload> {
    with(|task| match task {
        Some(task) => {
            task.cold_or_new().note_panic(panic);
            Ok(())
        }
        None => Err(panic),
    })
}
