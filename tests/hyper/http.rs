//! Servers and clients: every answer right, an upgrade, a drain.

use crate::body::{Full, all};
use crate::common::{Event, on_workers, watchdog};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;
use taskgrove::hyper::{Io, Timer};
use taskgrove::net::{TcpListener, TcpStream, UnixStream};
use taskgrove::{Context, Runtime, StopError};

/// Answers with the request's body, doubled.
async fn double(request: Request<Incoming>) -> hyper::Result<Response<Full>> {
    let body = all(request.into_body()).await?;
    Ok(Response::new(Full::new([&body[..], &body[..]].concat())))
}

/// Sends requests of many sizes over one connection, and checks each answer.
async fn ask<T>(stream: T, requests: usize)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .expect("a connection");
    let connection = taskgrove::spawn(connection);
    for n in 0..requests {
        let body: Vec<u8> = (0..n * n * 7 % 300_000).map(|at| (at * n) as u8).collect();
        let request = Request::post("/").header("host", "localhost");
        let request = request.body(Full::new(body.clone())).expect("a request");
        sender.ready().await.expect("open");
        let response = sender.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let answer = all(response.into_body()).await.expect("a body");
        assert!(answer[..body.len()] == body && answer[body.len()..] == body);
    }
    drop(sender);
    connection.await.expect("no panic").expect("a clean end");
}

#[test]
fn every_answer_of_many_connections_is_right() {
    for workers in 0..=2 {
        on_workers(workers, async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let address = listener.local_addr().expect("bound");
            let server = taskgrove::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("accepted");
                    taskgrove::spawn(
                        hyper::server::conn::http1::Builder::new()
                            .timer(Timer)
                            .header_read_timeout(Duration::from_secs(30))
                            .serve_connection(stream, service_fn(double)),
                    );
                }
            });
            let client = |_| {
                taskgrove::spawn(async move {
                    ask(TcpStream::connect(address).await.expect("connected"), 40).await;
                })
            };
            let clients: Vec<_> = (0..8).map(client).collect();
            for client in clients {
                client.await.expect("no panic");
            }
            server.cancel();
        });
    }
}

#[test]
fn a_unix_stream_and_a_wrapped_stream_serve_too() {
    on_workers(2, async || {
        for wrapped in [false, true] {
            let (here, there) = UnixStream::pair().expect("a pair");
            let http = hyper::server::conn::http1::Builder::new();
            if wrapped {
                taskgrove::spawn(http.serve_connection(Io::new(there), service_fn(double)));
                ask(Io::new(here), 30).await;
            } else {
                taskgrove::spawn(http.serve_connection(there, service_fn(double)));
                ask(here, 30).await;
            }
        }
    });
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    on_workers(1, async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let client = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).expect("listening");
            stream.set_nodelay(true).expect("nodelay");
            let request =
                b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc";
            for byte in request {
                stream.write_all(&[*byte]).expect("sent");
            }
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("read");
            answer
        });
        let (stream, _) = listener.accept().await.expect("accepted");
        hyper::server::conn::http1::Builder::new()
            .serve_connection(stream, service_fn(double))
            .await
            .expect("served");
        let answer = client.join().expect("no panic");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nabcabc"), "{answer}");
    });
}

#[test]
fn an_upgraded_connection_is_a_futures_io_stream() {
    async fn upgrade(request: Request<Incoming>) -> Result<Response<Full>, Infallible> {
        taskgrove::spawn(async move {
            let upgraded = hyper::upgrade::on(request).await.expect("upgraded");
            let mut stream = Io::new(upgraded);
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.expect("read");
            assert_eq!(&word, b"ping");
            stream.write_all(b"pong").await.expect("sent");
            stream.close().await.expect("open");
        });
        let mut response = Response::new(Full::new(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
            .headers_mut()
            .insert("upgrade", "x".parse().expect("a value"));
        Ok(response)
    }
    on_workers(2, async || {
        let (mut here, there) = UnixStream::pair().expect("a pair");
        let http = hyper::server::conn::http1::Builder::new();
        taskgrove::spawn(
            http.serve_connection(there, service_fn(upgrade))
                .with_upgrades(),
        );
        here.write_all(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nping",
        )
        .await
        .expect("sent");
        let mut answer = Vec::new();
        here.read_to_end(&mut answer).await.expect("read");
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
        assert!(text.ends_with("\r\n\r\npong"), "{text}");
    });
}

/// A server as a service: it accepts until it is cancelled, and its connections drain within their grace.
struct Server {
    listener: std::sync::Mutex<Option<std::net::TcpListener>>,
    /// Set when the request with four bytes has begun to arrive.
    under_way: Event,
    drains: Event,
}

impl taskgrove::Service for Server {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        let listener = self.listener.lock().unwrap().take().expect("run once");
        let listener = TcpListener::from_std(listener)?;
        ctx.set_ready();
        while let Some(accepted) = ctx.until_cancelled(listener.accept()).await {
            let (stream, _) = accepted?;
            let (inner, drains) = (ctx.clone(), self.drains.clone());
            let under_way = self.under_way.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                if request.headers()["content-length"] == "4" {
                    under_way.set();
                }
                double(request)
            });
            let connection = async move {
                let http = hyper::server::conn::http1::Builder::new();
                let mut connection = std::pin::pin!(http.serve_connection(stream, service));
                if inner.until_cancelled(connection.as_mut()).await.is_none() {
                    connection.as_mut().graceful_shutdown();
                    drains.set();
                    connection.await?;
                }
                Ok(())
            };
            ctx.task(connection)
                .grace(Duration::from_secs(20))
                .spawn()?;
        }
        Ok(())
    }
}

#[test]
fn a_cancelled_server_answers_what_was_under_way_and_ends() {
    watchdog(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let rt = Runtime::builder().workers(2).build().expect("a runtime");
        let server = Server {
            listener: std::sync::Mutex::new(Some(listener)),
            under_way: Event::new(),
            drains: Event::new(),
        };
        let (under_way, drains) = (server.under_way.clone(), server.drains.clone());
        let manager = rt.start(server).expect("started");
        let mut idle = std::net::TcpStream::connect(address).expect("listening");
        let mut busy = std::net::TcpStream::connect(address).expect("listening");
        for stream in [&mut idle, &mut busy] {
            stream
                .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\na")
                .expect("sent");
            let mut answer = [0; 1_000];
            let read = stream.read(&mut answer).expect("read");
            assert!(answer[..read].ends_with(b"aa"));
        }
        busy.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
            .expect("sent");
        rt.block_on(async {
            under_way.wait().await;
            let stopping = taskgrove::spawn({
                let manager = manager.clone();
                async move { manager.stop_timeout(Duration::from_secs(20)).await }
            });
            drains.wait().await;
            busy.write_all(b"cd").expect("sent");
            let stopped: Result<(), StopError> = stopping.await.expect("no panic");
            stopped.expect("everything has ended in time");
        });
        let mut answer = String::new();
        busy.read_to_string(&mut answer).expect("read");
        assert!(answer.ends_with("abcdabcd"), "{answer}");
        assert_eq!(idle.read(&mut [0]).expect("the end"), 0);
    });
}
