//! Spawns of one's own code: `tokio::spawn` leaves the tree, and `taskgrove::spawn` with a `Compat` does not.

use crate::outside::{Outside, check};
use async_compat::Compat;
use std::future::pending;
use tokio::sync::oneshot;

/// Cancels a task that has spawned on either side, in a future of `Compat`.
pub(crate) async fn spawn(outside: Outside) -> taskgrove::Result {
    let (release, released) = oneshot::channel::<()>();
    let (started, both_run) = oneshot::channel();
    let (guard, dropped) = oneshot::channel::<()>();
    let task = taskgrove::spawn(Compat::new(async {
        tokio::spawn(released);
        taskgrove::spawn(Compat::new(async {
            let _guard = guard;
            let _ = started.send(());
            pending::<()>().await
        }));
        pending::<()>().await
    }));
    both_run.await?;
    task.cancel();
    task.wait_done().await;
    check("the tree has dropped its child", dropped.await.is_err())?;
    check("tokio's task lives on", outside.tasks() == 1)?;
    drop(release);
    outside.wait_until_empty().await
}
