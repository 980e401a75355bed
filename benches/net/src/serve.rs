//! The servers: one runtime and one kind each, in a process that leaves with its parent.

#[cfg(target_os = "linux")]
mod monoio;
mod reactor;
mod smol;
mod taskgrove;
mod tokio;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

pub const SMALL: &[u8] = b"Hello, world!";
pub const LARGE: &[u8] = &[b'l'; 64 * 1024];
/// Threads that run tasks.
const WORKERS: usize = 2;
/// How long the poll of a heavy request lasts.
const HEAVY: Duration = Duration::from_millis(10);
/// How long a server of the kind `late` sleeps before each answer.
const SLEEP: Duration = Duration::from_millis(2);
/// What a server that is exposed to strangers sets: it costs each request a timer.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves until standard input is closed.
pub fn run(runtime: &str, kind: &str) {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    match runtime {
        "taskgrove" => taskgrove::run(kind),
        "supervised" => taskgrove::supervised(kind),
        "async-io" => taskgrove::on_async_io(kind),
        #[cfg(target_os = "linux")]
        "monoio" => monoio::run(kind),
        "tokio" => tokio::run(kind),
        "smol" => smol::run(kind),
        other => panic!("no such runtime: {other}"),
    }
}

/// Tells the parent where this process listens.
fn listening(address: SocketAddr) {
    println!("{address}");
}

async fn answer(
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let body = match request.uri().path() {
        "/large" => LARGE,
        "/heavy" => {
            let end = std::time::Instant::now() + HEAVY;
            while std::time::Instant::now() < end {
                std::hint::spin_loop();
            }
            SMALL
        }
        _ => SMALL,
    };
    Ok(hyper::Response::new(Full::new(Bytes::from_static(body))))
}

/// hyper's traits for a stream of futures-io.
struct Io<T>(T);

impl<T: futures_lite::AsyncRead + Unpin> hyper::rt::Read for Io<T> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        // SAFETY: the bytes are only written to: what is not initialised is zeroed first.
        let buffer = unsafe {
            let spare = cursor.as_mut();
            std::ptr::write_bytes(spare.as_mut_ptr(), 0, spare.len());
            std::slice::from_raw_parts_mut(spare.as_mut_ptr().cast::<u8>(), spare.len())
        };
        let read = std::task::ready!(std::pin::Pin::new(&mut self.0).poll_read(cx, buffer))?;
        // SAFETY: all of it is initialised.
        unsafe { cursor.advance(read) };
        std::task::Poll::Ready(Ok(()))
    }
}

impl<T: futures_lite::AsyncWrite + Unpin> hyper::rt::Write for Io<T> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_close(cx)
    }
}

/// hyper's timer over a runtime's own sleep, `S`, which the pointer makes.
#[derive(Clone, Copy)]
struct Timer<S>(fn(std::time::Instant) -> S);

struct Sleep<S>(std::pin::Pin<Box<S>>);

impl<S: Future<Output = ()> + Send + Sync + 'static> hyper::rt::Timer for Timer<S> {
    fn sleep(&self, duration: Duration) -> std::pin::Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(std::time::Instant::now() + duration)
    }

    fn sleep_until(&self, at: std::time::Instant) -> std::pin::Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep(Box::pin((self.0)(at))))
    }
}

impl<S: Future<Output = ()>> Future for Sleep<S> {
    type Output = ();

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl<S: Future<Output = ()> + Send + Sync> hyper::rt::Sleep for Sleep<S> {}

/// One connection of HTTP/1, to its end. What a client that goes away breaks is no failure.
async fn http<T, S>(io: T, timer: Timer<S>)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: Future<Output = ()> + Send + Sync + 'static,
{
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(timer)
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(io, hyper::service::service_fn(answer))
        .await;
}

/// One connection of the echo server, to its end. With a small buffer it is what an idle connection
/// takes at least: a task and a registration.
async fn echo<const BUFFER: usize, T>(mut stream: T)
where
    T: futures_lite::AsyncRead + futures_lite::AsyncWrite + Unpin,
{
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                if stream.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// One connection of the kind `late`: each byte is answered, after a sleep, by how late the sleep was.
async fn late<T, S>(mut stream: T, sleep_until: fn(std::time::Instant) -> S)
where
    T: futures_lite::AsyncRead + futures_lite::AsyncWrite + Unpin,
    S: Future<Output = ()>,
{
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    while let Ok(1) = stream.read(&mut [0]).await {
        let at = std::time::Instant::now() + SLEEP;
        sleep_until(at).await;
        let late = at.elapsed().as_nanos() as u64;
        if stream.write_all(&late.to_le_bytes()).await.is_err() {
            return;
        }
    }
}
