//! Commands: what a client asks for.

use crate::frame::Frame;
use std::sync::Arc;
use std::time::Duration;

/// A command of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Ping(Option<Arc<[u8]>>),
    Get(Arc<[u8]>),
    Set {
        key: Arc<[u8]>,
        value: Arc<[u8]>,
        expires_in: Option<Duration>,
    },
    Publish {
        channel: Arc<[u8]>,
        message: Arc<[u8]>,
    },
    Subscribe(Vec<Arc<[u8]>>),
    /// From all channels if there are none.
    Unsubscribe(Vec<Arc<[u8]>>),
}

/// Reads a command. The error is the text that the client gets.
pub fn read(frame: Frame) -> Result<Command, String> {
    let Frame::Array(frames) = frame else {
        return Err("ERR a command is an array".into());
    };
    let words: Option<Vec<_>> = frames.into_iter().map(word).collect();
    let mut words = words
        .ok_or("ERR the words of a command are strings")?
        .into_iter();
    let name = words.next().ok_or("ERR an empty command")?;
    let name = String::from_utf8_lossy(&name).to_lowercase();
    let mut next = || words.next();
    let missing = || format!("ERR wrong number of arguments for '{name}' command");
    let command = match &*name {
        "ping" => Command::Ping(next()),
        "get" => Command::Get(next().ok_or_else(missing)?),
        "set" => Command::Set {
            key: next().ok_or_else(missing)?,
            value: next().ok_or_else(missing)?,
            expires_in: match next() {
                Some(unit) => Some(expiry(&unit, next())?),
                None => None,
            },
        },
        "publish" => Command::Publish {
            channel: next().ok_or_else(missing)?,
            message: next().ok_or_else(missing)?,
        },
        "subscribe" => match words.by_ref().collect::<Vec<_>>() {
            channels if channels.is_empty() => return Err(missing()),
            channels => Command::Subscribe(channels),
        },
        "unsubscribe" => Command::Unsubscribe(words.by_ref().collect()),
        _ => return Err(format!("ERR unknown command '{name}'")),
    };
    match words.next() {
        None => Ok(command),
        Some(_) => Err(missing()),
    }
}

/// A word may also come as a simple string or a number.
fn word(frame: Frame) -> Option<Arc<[u8]>> {
    match frame {
        Frame::Bulk(bytes) => Some(bytes),
        Frame::Simple(text) => Some(text.as_bytes().into()),
        Frame::Integer(number) => Some(number.to_string().as_bytes().into()),
        _ => None,
    }
}

/// Reads `EX seconds` or `PX milliseconds`.
fn expiry(unit: &[u8], number: Option<Arc<[u8]>>) -> Result<Duration, String> {
    let number = number.ok_or("ERR syntax error")?;
    let number = std::str::from_utf8(&number)
        .ok()
        .and_then(|text| text.parse().ok());
    let number: u64 = number.ok_or("ERR value is not an integer or out of range")?;
    if number == 0 {
        return Err("ERR invalid expire time in 'set' command".into());
    }
    match unit.to_ascii_lowercase().as_slice() {
        b"ex" => Ok(Duration::from_secs(number)),
        b"px" => Ok(Duration::from_millis(number)),
        _ => Err("ERR syntax error".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &str) -> Result<Command, String> {
        read(Frame::command(words.split(' ').map(str::as_bytes)))
    }

    #[test]
    fn names_and_units_have_any_case() {
        let set = Command::Set {
            key: b"k".as_slice().into(),
            value: b"v".as_slice().into(),
            expires_in: Some(Duration::from_millis(5)),
        };
        assert_eq!(command("sEt k v Px 5"), Ok(set));
        assert_eq!(command("PING"), Ok(Command::Ping(None)));
    }

    #[test]
    fn a_wrong_command_is_answered_with_what_is_wrong() {
        for (words, text) in [
            ("get", "wrong number"),
            ("get a b", "wrong number"),
            ("set a b ex", "syntax error"),
            ("set a b ex 0", "invalid expire"),
            ("set a b ex -1", "not an integer"),
            ("set a b nx 1", "syntax error"),
            ("subscribe", "wrong number"),
            ("flushall", "unknown command 'flushall'"),
        ] {
            let error = command(words).unwrap_err();
            assert!(error.contains(text), "{words}: {error}");
        }
        assert!(read(Frame::Null).is_err());
        assert!(read(Frame::Array(vec![])).is_err());
        assert!(read(Frame::Array(vec![Frame::Null])).is_err());
    }
}
