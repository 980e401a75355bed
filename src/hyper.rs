//! hyper on this crate: an executor, a timer, and sockets that are hyper's streams themselves. Only with
//! the feature `hyper`.
//!
//! [`net::TcpStream`](crate::net::TcpStream) and, on Unix, [`net::UnixStream`](crate::net::UnixStream)
//! implement [`hyper::rt::Read`] and [`hyper::rt::Write`] directly: what comes in is read to where hyper
//! wants it, without a copy, and a response's head and body leave in one vectored write. Any other stream,
//! for instance one with TLS, is wrapped in [`Io`].
//!
//! A connection belongs to the task that polls it. What hyper spawns for it (the streams of HTTP/2, an
//! upgrade's driver) goes through [`Executor`] and becomes a child of that task: it ends with the
//! connection, and shows in snapshots below it.
//!
//! # Examples
//!
//! A server that answers each request, and its client:
//!
//! ```
//! use hyper::body::{Bytes, Incoming};
//! use std::convert::Infallible;
//! use taskgrove::hyper::Timer;
//! use taskgrove::net::{TcpListener, TcpStream};
//!
//! # struct Full(Option<Bytes>);
//! # impl hyper::body::Body for Full {
//! #     type Data = Bytes;
//! #     type Error = Infallible;
//! #     fn poll_frame(
//! #         mut self: std::pin::Pin<&mut Self>,
//! #         _: &mut std::task::Context<'_>,
//! #     ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
//! #         std::task::Poll::Ready(self.0.take().map(|b| Ok(hyper::body::Frame::data(b))))
//! #     }
//! # }
//! async fn hello(_: hyper::Request<Incoming>) -> Result<hyper::Response<Full>, Infallible> {
//!     Ok(hyper::Response::new(Full(Some(Bytes::from_static(b"hello")))))
//! }
//!
//! async fn serve(listener: TcpListener) -> taskgrove::Result {
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         taskgrove::spawn(
//!             hyper::server::conn::http1::Builder::new()
//!                 .timer(Timer)
//!                 .serve_connection(stream, hyper::service::service_fn(hello)),
//!         );
//!     }
//! }
//!
//! taskgrove::Runtime::new()?.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = taskgrove::spawn(serve(listener)).cancel_on_drop();
//!     let stream = TcpStream::connect(address).await?;
//!     let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
//!     taskgrove::spawn(connection);
//!     let request = hyper::Request::get("/").header("host", "localhost").body(Full(None))?;
//!     assert_eq!(sender.send_request(request).await?.status(), 200);
//!     drop(server);
//!     taskgrove::Result::<()>::Ok(())
//! })?;
//! # taskgrove::Result::<()>::Ok(())
//! ```

// For maintainers: a thin room at the top. It decides nothing about sockets, timers or tasks; it only says
// it in hyper's words. Its one file with unsafe code is `buffer.rs`.

mod buffer;
mod executor;
mod io;
mod stream;
mod timer;
mod write;

pub use executor::Executor;
pub use io::Io;
pub use timer::Timer;
