//! On tokio.

use super::{SLEEP, Timer, WORKERS, http, listening};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// hyper's traits for tokio's stream, without a copy.
struct Io(TcpStream);

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        // SAFETY: `ReadBuf` keeps what is initialised, and only that is counted below.
        let filled = unsafe {
            let mut buffer = ReadBuf::uninit(cursor.as_mut());
            ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
            buffer.filled().len()
        };
        // SAFETY: so many were filled.
        unsafe { cursor.advance(filled) };
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

async fn echo<const BUFFER: usize>(mut stream: TcpStream) {
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

async fn late(mut stream: TcpStream) {
    while let Ok(1) = stream.read(&mut [0]).await {
        let at = std::time::Instant::now() + SLEEP;
        tokio::time::sleep_until(at.into()).await;
        let late = at.elapsed().as_nanos() as u64;
        if stream.write_all(&late.to_le_bytes()).await.is_err() {
            return;
        }
    }
}

pub fn run(kind: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .expect("a runtime");
    let kind = kind.to_owned();
    let server = runtime.spawn(async move {
        if kind == "udp" {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
            listening(socket.local_addr().expect("bound"));
            let mut buffer = [0; 2048];
            loop {
                let (read, from) = socket.recv_from(&mut buffer).await.expect("received");
                socket.send_to(&buffer[..read], from).await.expect("sent");
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        listening(listener.local_addr().expect("bound"));
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            stream.set_nodelay(true).expect("nodelay");
            let sleep = |at: std::time::Instant| tokio::time::sleep_until(at.into());
            match kind.as_str() {
                "echo" => drop(tokio::spawn(echo::<4096>(stream))),
                "hold" => drop(tokio::spawn(echo::<64>(stream))),
                "late" => drop(tokio::spawn(late(stream))),
                _ => drop(tokio::spawn(http(Io(stream), Timer(sleep)))),
            }
        }
    });
    let _: Result<(), _> = runtime.block_on(server);
}
