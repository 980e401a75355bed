//! One client's connection, from its greeting to its goodbye.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use taskgrove::net::TcpStream;
use taskgrove::{Context, defer, time};

use crate::say::say;
use crate::state::State;
use crate::wire::Wire;

/// How long a goodbye may take; a client that does not read, or does not close its side, could block it for ever.
const GOODBYE: Duration = Duration::from_millis(200);

/// Serves one client to its end.
pub(crate) async fn serve(
    name: String,
    stream: TcpStream,
    upstream: SocketAddr,
    ctx: Context,
    state: Arc<State>,
) -> taskgrove::Result {
    state.open.fetch_add(1, Relaxed);
    // An asynchronous destructor: it runs however this task ends, also if its grace runs out in the
    // middle of a request and its future is dropped. The connection stays in the tree until the
    // cleanup is done. Nothing cuts a cleanup short, so it bounds itself.
    let _goodbye = defer({
        let (mut stream, state) = (stream.clone(), state.clone());
        async move {
            let _ = time::timeout(GOODBYE, dismiss(&mut stream)).await;
            state.open.fetch_sub(1, Relaxed);
        }
    });
    // A task's error cancels its service, and that fails the parent, and so on up: right for a
    // broken invariant, wrong for a client that misbehaves. It is one of many and must not end the
    // others, so its error ends here. A panic is not caught: that would be a bug of ours.
    if let Err(error) = answer(&name, stream, upstream, &ctx, &state).await {
        state.failed.fetch_add(1, Relaxed);
        say(format_args!("{name} failed: {error}"));
    }
    Ok(())
}

/// Says goodbye, and waits until the client has closed its side. A socket that is closed with something unread resets
/// the connection, and the client may lose the goodbye, and the answer before it.
async fn dismiss(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"bye\n").await?;
    stream.shutdown(Shutdown::Write)?;
    let mut unread = vec![0; 4096];
    while stream.read(&mut unread).await? > 0 {
        taskgrove::yield_now().await; // a client that never stops must not keep the timeout from its turn
    }
    Ok(())
}

/// Hands requests to the upstream and answers back, until the client leaves or the listener drains.
async fn answer(
    name: &str,
    stream: TcpStream,
    upstream: SocketAddr,
    ctx: &Context,
    state: &State,
) -> io::Result<()> {
    let mut client = Wire::new(stream)?;
    patient(state, client.send(format!("hello {name}\n").as_bytes())).await?;
    let mut upstream = Wire::connect(upstream).await?;
    let mut cancelled = pin!(ctx.cancelled());
    loop {
        // Between two requests a drain ends the connection at once. The client's side is asked
        // first: a request that was sent before the drain is still answered.
        let request = client.readable();
        let draining = async {
            cancelled.as_mut().await;
            Ok(false)
        };
        if !patient(state, future::or(request, draining)).await? {
            return Ok(());
        }
        // Inside a request nothing here looks at the cancellation: the grace is for this. A client
        // that never sends the rest of its line stays in `receive` until the grace is over, and is
        // then dropped there.
        let Some(request) = patient(state, client.receive()).await? else {
            return Ok(());
        };
        let size = request.len() as u64;
        let reply = upstream.call(request).await?;
        patient(state, client.send(reply)).await?;
        state.answered.fetch_add(1, Relaxed);
        state.bytes.fetch_add(size, Relaxed);
        // A client that always has the next request ready gets no more than this one.
        if ctx.is_cancelled() {
            return Ok(());
        }
    }
}

/// Waits for a client, but not for ever: one that sends nothing, or does not read, would keep its place from others.
async fn patient<T>(state: &State, wait: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "it keeps us waiting",
        ))
    };
    time::timeout(state.idle, wait).await.unwrap_or_else(late)
}
