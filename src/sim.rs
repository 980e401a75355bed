//! Deterministic simulation: the same tasks and services on one thread, with a schedule drawn from a
//! seed and a clock that jumps.
//!
//! A [`Sim`] takes the place of a [`Runtime`](crate::Runtime). Tasks, services, cancellation and timers
//! run the same code as in a runtime; only the scheduler differs. The seed decides which ready task is
//! polled next, when a cancellation takes its next step, when a cancelled future is dropped, when a
//! parent learns that a child is done, when a due timer fires, and when a wake from another thread takes
//! effect. Time is virtual: it stands still while anything is ready, and jumps to the next timer when
//! nothing is, so that a simulated day takes only as long as the work in it.
//!
//! [`check()`] runs a body for many seeds and names the first one that fails.
//!
//! ```
//! use std::time::Duration;
//! use taskgrove::{sim, spawn, time};
//!
//! sim::check(0..100, async || {
//!     let slow = spawn(async { time::sleep(Duration::from_secs(3600)).await });
//!     let quick = time::timeout(Duration::from_secs(60), slow.wait_done()).await;
//!     assert!(quick.is_err(), "an hour is more than a minute");
//!     slow.await.unwrap();
//! });
//! ```
//!
//! # What is deterministic
//!
//! The same program with the same seed gives the same run, step for step, with the same task ids and the
//! same [`fingerprint`](Sim::fingerprint). So a failure that one seed in ten thousand shows can be
//! replayed as often as it takes, under a debugger or with more output.
//!
//! This holds for everything that a program does through this crate. A program that depends on other
//! sources may differ from run to run:
//!
//! - other threads, whose wakes arrive in an order that the operating system decides;
//! - the system's clock. [`time::now`](crate::time::now) is virtual: differences of its instants repeat,
//!   the instants themselves are counted from when the simulation was made;
//! - addresses;
//! - the order of a `HashMap` with std's random state;
//! - random numbers from elsewhere: those of [`random()`] repeat.
//!
//! # Other threads
//!
//! Another thread may use a simulation as it may use a runtime, at any time, also while the `Sim` is
//! dropped: it may spawn through a [`Handle`](crate::Handle), take a [`Snapshot`](crate::Snapshot), wake,
//! cancel, schedule through a service's [`Context`](crate::Context), and keep wakers and handles.
//! What it pushes takes effect at a step that the seed draws. A snapshot has no effect on the run: it
//! costs no step and no virtual time, and a deadlock is found all the same.
//!
//! A simulation waits for a future that another thread completes as long as that thread's work is
//! announced: from [`external_work()`] until the returned value is dropped. Until then no time passes
//! when nothing is ready. A simulation does not wait for work that is not announced, since it cannot
//! know whether a waker that another thread has will ever be woken. The time then jumps to the next
//! timer, or, if there is none, [`block_on`](Sim::block_on) panics and reports a deadlock.
//!
//! # What it does not find
//!
//! A poll is one step, and two polls never overlap. So a simulation finds neither data races nor wrong
//! memory orderings.

// The room of the simulator. It has a scheduler for one thread (`engine`) and the public type that
// drives it (`simulator`), and is used by nothing but `lib.rs`. It guards that each choice follows from
// the seed, and that no other thread's push is lost or overlooked (`inbox`). It may not poll a
// task, drop a future or walk the tree by itself: for that it calls `tree`.

mod advance;
mod check;
mod deadlock;
mod engine;
mod inbox;
mod livelock;
mod polls;
mod program;
mod random;
mod run;
mod scheduler;
mod simulator;
mod unhandled;

pub use check::check;
pub use program::{ExternalWork, external_work, random};
pub use simulator::Sim;
