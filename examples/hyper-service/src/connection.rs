//! One connection, from its first byte to its goodbye.

use crate::routes;
use crate::state::State;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
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
///
/// A connection that has no request under way for `idle` is asked to leave in the same way. hyper limits the time
/// for the head of a request of HTTP/1, but not the time until it knows which protocol the client speaks, nor
/// how long a connection of HTTP/2 may have no stream; without a limit, clients that send nothing keep all others
/// out.
pub(crate) async fn serve(
    stream: TcpStream,
    ctx: Context,
    state: Arc<State>,
    linger: Duration,
    idle: Duration,
) -> taskgrove::Result {
    // Answers are written in one piece; waiting for more to send would only delay them.
    stream.set_nodelay(true)?;
    let requests = Arc::new(Requests::default());
    let answer = service_fn({
        let (state, requests) = (state.clone(), requests.clone());
        move |request: Request<Incoming>| {
            let is_http2 = request.version() == Version::HTTP_2;
            requests.is_http2.store(is_http2, Relaxed);
            let (state, under_way) = (state.clone(), requests.begin());
            async move {
                let _under_way = under_way;
                Ok::<_, Infallible>(routes::answer(request, &state).await)
            }
        }
    });
    // Each request of HTTP/2 is a future of its own, which the executor makes a child of this task: it has the
    // grace of this task, is gone before it, and is in the picture.
    let mut builder = auto::Builder::new(Executor);
    // A head that comes byte by byte has as long as one that does not come.
    builder.http1().timer(Timer).header_read_timeout(idle);
    builder.http2().timer(Timer);
    let mut connection = pin!(builder.serve_connection(stream, answer));

    let mut ended = ctx
        .until_cancelled(until_idle(connection.as_mut(), &requests, idle))
        .await
        .flatten();
    if ended.is_none() && ctx.is_cancelled() && !requests.is_http2.load(Relaxed) {
        ended = time::timeout(linger, connection.as_mut()).await.ok();
    }
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            // A client that does not read its goodbye, or the end of an answer, is left.
            until_idle(connection, &requests, idle)
                .await
                .unwrap_or(Ok(()))
        }
    };
    // Nobody asks for the outcome of this task; the error is for those who look at the counts.
    if ended.is_err() {
        state.counts.broken.fetch_add(1, Relaxed);
    }
    ended
}

/// The requests of one connection.
#[derive(Default)]
struct Requests {
    is_http2: AtomicBool,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Requests {
    /// Counts a request, which is under way until the guard is dropped: also if its client has cancelled it.
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Relaxed);
        UnderWay(self.clone())
    }
}

struct UnderWay(Arc<Requests>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}

/// Polls a connection until it ends. Returns `None` if no request was under way for `idle`, and at most twice as long.
async fn until_idle<C: Future>(
    mut connection: Pin<&mut C>,
    requests: &Requests,
    idle: Duration,
) -> Option<C::Output> {
    loop {
        let ended = requests.ended.load(Relaxed);
        if let Ok(end) = time::timeout(idle, connection.as_mut()).await {
            return Some(end);
        }
        // None has ended since, and all that have begun had ended before.
        if requests.ended.load(Relaxed) == ended && requests.begun.load(Relaxed) == ended {
            return None;
        }
    }
}
