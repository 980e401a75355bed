//! [`Settings`]: what the builders of tasks and services have in common.

use super::local::TaskLocal;
use crate::task::kind;
use crate::task::locals::Locals;
use crate::tree::spawn;
use std::sync::Arc;
use std::time::Duration;

/// How many live supervised children a parent may have, unless a builder says otherwise.
const MAX_CHILDREN: usize = 1000;

/// The settings of a task or a service before it exists. Each builder offers those that apply to what
/// it makes.
pub(crate) struct Settings {
    /// `None`: the task is named after its function, and the service names itself.
    pub(crate) name: Option<String>,
    pub(crate) daemon: bool,
    pub(crate) isolated: bool,
    pub(crate) locals: Option<Box<Locals>>,
    pub(crate) grace: Option<Duration>,
    pub(crate) max_children: usize,
    pub(crate) ready_with_children: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            name: None,
            daemon: false,
            isolated: false,
            locals: None,
            grace: None,
            max_children: MAX_CHILDREN,
            ready_with_children: false,
        }
    }
}

impl Settings {
    pub(crate) fn set_name(&mut self, name: impl Into<String>) {
        self.name = Some(name.into());
    }

    /// Sets a value that the task is spawned with. One that was set for the key before is dropped here.
    pub(crate) fn set_local<T: Send + Sync + 'static>(
        &mut self,
        key: &'static TaskLocal<T>,
        value: T,
    ) {
        let before = (self.locals.get_or_insert_default()).set(key.key(), Arc::new(value));
        drop(before);
    }

    /// Whether the task opts out of grace periods.
    pub(crate) fn opts_out(&self) -> bool {
        self.grace.is_some_and(|grace| grace.is_zero())
    }

    /// Turns the settings into those of a task.
    pub(crate) fn into_task(self) -> spawn::Options {
        let daemon = if self.daemon { kind::DAEMON } else { 0 };
        let isolated = if self.isolated { kind::ISOLATED } else { 0 };
        spawn::Options {
            kind: daemon | isolated,
            locals: self.locals,
            name: self.name.map(String::into_boxed_str),
            grace: self.grace,
            ..spawn::Options::default()
        }
    }
}
