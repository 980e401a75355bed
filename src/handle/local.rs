//! [`TaskLocal`]: values that go down the tree.

use crate::task::current;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::AtomicU8;

/// The key of a value that goes down the tree: a task sees what it, or the nearest task above it, was
/// spawned with.
///
/// A key is a `static`. `local` on the builders sets a value, for the new task and everything below it:
/// [`RootBuilder::local`](crate::RootBuilder::local), [`TaskBuilder::local`](crate::TaskBuilder::local),
/// [`ChildServiceBuilder::local`](crate::ChildServiceBuilder::local) and
/// [`ManagerBuilder::local`](crate::ManagerBuilder::local). Nothing is copied at a spawn: a look walks up the
/// tree, so it takes time in proportion to the number of tasks in between.
///
/// A service that runs in the background of a task ([`background_service`](crate::background_service()),
/// [`Manager::run`](crate::Manager::run)) is below that task in the tree, and sees its values. A root sees
/// its own alone, also if a task has spawned it through a [`Handle`](crate::Handle). The future of
/// [`block_on`](crate::Runtime::block_on) is no task and sees none.
///
/// A value is dropped when its task is done, after everything below it. A handle that another thread polls at that
/// moment may resolve while the values are being dropped.
///
/// # Examples
///
/// ```
/// use taskgrove::{Runtime, TaskLocal, spawn};
/// static USER: TaskLocal<String> = TaskLocal::new();
///
/// let runtime = Runtime::new()?;
/// let task = runtime.task(async {
///     let below = spawn(async { USER.get() });
///     below.await
/// });
/// let task = task.local(&USER, "ann".to_owned()).spawn();
/// assert_eq!(runtime.block_on(task)??.as_deref(), Some("ann"));
/// assert!(USER.get().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TaskLocal<T: 'static> {
    /// Gives each key an address of its own, and keeps a constant from being taken for a `static`.
    _address: AtomicU8,
    value: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> TaskLocal<T> {
    /// Makes a key.
    #[allow(clippy::new_without_default, reason = "a key is a static")]
    pub const fn new() -> Self {
        TaskLocal {
            _address: AtomicU8::new(0),
            value: PhantomData,
        }
    }

    /// The key as a number.
    pub(crate) fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Calls `f` with the value of the calling task, or of the nearest task above it that has one; with
    /// `None` if there is none, and outside of tasks.
    ///
    /// `f` may spawn, cancel, and look at other values.
    ///
    /// # Panics
    ///
    /// Panics with a panic of `f`.
    pub fn with<R>(&'static self, f: impl FnOnce(Option<&T>) -> R) -> R {
        let value = current::with(|task| task.and_then(|task| task.local(self.key())));
        let any: Option<&(dyn Any + Send + Sync)> = value.as_deref();
        f(any.and_then(|value| value.downcast_ref()))
    }

    /// Returns a clone of the value that [`with`](TaskLocal::with) shows.
    pub fn get(&'static self) -> Option<T>
    where
        T: Clone,
    {
        self.with(|value| value.cloned())
    }
}

impl<T: 'static> fmt::Debug for TaskLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocal")
            .field("type", &std::any::type_name::<T>())
            .finish_non_exhaustive()
    }
}
