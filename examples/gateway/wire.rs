//! Lines over a socket: the protocol of the gateway on both of its sides.

use std::io;
use std::net::SocketAddr;

use futures_lite::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use taskgrove::net::TcpStream;

/// The longest line that is accepted, in bytes, with its newline. Without a limit one peer could
/// fill the memory.
const LONGEST: usize = 64 * 1024;

/// A socket that carries lines.
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?; // a line is a whole message, there is nothing to wait for
        Ok(Wire {
            stream: BufReader::new(stream),
            line: Vec::new(),
        })
    }

    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Wire> {
        Wire::new(TcpStream::connect(addr).await?)
    }

    /// Waits until the peer has sent something (`true`) or has closed its side (`false`).
    ///
    /// Nothing is taken off the socket's buffer, so this may be raced against something else and
    /// dropped.
    pub(crate) async fn readable(&mut self) -> io::Result<bool> {
        Ok(!self.stream.fill_buf().await?.is_empty())
    }

    /// The next line, with its newline; `None` if the peer closed its side after the last one.
    ///
    /// # Errors
    ///
    /// A line that is cut off by the end of the stream or longer than 64 KiB, and whatever the
    /// socket reports.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let limit = LONGEST as u64;
        let mut limited = AsyncReadExt::take(&mut self.stream, limit);
        limited.read_until(b'\n', &mut self.line).await?;
        match self.line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(&self.line)),
            Some(_) => Err(if self.line.len() == LONGEST {
                io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 64 KiB")
            } else {
                let got = self.line.len();
                let message = format!("closed in the middle of a line, after {got} bytes");
                io::Error::new(io::ErrorKind::UnexpectedEof, message)
            }),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    /// Sends a request and waits for the line that answers it.
    pub(crate) async fn call(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        self.send(request).await?;
        let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "closed without an answer");
        self.receive().await?.ok_or_else(gone)
    }

    /// Says that nothing more will be sent, and keeps listening.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.stream.get_ref().shutdown(std::net::Shutdown::Write)
    }
}
