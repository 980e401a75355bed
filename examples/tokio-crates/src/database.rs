//! sqlx with SQLite.
//!
//! Escapes: a thread for each connection, since SQLite blocks, and a task of tokio's that looks after the pool. They
//! end when the pool is closed. A cancelled task is dropped before it comes to a `close` in its last line, so the call
//! is in a cleanup, which a cancellation waits for.

use crate::outside::{Outside, check};
use async_compat::Compat;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use std::future::pending;
use taskgrove::finally;
use tokio::sync::oneshot;

/// Runs a body with a database, which is closed at its end, whether it returns, panics or is cancelled.
pub(crate) async fn with_database<F>(body: impl FnOnce(SqlitePool) -> F) -> taskgrove::Result
where
    F: Future<Output = taskgrove::Result>,
{
    // Each connection has a database of its own in memory, so the pool has one connection.
    let options = SqlitePoolOptions::new().max_connections(1);
    let pool = options.connect("sqlite::memory:").await?;
    // In an `async` block: the call of `close` closes the pool, and its future waits.
    finally(body(pool.clone()), async { pool.close().await }).await
}

/// Fills a table and counts its rows, in a future of `Compat`.
pub(crate) async fn count(outside: Outside) -> taskgrove::Result {
    with_database(async |pool| {
        let create = sqlx::query("CREATE TABLE visits (name TEXT NOT NULL)");
        create.execute(&pool).await?;
        for name in ["ann", "bob", "ann"] {
            let insert = sqlx::query("INSERT INTO visits VALUES (?)").bind(name);
            insert.execute(&pool).await?;
        }
        let count = "SELECT count(*) FROM visits WHERE name = 'ann'";
        let visits: i64 = sqlx::query_scalar(count).fetch_one(&pool).await?;
        check(&format!("sqlx: ann came {visits} times"), visits == 2)?;
        check(
            "it is outside: sqlx's thread",
            outside.has_thread("sqlx-sqlite"),
        )?;
        check("and the pool's task", outside.tasks() >= 1)?;
        outside.print();
        Ok(())
    })
    .await?;
    outside.wait_until_no_thread("sqlx-sqlite").await?;
    outside.wait_until_empty().await
}

/// Cancels a task that has a database open, in a future of `Compat`.
pub(crate) async fn cancel(outside: Outside) -> taskgrove::Result {
    let (opened, open) = oneshot::channel();
    let task = with_database(async |pool| {
        let _ = opened.send(pool);
        pending().await
    });
    let task = taskgrove::spawn(Compat::new(task));
    let pool = open.await?;
    task.cancel();
    task.wait_done().await;
    check(
        "a task that was cancelled has closed its pool",
        pool.is_closed(),
    )?;
    outside.wait_until_no_thread("sqlx-sqlite").await?;
    outside.wait_until_empty().await
}
