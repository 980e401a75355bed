//! How a task can end without a value.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::TaskFailure;

/// Why a task's handle has no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The task was cancelled.
    #[error("the task was cancelled")]
    Cancelled,
    /// The task panicked.
    #[error("the task {0}")]
    Panicked(Panic),
    /// A supervised task returned an error, which its service has recorded as well.
    #[error(transparent)]
    Failed(#[from] TaskFailure),
}

impl JoinError {
    /// True if the task was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Cancelled)
    }

    /// True if the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, JoinError::Panicked(_))
    }
}

/// A panic that was caught.
///
/// To go on with it, give its payload to [`std::panic::resume_unwind`].
pub struct Panic(Box<Caught>);

struct Caught {
    message: Cow<'static, str>,
    /// The mutex makes the payload `Sync`; nobody ever locks it, so there is nothing to model and
    /// it need not come from `crate::sync`.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    /// The panic with this payload.
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Panic {
        Panic(Box::new(Caught {
            message: message_of(&*payload),
            payload: Mutex::new(payload),
        }))
    }

    /// What was given to `panic!`, or, if the payload is no string, words that say so.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The payload, as [`std::panic::catch_unwind`] gives it.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        let payload = self.0.payload.into_inner();
        payload.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message of a panic with this payload.
fn message_of(payload: &(dyn Any + Send)) -> Cow<'static, str> {
    if let Some(message) = payload.downcast_ref::<&'static str>() {
        Cow::Borrowed(message)
    } else if let Some(message) = payload.downcast_ref::<String>() {
        Cow::Owned(message.clone())
    } else {
        Cow::Borrowed("a payload that is no string (Box<dyn Any>)")
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message()).finish()
    }
}
