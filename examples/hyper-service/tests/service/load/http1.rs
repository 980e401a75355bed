//! A client of HTTP/1 on a thread.

use super::{Counts, check, target};
use crate::process::WATCHDOG;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Returns the code of a client.
pub(super) fn client(
    address: String,
    client: u64,
    keeps_alive: bool,
    answered: Arc<AtomicU64>,
) -> impl FnOnce() -> Counts {
    move || {
        let mut counts = Counts::default();
        let mut open = None;
        for request in 0.. {
            let mut connection = match open.take().map_or_else(|| Connection::open(&address), Ok) {
                Ok(connection) => connection,
                // The port was closed while the system connected. Nothing was sent.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => continue,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
                    counts.refused += 1;
                    break;
                }
            };
            let (number, target) = target(client, request);
            counts.sent += 1;
            match connection.get(&target) {
                Some(answer) => {
                    check(number, answer.status, &answer.body);
                    counts.answered += 1;
                    answered.fetch_add(1, Relaxed);
                    if keeps_alive && !answer.closes {
                        open = Some(connection);
                    }
                }
                None => counts.unread += 1,
            }
        }
        counts
    }
}

/// A connection for one request after the other.
pub struct Connection(BufReader<TcpStream>);

/// A whole answer.
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// The server closes the connection.
    pub closes: bool,
}

impl Connection {
    pub fn open(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // A server that neither answers nor closes fails the test.
        stream.set_read_timeout(Some(WATCHDOG))?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// Sends a request and reads its answer; `None` if the connection is closed before anything came back.
    pub fn get(&mut self, target: &str) -> Option<Answer> {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        // If this fails, so does the first read.
        let _ = self.0.get_mut().write_all(request.as_bytes());
        match self.0.fill_buf() {
            Ok([]) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("no answer to {target}: {error}"),
        }
        // From here on there is an answer, and it has to be whole.
        Some(self.read().expect("a whole answer"))
    }

    fn read(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let head = head.to_ascii_lowercase();
        let header = |name| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let length = header("content-length").and_then(|length| length.parse().ok());
        let (Some(status), Some(length)) = (status, length) else {
            return Err(io::Error::new(ErrorKind::InvalidData, head));
        };
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Answer {
            status,
            body: String::from_utf8(body).map_err(io::Error::other)?,
            closes: header("connection") == Some("close"),
        })
    }

    /// Says whether the other side has closed, without having sent anything more.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.fill_buf(), Ok([]))
    }
}
