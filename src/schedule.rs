//! The thread pool: run queues, parking, workers.

pub(crate) mod idle;
pub(crate) mod pool;
pub(crate) mod queue;
