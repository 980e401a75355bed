//! One client: reads its commands, and answers them.

use crate::Result;
use crate::command::{self, Command};
use crate::connection::Connection;
use crate::db::{Db, Message, Subscriber};
use crate::frame::Frame;
use futures_lite::future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use taskgrove::Context;
use taskgrove::time::timeout;

/// After a shutdown has begun, a connection on which nothing comes for so long is closed.
const LINGER: Duration = Duration::from_millis(20);

/// Serves a client until it leaves, or until a shutdown has begun and it asks for nothing more.
pub(crate) async fn serve(ctx: Context, db: Db, mut connection: Connection) -> Result {
    let mut subscriber = db.subscriber();
    loop {
        // Both waits are safe to cancel: no frame and no message is lost when the other one comes first. Frames go
        // first: otherwise a client could not leave a channel that always has another message.
        let message = async { Ok(Event::Message(subscriber.message().await)) };
        let frame = async { connection.read_frame().await.map(Event::Frame) };
        let event = match ctx.until_cancelled(future::or(frame, message)).await {
            Some(event) => event,
            // What the client has asked for is answered.
            None => match timeout(LINGER, connection.read_frame()).await {
                Ok(frame) => frame.map(Event::Frame),
                Err(_) => return Ok(()),
            },
        };
        let answers = match event {
            Ok(Event::Message(Message { channel, text })) => {
                vec![list("message", [Frame::Bulk(channel), Frame::Bulk(text)])]
            }
            Ok(Event::Frame(Some(frame))) => answer(frame, &db, &mut subscriber),
            Ok(Event::Frame(None)) => return Ok(()),
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let text = format!("ERR {error}");
                    connection.write_frames(&[Frame::Error(text)]).await?;
                }
                return Err(error.into());
            }
        };
        connection.write_frames(&answers).await?;
    }
}

enum Event {
    Message(Message),
    /// `None`: the client has left.
    Frame(Option<Frame>),
}

/// Runs a command. Subscribing gives an answer for each channel.
fn answer(frame: Frame, db: &Db, subscriber: &mut Subscriber) -> Vec<Frame> {
    let command = match command::read(frame) {
        Ok(command) => command,
        Err(text) => return vec![Frame::Error(text)],
    };
    let subscribed = !subscriber.channels().is_empty();
    let one = match command {
        Command::Subscribe(channels) => {
            let join = |channel: Arc<[u8]>| {
                subscriber.subscribe(channel.clone());
                list("subscribe", [Frame::Bulk(channel), count(subscriber)])
            };
            return channels.into_iter().map(join).collect();
        }
        Command::Unsubscribe(channels) => {
            let all = || subscriber.channels().iter().cloned().collect();
            let channels: Vec<_> = if channels.is_empty() { all() } else { channels };
            if channels.is_empty() {
                return vec![list("unsubscribe", [Frame::Null, Frame::Integer(0)])];
            }
            let leave = |channel: Arc<[u8]>| {
                subscriber.unsubscribe(&channel);
                list("unsubscribe", [Frame::Bulk(channel), count(subscriber)])
            };
            return channels.into_iter().map(leave).collect();
        }
        Command::Ping(text) if subscribed => list("pong", [Frame::Bulk(text.unwrap_or_default())]),
        _ if subscribed => Frame::Error(
            "ERR only SUBSCRIBE, UNSUBSCRIBE and PING are allowed while subscribed".into(),
        ),
        Command::Ping(None) => Frame::Simple("PONG".into()),
        Command::Ping(Some(text)) => Frame::Bulk(text),
        Command::Get(key) => db.get(&key).map_or(Frame::Null, Frame::Bulk),
        Command::Set {
            key,
            value,
            expires_in,
        } => {
            db.set(key, value, expires_in);
            Frame::Simple("OK".into())
        }
        Command::Publish { channel, message } => number(db.publish(channel, message)),
    };
    vec![one]
}

fn list<const N: usize>(name: &str, rest: [Frame; N]) -> Frame {
    Frame::Array([Frame::bulk(name)].into_iter().chain(rest).collect())
}

fn count(subscriber: &Subscriber) -> Frame {
    number(subscriber.channels().len())
}

fn number(number: usize) -> Frame {
    Frame::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
