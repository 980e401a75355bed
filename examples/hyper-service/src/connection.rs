//! One connection, from its first byte to its goodbye.

use crate::routes;
use crate::state::State;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use taskgrove::hyper::{Executor, Timer};
use taskgrove::net::TcpStream;
use taskgrove::{Context, time};

/// Serves a connection to its end.
///
/// The two protocols part differently:
///
/// - HTTP/2 has a message for it: the server says which streams it will still answer, and the client knows
///   that it may repeat the others elsewhere. hyper sends it (`graceful_shutdown`), and ends when these streams
///   have.
/// - HTTP/1 has only the header `connection: close` in an answer. A server that closes a connection between two
///   requests may close it at the moment at which the client sends the next one, which is lost. So a connection
///   that is between requests is not closed at once: its next request is still answered, with that header
///   (see `routes`), and only one that has none within `linger` is closed.
pub(crate) async fn serve(
    stream: TcpStream,
    ctx: Context,
    state: Arc<State>,
    linger: Duration,
) -> taskgrove::Result {
    // Answers are written in one piece; waiting for more to send would only delay them.
    stream.set_nodelay(true)?;
    let is_http2 = Arc::new(AtomicBool::new(false));
    let answer = service_fn({
        let (state, is_http2) = (state.clone(), is_http2.clone());
        move |request: Request<Incoming>| {
            is_http2.store(request.version() == Version::HTTP_2, Relaxed);
            let state = state.clone();
            async move { Ok::<_, Infallible>(routes::answer(request, &state).await) }
        }
    });
    // Each request of HTTP/2 is a future of its own, which the executor makes a child of this task: it has the
    // grace of this task, is gone before it, and is in the picture.
    let mut builder = auto::Builder::new(Executor);
    builder.http1().timer(Timer);
    builder.http2().timer(Timer);
    let mut connection = pin!(builder.serve_connection(stream, answer));

    let mut ended = ctx.until_cancelled(connection.as_mut()).await;
    if ended.is_none() && !is_http2.load(Relaxed) {
        ended = time::timeout(linger, connection.as_mut()).await.ok();
    }
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Nobody asks for the outcome of this task; the error is for those who look at the counts.
    if ended.is_err() {
        state.counts.broken.fetch_add(1, Relaxed);
    }
    ended
}
