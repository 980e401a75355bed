//! The thread pool: run queues, parking, timers' wake-ups, and the loop of a worker.
//!
//! The room decides which thread polls which task, and when a thread sleeps. It implements
//! [`Schedule`](crate::task::Schedule), through which the rooms below push tasks and jobs, without
//! knowing of threads. It guards that
//!
//! - a task that was pushed comes out of a queue exactly once ([`queue`], [`run_next`]);
//! - no wake-up is lost: not of a push, nor of a timer ([`idle`]);
//! - each source of tasks is served within a bound, whatever is in the others ([`worker`]);
//! - a worker holds no task, waker or batch while it runs code of the user's that may block.
//!
//! What a poll does to a task, and what a task's end entails, is `tree`'s subject. Threads are
//! started and joined by `runtime`.

mod cores;
mod counters;
pub(crate) mod deadlines;
pub(crate) mod idle;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod run_next;
mod woken;
pub(crate) mod worker;
