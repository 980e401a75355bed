//! A panic of a task, as a value.

use crate::sync::Mutex;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;

/// A panic that the runtime caught in a task.
///
/// To continue it, pass its payload to [`std::panic::resume_unwind`].
pub struct Panic(Box<Caught>);

struct Caught {
    message: Cow<'static, str>,
    /// The mutex makes the payload `Sync`. No code locks it: the payload is only moved out.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    /// Wraps the payload of a caught panic.
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Panic {
        Panic(Box::new(Caught {
            message: message_of(&*payload),
            payload: Mutex::new(payload),
        }))
    }

    /// Returns the message that was given to `panic!`, or a text that says that the payload is not
    /// a string.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the payload, as [`std::panic::catch_unwind`] does.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.0.payload.into_inner()
    }
}

/// Returns the message in the payload of a panic.
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
