//! Atomics for statics, which live as long as the process.
//!
//! loom's atomics belong to one execution of a model and cannot be statics. These are std's in both
//! builds, so no model covers them: use them only where no other memory depends on their order in a
//! way that a model has to explore.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
