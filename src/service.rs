//! Services: a task that runs a user's [`Service`], with everything that is scheduled below it.
//!
//! The service's task and its record are in the tree (see [`Record`]). This room holds what users
//! see of them: a [`Manager`] looks from outside and stops, a [`Context`] schedules from inside, and
//! both lead to the same record. `start` puts the service's task into the tree.
//!
//! The room guards three rules: a service is started at most once, a slot leads to the record and
//! never to the service, and a manager of a start that failed resolves every wait. It may not touch
//! state words, stages or the lists of children; it asks `tree` for that.
//!
//! [`Record`]: crate::task::record::Record

mod background;
#[cfg(feature = "blocking")]
mod blocking;
mod builders;
mod context;
mod interface;
mod launch;
mod launcher;
mod manager;
mod readiness;
mod record;
mod service_fn;
mod slot;
mod start;
mod stats;
mod stop;
mod tasks;
mod waits;
mod when_room;

pub use background::background_service;
pub use builders::{ChildServiceBuilder, ManagerBuilder};
pub use context::Context;
pub use interface::{BoxService, Service};
pub use manager::Manager;
pub use service_fn::{ServiceFn, service_fn};
pub use slot::ManagerSlot;
pub use stats::{Stats, TaskStats};
pub use tasks::TaskBuilder;
