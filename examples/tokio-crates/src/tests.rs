//! Ends that are not orderly: kills, panics, cancellations in the middle, and runtimes that end in either order.

use crate::outside::Outside;
use crate::{database, greeter};
use async_compat::Compat;
use std::future::pending;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use taskgrove::time::timeout;
use taskgrove::{Context, Handle, Manager, Runtime, defer, service_fn};
use tokio::sync::oneshot;

/// Runs a test as a service. They look at the same runtime of tokio's, so there is one at a time.
fn in_tree<F>(test: impl FnOnce(Context, Outside) -> F + Send + 'static) -> taskgrove::Result
where
    F: Future<Output = taskgrove::Result> + Send + 'static,
{
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let app = async |ctx: Context| {
        let outside = Compat::new(async { Outside::here() }).await;
        outside.wait_until_empty().await?;
        Compat::new(test(ctx.clone(), outside)).await?;
        ctx.cancel()?;
        Ok(())
    };
    let ended = Runtime::builder()
        .workers(2)
        .build()?
        .run(service_fn("app", app));
    Ok(ended?)
}

#[test]
fn a_kill_leaves_no_database() -> taskgrove::Result {
    in_tree(async |_, outside| {
        let (opened, open) = oneshot::channel();
        let task = taskgrove::spawn(Compat::new(database::with_database(async |pool| {
            let _ = opened.send(());
            let _pool = pool;
            pending().await
        })));
        open.await?;
        task.kill();
        task.wait_done().await;
        outside.wait_until_no_thread("sqlx-sqlite").await?;
        outside.wait_until_empty().await
    })
}

#[test]
fn a_database_that_is_cancelled_while_it_opens_leaves_nothing() -> taskgrove::Result {
    in_tree(async |_, outside| {
        for polls in 0..20 {
            let open = database::with_database(async |_| pending().await);
            let task = taskgrove::spawn(Compat::new(open));
            for _ in 0..polls {
                taskgrove::yield_now().await;
            }
            task.cancel();
            task.wait_done().await;
        }
        outside.wait_until_no_thread("sqlx-sqlite").await?;
        outside.wait_until_empty().await
    })
}

#[test]
fn a_panic_closes_the_database_and_has_a_path() {
    let ended = in_tree(async |ctx, _| {
        let body = database::with_database(async |_| -> taskgrove::Result { panic!("of a query") });
        ctx.task(Compat::new(body)).name("database").spawn()?;
        pending().await
    });
    let error = ended.expect_err("it has panicked").to_string();
    assert!(error.contains("app/database"), "{error}");
    in_tree(async |_, outside| outside.wait_until_no_thread("sqlx-sqlite").await).expect("closed");
}

#[test]
fn a_request_that_is_cancelled_leaves_no_connection() -> taskgrove::Result {
    in_tree(async |_, outside| {
        // A server that never answers.
        let listener = taskgrove::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let request = async move { reqwest::Client::new().get(url).send().await.map(drop) };
        let task = taskgrove::spawn(Compat::new(request));
        let (_stream, _) = listener.accept().await?;
        task.cancel();
        task.wait_done().await;
        outside.wait_until_empty().await
    })
}

#[test]
fn a_call_that_hangs_does_not_outlive_its_server() -> taskgrove::Result {
    in_tree(async |ctx, outside| {
        for is_killed in [false, true] {
            let (server, url) = greeter::start(&ctx, Duration::from_millis(500)).await?;
            let channel = greeter::connect(&url).await?;
            let (begin, begun) = oneshot::channel();
            let hangs = taskgrove::spawn(Compat::new(greeter::hang(channel.clone(), begin)));
            begun.await?;
            // On the same connection: when it is answered, the server has read of both.
            greeter::call(&channel, "/example.Greeter/Greet", "ann").await?;
            if is_killed {
                server.kill()?;
                server.wait_finished().await;
            } else {
                server.stop().await?;
                assert!(matches!(server.result(), Some(Ok(()))));
            }
            assert!(hangs.await?.is_err());
            drop(channel);
            outside.wait_until_empty().await?;
        }
        Ok(())
    })
}

#[test]
fn a_client_without_room_fails_its_service() -> taskgrove::Result {
    in_tree(async |ctx, _| {
        let (_server, url) = greeter::start(&ctx, Duration::from_secs(5)).await?;
        for room in [0, 1, 2, 8] {
            let url = url.clone();
            let client = service_fn("client", move |ctx: Context| {
                Compat::new(async move {
                    let channel = greeter::connect_in_tree(&url, ctx).await?;
                    greeter::call(&channel, "/example.Greeter/Greet", "ann").await?;
                    Ok(())
                })
            });
            let client = Manager::builder(client).max_children(room);
            let client = client.start(&Handle::current())?;
            timeout(Duration::from_secs(10), client.wait_finished()).await?;
            assert_eq!(client.did_error(), room < 8, "{:?}", client.result());
        }
        Ok(())
    })
}

#[test]
fn a_deferred_cleanup_needs_a_compat_of_its_own() -> taskgrove::Result {
    in_tree(async |_, _| {
        let (bare, wrapped) = (oneshot::channel(), oneshot::channel());
        let has_tokio = || tokio::runtime::Handle::try_current().is_ok();
        let task = taskgrove::spawn(Compat::new(async move {
            let _bare = defer(async move { bare.0.send(has_tokio()).expect("awaited") });
            let cleanup = async move { wrapped.0.send(has_tokio()).expect("awaited") };
            let _wrapped = defer(Compat::new(cleanup));
        }));
        task.await?;
        assert_eq!((bare.1.await?, wrapped.1.await?), (false, true));
        Ok(())
    })
}

#[test]
fn either_runtime_may_end_first() -> taskgrove::Result {
    // The tree first: what wakes its tasks later finds none.
    let tokio = tokio::runtime::Builder::new_current_thread().build()?;
    let (send, receive) = oneshot::channel::<()>();
    let (sent, is_sent) = oneshot::channel::<bool>();
    let (go, gone) = oneshot::channel::<()>();
    let runtime = Runtime::builder().workers(1).build()?;
    let receiver = runtime.spawn(receive);
    let sender = tokio.spawn(async move {
        let _ = gone.await;
        let _ = sent.send(send.send(()).is_ok());
    });
    let waits = tokio.spawn(receiver);
    while runtime.metrics().polls == 0 {
        std::thread::yield_now();
    }
    drop(runtime);
    let waited = tokio.block_on(waits)?;
    assert!(waited.is_err(), "{waited:?}");
    drop(go);
    tokio.block_on(sender)?;
    assert!(!tokio.block_on(is_sent)?);

    // tokio first: what waits for its tasks is told, and its timers panic, which has a path.
    let runtime = Runtime::builder().workers(1).build()?;
    let (task, handle) = (tokio.spawn(pending::<()>()), tokio.handle().clone());
    let waits = runtime.spawn(task);
    drop(tokio);
    assert!(runtime.block_on(waits)?.is_err_and(|e| e.is_cancelled()));
    let late = runtime.spawn(async move { handle.spawn(async {}).await });
    assert!(runtime.block_on(late)?.is_err_and(|e| e.is_cancelled()));
    Ok(())
}
