//! A connection that sends and receives frames.

use crate::frame::{Frame, Malformed};
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
            output: Vec::new(),
        }
    }

    /// Receives a frame. `None`: the peer has closed the connection.
    ///
    /// It is safe to cancel: what has come stays in the connection. What is no frame is an error of the kind
    /// `InvalidData`.
    pub async fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some((frame, length)) = Frame::parse(&self.input).map_err(malformed)? {
                self.input.drain(..length);
                return Ok(Some(frame));
            }
            let mut chunk = [0; CHUNK];
            match self.stream.read(&mut chunk).await? {
                0 if self.input.is_empty() => return Ok(None),
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
