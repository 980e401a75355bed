//! What is answered.

use crate::state::State;
use crate::worker::Job;
use crate::{look, metrics};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use taskgrove::{Handle, time};

/// How long a request waits for a worker beyond the time of its job.
const PATIENCE: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A status, the type of the content, and the content.
type Answer = (StatusCode, &'static str, Bytes);

/// Answers a request.
pub(crate) async fn answer(request: Request<Incoming>, state: &State) -> Response<Full<Bytes>> {
    state.counts.read.fetch_add(1, Relaxed);
    let (status, kind, body) = route(&request, state).await;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // How HTTP/1 parts; see `connection`. HTTP/2 has no such header.
    if state.is_draining() && request.version() < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    state.counts.answered.fetch_add(1, Relaxed);
    response
}

async fn route(request: &Request<Incoming>, state: &State) -> Answer {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    match request.uri().path() {
        "/" => ok(HTML, include_str!("page.html")),
        "/tree" => ok(TEXT, format!("{}\n", state.snapshot())),
        "/tree.json" => ok(JSON, look::json(state)),
        "/changes" => changes(request, state).await,
        "/metrics" => ok(
            PROMETHEUS,
            metrics::text(state, &Handle::current().metrics()),
        ),
        // The process runs and answers: more than that would make an init system restart what only waits.
        "/healthz" => ok(TEXT, "alive\n"),
        "/readyz" if state.is_ready() => ok(TEXT, "ready\n"),
        "/readyz" if state.is_draining() => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "no worker is ready\n"),
        "/work" => work(request, state).await,
        _ => text(StatusCode::NOT_FOUND, "no such page\n"),
    }
}

fn ok(kind: &'static str, body: impl Into<Bytes>) -> Answer {
    (StatusCode::OK, kind, body.into())
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    (status, TEXT, body.into())
}

/// Compares two pictures. What waited all the time is what to look at when nothing goes on.
async fn changes(request: &Request<Incoming>, state: &State) -> Answer {
    let before = state.snapshot();
    time::sleep(millis(request, "ms", 1_000)).await;
    ok(TEXT, format!("{}\n", state.snapshot().since(&before)))
}

/// Hands a job to the workers and waits for its answer.
async fn work(request: &Request<Incoming>, state: &State) -> Answer {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (answer, answered) = async_channel::bounded(1);
    let job = Job {
        number: parameter(request, "n")
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| 1 + NUMBER.fetch_add(1, Relaxed)),
        takes: millis(request, "ms", 5),
        blocks: millis(request, "block", 0),
        fails: parameter(request, "fail").is_some(),
        answer,
    };
    let limit = PATIENCE.saturating_add(job.takes);
    let done = async {
        state.jobs.0.send(job).await.ok()?;
        answered.recv().await.ok()
    };
    match time::timeout(limit, done).await {
        Ok(Some(answer)) => ok(TEXT, answer),
        Ok(None) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the worker failed; it is being restarted\n",
        ),
        Err(_) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "no worker had time for this\n",
        ),
    }
}

/// Returns a parameter of the query, as it stands there.
fn parameter<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    let pairs = request.uri().query()?.split('&');
    let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn millis(request: &Request<Incoming>, name: &str, otherwise: u64) -> Duration {
    let value = parameter(request, name).and_then(|value| value.parse().ok());
    Duration::from_millis(value.unwrap_or(otherwise))
}
