//! Whether an error that the running code returns would be a failure, or a consequence of a
//! cancellation, as far as that depends on this poll.
//!
//! A poll begins with a view: the task's word, and the latest request for cancellation. What had been
//! asked for by then is no news to the code, and makes what it returns a consequence. As the poll goes
//! on the view changes with what ends: a shield's end says that what comes out of it counts; that of a
//! `finally` brings back the view in which its body ended, however long the cleanup took; and the
//! first end that one of the crate's own awaits reports, of something that was cancelled from above,
//! makes it the view of that moment.

use super::{Current, change, current, node};
use crate::error::Moment;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use crate::task::record::Record;
use crate::task::requests::Seen;
use crate::task::state::Snapshot;
use crate::tree::links;
use std::any::Any;
use std::cell::Cell;

/// What the running code knows of cancellations.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// The task's word.
    pub(crate) word: Snapshot,
    /// The requests that there were.
    pub(crate) requests: Seen,
    /// Whether what it returns comes from inside protection.
    pub(crate) protected: Protected,
    /// When what it returns happened, if that is over.
    pub(crate) moment: Option<Moment>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protected {
    /// Nothing is known.
    Unknown,
    /// A `finally` has ended, whose body was not inside protection, or did not end there.
    No,
    Yes,
}

/// [`View::protected`], and whether there is a [`View::moment`], in the byte that each poll copies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended(u8);

impl Ended {
    pub(crate) const NOTHING: Ended = Ended(0);
    const MOMENT: u8 = 1 << 7;

    fn new(protected: Protected, has_moment: bool) -> Ended {
        Ended(protected as u8 | if has_moment { Self::MOMENT } else { 0 })
    }

    fn protected(self) -> Protected {
        match self.0 & !Self::MOMENT {
            0 => Protected::Unknown,
            1 => Protected::No,
            _ => Protected::Yes,
        }
    }

    fn has_moment(self) -> bool {
        self.0 & Self::MOMENT != 0
    }
}

crate::sync::thread_local! {
    /// The moment of the view that has one: few have, and each poll copies the rest.
    static MOMENT: Cell<Option<Moment>> = const { Cell::new(None) };
}

/// The view of the calling code.
pub(crate) fn view() -> View {
    let Current {
        word,
        requests,
        ended,
        ..
    } = current();
    View {
        word,
        requests,
        protected: ended.protected(),
        moment: ended.has_moment().then(|| MOMENT.get()).flatten(),
    }
}

/// The calling code goes on with this view.
pub(crate) fn set_view(view: View) {
    if view.moment.is_some() {
        MOMENT.set(view.moment);
    }
    change(|current| {
        current.word = view.word;
        current.requests = view.requests;
        current.ended = Ended::new(view.protected, view.moment.is_some());
    });
}

/// Until dropped, what ends does not change the view of the code around.
pub(crate) struct Apart(View);

impl Apart {
    pub(crate) fn begin() -> Apart {
        let outer = view();
        change(|current| current.ended = Ended::NOTHING);
        Apart(outer)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        set_view(self.0);
    }
}

/// What the calling code returns comes from inside protection, which has ended.
pub(crate) fn set_protected() {
    change(|current| current.ended = Ended::new(Protected::Yes, false));
}

/// Protection was dropped before its end: what the calling code returns comes from inside, unless
/// something has ended since.
pub(crate) fn set_protected_if_unknown() {
    change(|current| {
        if current.ended.protected() == Protected::Unknown {
            current.ended = Ended::new(Protected::Yes, false);
        }
    });
}

/// An own await reports the end of something that was cancelled from above.
#[cold]
pub(crate) fn see() {
    if let Some(node) = node() {
        // In this order: what had marked by then shows in the task's own word.
        let requests = node.shared().requests.look();
        set_view(View {
            word: node.state.load(),
            requests,
            protected: Protected::Unknown,
            moment: None,
        });
    }
}

/// Whether the running task belongs to this service, or to one below it.
#[cold]
pub(crate) fn is_within(record: &Record) -> bool {
    let mut at = node();
    while let Some(node) = at {
        if node.record_ptr() == std::ptr::from_ref(record) {
            return true;
        }
        at = links::parent(node);
    }
    false
}

/// Notes a panic that must not hide what the calling code returns: the task ends with it after this
/// poll. Outside of tasks there is nobody to tell, and it is given back.
pub(crate) fn note_panic(panic: Box<dyn Any + Send>) -> Result<(), Box<dyn Any + Send>> {
    match node() {
        Some(node) => {
            node.cold_or_new().note_panic(panic);
            Ok(())
        }
        None => Err(panic),
    }
}
