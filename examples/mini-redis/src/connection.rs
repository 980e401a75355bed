//! A connection that sends and receives frames.

use crate::frame::{Frame, Malformed, Parser};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io;
use taskgrove::net::TcpStream;

/// How much is read at a time, at most.
const CHUNK: usize = 16 * 1024;

/// One side of a connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What has come, and is not parsed yet.
    input: Vec<u8>,
    parser: Parser,
    output: Vec<u8>,
}

impl Connection {
    /// Takes a connected stream.
    pub fn new(stream: TcpStream) -> Connection {
        // Answers are small and awaited; without this they may be held back.
        let _ = stream.set_nodelay(true);
        Connection {
            stream,
            input: Vec::new(),
            parser: Parser::default(),
            output: Vec::new(),
        }
    }

    /// Receives a frame. `None`: the peer has closed the connection.
    ///
    /// It is safe to cancel: what has come stays in the connection. What is no frame is an error of the kind
    /// `InvalidData`.
    pub async fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let (frame, used) = self.parser.take(&self.input).map_err(malformed)?;
            self.input.drain(..used);
            if frame.is_some() {
                return Ok(frame);
            }
            let mut chunk = [0; CHUNK];
            match self.stream.read(&mut chunk).await? {
                0 if self.input.is_empty() && self.parser.is_between_frames() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Sends frames, in one write as far as the system takes them.
    pub async fn write_frames(&mut self, frames: &[Frame]) -> io::Result<()> {
        self.output.clear();
        for frame in frames {
            frame.encode(&mut self.output);
        }
        self.stream.write_all(&self.output).await
    }
}

fn malformed(error: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
