//! A client.

use crate::Result;
use crate::connection::Connection;
use crate::frame::Frame;
use std::sync::Arc;
use std::time::Duration;
use taskgrove::net::{TcpStream, ToSocketAddrs};

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Connects to a server.
    pub async fn connect(address: impl ToSocketAddrs) -> Result<Client> {
        let connection = Connection::new(TcpStream::connect(address).await?);
        Ok(Client { connection })
    }

    /// Sends a command, and returns its answer. An answer that is an error is one of this call.
    pub async fn call(&mut self, words: &[&[u8]]) -> Result<Frame> {
        self.send(words).await?;
        self.receive().await
    }

    /// Sends a command without waiting for the answer.
    pub async fn send(&mut self, words: &[&[u8]]) -> Result {
        let command = Frame::command(words.iter().copied());
        self.connection.write_frames(&[command]).await?;
        Ok(())
    }

    /// Waits for the next answer or message.
    pub async fn receive(&mut self) -> Result<Frame> {
        match self.connection.read_frame().await? {
            Some(Frame::Error(text)) => Err(text.into()),
            Some(frame) => Ok(frame),
            None => Err("the server has closed the connection".into()),
        }
    }

    /// Asks for a sign of life.
    pub async fn ping(&mut self) -> Result {
        match self.call(&[b"PING"]).await? {
            Frame::Simple(text) if text == "PONG" => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns the value of a key.
    pub async fn get(&mut self, key: &str) -> Result<Option<Arc<[u8]>>> {
        match self.call(&[b"GET", key.as_bytes()]).await? {
            Frame::Bulk(value) => Ok(Some(value)),
            Frame::Null => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// Sets a key, for ever or for a time of at least a millisecond.
    pub async fn set(&mut self, key: &str, value: &[u8], expires_in: Option<Duration>) -> Result {
        let time = expires_in.map(|time| time.as_millis().to_string());
        let mut words: Vec<&[u8]> = vec![b"SET", key.as_bytes(), value];
        if let Some(time) = &time {
            words.extend([b"PX", time.as_bytes()]);
        }
        match self.call(&words).await? {
            Frame::Simple(text) if text == "OK" => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends a message to a channel, and returns how many subscribers it has.
    pub async fn publish(&mut self, channel: &str, message: &[u8]) -> Result<i64> {
        match self
            .call(&[b"PUBLISH", channel.as_bytes(), message])
            .await?
        {
            Frame::Integer(count) => Ok(count),
            other => Err(unexpected(&other)),
        }
    }

    /// Subscribes to a channel. From then on [`message`](Client::message) returns its messages.
    pub async fn subscribe(&mut self, channel: &str) -> Result {
        self.call(&[b"SUBSCRIBE", channel.as_bytes()])
            .await
            .map(drop)
    }

    /// Leaves a channel. Messages that came before its answer are lost.
    pub async fn unsubscribe(&mut self, channel: &str) -> Result {
        self.send(&[b"UNSUBSCRIBE", channel.as_bytes()]).await?;
        loop {
            if let Frame::Array(parts) = self.receive().await?
                && parts.first() == Some(&Frame::bulk("unsubscribe"))
            {
                return Ok(());
            }
        }
    }

    /// Waits for a message: its channel, and its text.
    pub async fn message(&mut self) -> Result<(Arc<[u8]>, Arc<[u8]>)> {
        match self.receive().await? {
            Frame::Array(parts) => match <[Frame; 3]>::try_from(parts) {
                Ok([_, Frame::Bulk(channel), Frame::Bulk(text)]) => Ok((channel, text)),
                other => Err(format!("unexpected: {other:?}").into()),
            },
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(frame: &Frame) -> crate::Error {
    format!("unexpected answer: {frame:?}").into()
}
