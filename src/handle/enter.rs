//! [`Handle::enter`]: puts the calling thread into a runtime.

use super::Handle;
use crate::task::current::inside::Entered;
use std::marker::PhantomData;

/// A guard: until it is dropped, the calling thread is in a runtime. [`Handle::enter`] makes one.
///
/// It cannot be sent to another thread.
#[must_use = "dropping it leaves the runtime at once"]
pub struct Enter<'a> {
    _entered: Entered,
    /// Of this thread, so neither `Send` nor `Sync`.
    _of: PhantomData<(&'a Handle, *const ())>,
}

impl Handle {
    /// Enters the runtime on the calling thread, until the guard that is returned is dropped.
    ///
    /// Meanwhile [`spawn`](crate::spawn()), [`time::sleep`](crate::time::sleep()), [`Handle::current`] and the
    /// like work on this thread, as they do in the future of [`block_on`](Handle::block_on). The calling code
    /// is outside of any task, also if it is called in one: what it spawns is a root, and
    /// [`TaskId::current`](crate::TaskId::current) is `None`. The thread does not become a worker. This is for code
    /// that makes futures outside of a runtime, such as constructors and callbacks of other libraries.
    ///
    /// The runtime may be another one than the thread is in. Enters nest, and the innermost one counts whose
    /// guard is not dropped: the guards may be dropped in any order. A guard that was made inside a call of
    /// [`block_on`](Handle::block_on) and is kept has no effect any more once that call returns. A guard that a
    /// task's code keeps beyond the poll, which `Send` futures cannot, leaves the thread in the runtime between
    /// polls, but puts no other poll outside of its task.
    ///
    /// If the runtime has ended, this is as with any handle: tasks that are spawned are cancelled already, and
    /// sleeps resolve at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskgrove::{Handle, Runtime, spawn, time};
    /// let runtime = Runtime::new()?;
    /// let sleep = {
    ///     let _entered = runtime.enter();
    ///     time::sleep(Duration::from_millis(1))
    /// };
    /// assert!(Handle::try_current().is_none());
    /// runtime.block_on(sleep);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enter(&self) -> Enter<'_> {
        Enter {
            _entered: Entered::begin(self.shared().clone()),
            _of: PhantomData,
        }
    }
}

impl std::fmt::Debug for Enter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Enter")
    }
}
