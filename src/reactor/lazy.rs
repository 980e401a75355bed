//! [`LazyReactor`]: a reactor that is made with the first socket.

use super::over::over;
use super::shared::Reactor;
use crate::sync::{Arc, Mutex, OnceLock};
use std::io;
use std::task::Waker;

/// The reactor of a runtime, which is made with its first socket.
pub(crate) struct LazyReactor {
    made: OnceLock<Arc<Reactor>>,
    /// Whether the runtime has ended. Held while the reactor is made.
    is_over: Mutex<bool>,
}

impl LazyReactor {
    pub(crate) fn new() -> Self {
        LazyReactor {
            made: OnceLock::new(),
            is_over: Mutex::new(false),
        }
    }

    /// The reactor, if there is one.
    #[inline]
    pub(crate) fn get(&self) -> Option<&Arc<Reactor>> {
        self.made.get()
    }

    /// The reactor, which is made if there is none; then `made` is called, after other threads can get it.
    ///
    /// # Errors
    ///
    /// Returns the system's error, for instance that the process has too many open files, and an error if
    /// the runtime has ended.
    pub(crate) fn get_or_make(&self, made: impl FnOnce()) -> io::Result<&Arc<Reactor>> {
        if let Some(reactor) = self.get() {
            return Ok(reactor);
        }
        let is_over = self.is_over.lock();
        if *is_over {
            return Err(over());
        }
        if self.get().is_none() {
            let reactor = Arc::new(Reactor::new()?);
            assert!(self.made.set(reactor).is_ok(), "made under the lock");
            drop(is_over);
            made();
        }
        Ok(self.get().expect("it was made"))
    }

    /// See [`Reactor::close`].
    pub(crate) fn close(&self) -> Vec<Waker> {
        *self.is_over.lock() = true;
        self.get().map_or_else(Vec::new, |reactor| reactor.close())
    }
}
