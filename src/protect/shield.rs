//! [`shielded`]: a future that cancellation waits for.

use super::last_poll::poll_to_its_end;
use super::protection::Protection;
use super::{checkpoint, place};
use crate::task::current::view;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Runs `f` without letting a cancellation of the calling task drop it.
///
/// What `f` spawns belongs to the shield, and so does what that spawns in turn: tasks and child services,
/// raw or through a [`Context`](crate::Context). A cancellation does not reach it before the shield ends,
/// and it runs also if the task is being cancelled already. What is left of it then is cancelled with the
/// task, if that is being cancelled, and is a child of the task like any other if not.
///
/// The idea is trio's and anyio's shielded cancel scope, and a nursery inside of it.
///
/// # Cancellation
///
/// When the task is to be dropped while `f` runs, the whole task is polled on until `f` has ended. Then
/// it goes on to its next suspension, and is dropped there, or, if something is left that `f` has spawned, as soon as
/// that has ended. Until then it gets past none of this crate's awaits, though past others. If it returns before that,
/// its result counts. When the task is to be dropped before the shield is first polled, the shield does not start,
/// and the task ends there.
///
/// Dropping this future, in a select or on a timeout, drops `f` and ends the shield. A kill
/// ([`Task::kill`](crate::Task::kill)) and the drop of the runtime do not wait for shields. Outside of tasks a shield changes nothing.
///
/// # Panics
///
/// With the panic of `f`.
///
/// # Examples
///
/// ```
/// use taskgrove::{Runtime, shielded, yield_now};
/// let runtime = Runtime::builder().workers(0).build()?;
/// let (tx, rx) = std::sync::mpsc::channel();
/// let task = runtime.spawn(shielded(async move {
///     tx.send("begin").unwrap();
///     yield_now().await;
///     tx.send("end").unwrap();
/// }));
/// runtime.block_on(yield_now());
/// assert_eq!(rx.try_recv(), Ok("begin"));
/// task.cancel();
/// assert!(runtime.block_on(task).is_ok());
/// assert_eq!(rx.try_recv(), Ok("end"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn shielded<F: Future>(f: F) -> F::Output {
    let mut protection = Protection::default();
    protection.hard = true;
    let mut f = pin!(Some(f));
    poll_fn(|cx| {
        if !protection.enter(cx) {
            return Poll::Pending;
        }
        let poll = place::hard(&mut protection.cell, || poll_to_its_end(f.as_mut(), cx));
        if poll.is_ready() {
            protection.leave();
            view::set_protected();
            checkpoint::note_ready();
        }
        poll
    })
    .await
}
