//! Sockets that the workers wait for themselves. Only with the feature `net`.
//!
//! A worker that has nothing to do waits in the operating system's queue of events, and runs what an event
//! wakes. While all workers are busy, each looks at the queue between two polls, at least once a millisecond.
//! While a worker sleeps, the sockets do not wait for a poll of another one that lasts: within 2 ms the one
//! that sleeps looks after them.
//!
//! A socket belongs to the runtime in which it is made: in a task, in
//! [`Runtime::block_on`](crate::Runtime::block_on), or on a thread that has entered the runtime. Elsewhere
//! making one is an error. It may be used from anywhere, also from tasks of another runtime, as long as its
//! own runtime is there. After that its operations fail with an error that says so. In a simulation making a
//! socket fails with [`Unsupported`](std::io::ErrorKind::Unsupported).
//!
//! # Cancellation
//!
//! Once cancellation has reached a task, and outside protection, every wait of this module suspends for
//! good, like each await of this crate. A read or write that is dropped before it is ready has transferred
//! nothing.
//!
//! # Waiting from several tasks
//!
//! Several tasks may use one socket at the same time, each through a reference, or a clone of its own where
//! there is one. An event wakes all that wait for it.
//!
//! # Examples
//!
//! ```
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//! use taskgrove::net::{TcpListener, TcpStream};
//!
//! let runtime = taskgrove::Runtime::new()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = taskgrove::spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!     let mut text = String::new();
//!     TcpStream::connect(address).await?.read_to_string(&mut text).await?;
//!     assert_eq!(text, "hello");
//!     server.await.expect("it does not panic")
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

// For maintainers: `socket` is the core of every type here. A new type wraps a `Shared<S>` if it can be cloned,
// else a `Socket<S>`, where `S` is mio's socket, and calls `read_with`, `write_with` or `poll_io` with the
// call to the system; a stream of bytes implements `ByteStream` for `S` instead, and is listed in `bytes`.
// Each type is listed in `descriptor`. The room uses the reactor through `Registration`, and knows nothing of
// threads.

mod ask;
pub(crate) mod bytes;
mod descriptor;
mod listener;
#[cfg(unix)]
mod polled;
mod resolve;
pub(crate) mod socket;
mod stream;
mod udp;
#[cfg(unix)]
mod unix;

pub use listener::TcpListener;
#[cfg(unix)]
pub use polled::Polled;
pub use resolve::ToSocketAddrs;
pub use stream::TcpStream;
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{datagram::UnixDatagram, listener::UnixListener, stream::UnixStream};
