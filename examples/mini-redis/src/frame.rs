//! Frames of the Redis protocol: the values that both sides send each other.

use std::fmt;
use std::sync::Arc;

/// Longest line of a frame: a simple string, an error or a number.
const LINE: usize = 64 * 1024;
/// Longest value, in bytes.
const BULK: usize = 16 * 1024 * 1024;
/// Most elements of an array, with those of the arrays in it.
const ELEMENTS: usize = 1024;
/// Longest array, in bytes.
const ARRAY: usize = 2 * BULK;
/// How deep arrays may be nested.
const DEPTH: usize = 4;

/// A value of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Arc<[u8]>),
    Null,
    Array(Vec<Frame>),
}

/// The bytes are no frame, so that nothing that follows can be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol error: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Frame {
    /// Makes a bulk string.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Frame {
        Frame::Bulk(bytes.as_ref().into())
    }

    /// Makes an array of bulk strings, as commands are.
    pub fn command<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Frame {
        Frame::Array(words.into_iter().map(Frame::bulk).collect())
    }

    /// Appends the frame's bytes.
    pub fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Frame::Simple(text) => line(to, b'+', text.as_bytes()),
            Frame::Error(text) => line(to, b'-', text.as_bytes()),
            Frame::Integer(number) => line(to, b':', number.to_string().as_bytes()),
            Frame::Null => to.extend_from_slice(b"$-1\r\n"),
            Frame::Bulk(bytes) => {
                line(to, b'$', bytes.len().to_string().as_bytes());
                to.extend_from_slice(bytes);
                to.extend_from_slice(b"\r\n");
            }
            Frame::Array(frames) => {
                line(to, b'*', frames.len().to_string().as_bytes());
                frames.iter().for_each(|frame| frame.encode(to));
            }
        }
    }
}

/// Takes bytes apart as they come. No byte of an array is looked at again when more of it comes.
#[derive(Debug, Default)]
pub struct Parser {
    /// The arrays that are not whole, the outermost first: how many elements each will have, and those it has.
    open: Vec<(usize, Vec<Frame>)>,
    /// The bytes and the elements of the outermost one, so far.
    size: usize,
    elements: usize,
}

impl Parser {
    /// Takes the next frame from the front of the bytes. Returns it, or `None` if not all of it is there yet, with
    /// the number of bytes that are done with.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(Option<Frame>, usize), Malformed> {
        let mut rest = Rest { bytes, at: 0 };
        loop {
            let begin = rest.at;
            let part = match rest.part() {
                Ok(part) => part,
                Err(Stop::Incomplete) => return Ok((None, begin)),
                Err(Stop::Malformed(why)) => return Err(Malformed(why)),
            };
            self.size += rest.at - begin;
            if let Some(frame) = self.add(part)? {
                *self = Parser::default();
                return Ok((Some(frame), rest.at));
            }
        }
    }

    /// Whether no array is begun.
    pub fn is_between_frames(&self) -> bool {
        self.open.is_empty()
    }

    /// Adds a part to the innermost array. Returns the outermost one when it is whole.
    fn add(&mut self, part: Part) -> Result<Option<Frame>, Malformed> {
        let mut frame = match part {
            Part::Whole(frame) => frame,
            Part::Array(_) if self.open.len() == DEPTH => {
                return Err(Malformed("arrays are nested too deeply"));
            }
            Part::Array(0) => Frame::Array(Vec::new()),
            // Nothing is allocated for elements that did not come yet.
            Part::Array(length) => {
                self.open.push((length, Vec::new()));
                return Ok(None);
            }
        };
        self.elements += 1;
        if self.elements > ELEMENTS || self.size > ARRAY {
            return Err(Malformed("an array is too large"));
        }
        while let Some((length, mut elements)) = self.open.pop() {
            elements.push(frame);
            if elements.len() < length {
                self.open.push((length, elements));
                return Ok(None);
            }
            frame = Frame::Array(elements);
        }
        Ok(Some(frame))
    }
}

/// What a line begins: a frame without elements, or an array of so many.
enum Part {
    Whole(Frame),
    Array(usize),
}

/// Appends a line. What came from a client may have line breaks, which would end it.
fn line(to: &mut Vec<u8>, kind: u8, text: &[u8]) {
    to.push(kind);
    to.extend(text.iter().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        byte => *byte,
    }));
    to.extend_from_slice(b"\r\n");
}

enum Stop {
    Incomplete,
    Malformed(&'static str),
}

/// The bytes that are not parsed yet.
struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Rest<'a> {
    fn part(&mut self) -> Result<Part, Stop> {
        let kind = *self.bytes.get(self.at).ok_or(Stop::Incomplete)?;
        self.at += 1;
        Ok(Part::Whole(match kind {
            b'+' => Frame::Simple(self.text()?),
            b'-' => Frame::Error(self.text()?),
            b':' => Frame::Integer(self.number()?),
            b'$' => match self.length(BULK)? {
                Some(length) => Frame::Bulk(self.bulk(length)?.into()),
                None => Frame::Null,
            },
            b'*' => match self.length(ELEMENTS)? {
                Some(length) => return Ok(Part::Array(length)),
                None => Frame::Null,
            },
            _ => return Err(Stop::Malformed("unknown kind of frame")),
        }))
    }

    /// Up to the next line break.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(LINE + 2)];
        match window.windows(2).position(|pair| pair == b"\r\n") {
            Some(length) => {
                self.at += length + 2;
                Ok(&rest[..length])
            }
            None if rest.len() >= LINE + 2 => Err(Stop::Malformed("a line is too long")),
            None => Err(Stop::Incomplete),
        }
    }

    fn text(&mut self) -> Result<String, Stop> {
        let text = std::str::from_utf8(self.line()?);
        text.map(str::to_owned)
            .map_err(|_| Stop::Malformed("a line is not UTF-8"))
    }

    fn number(&mut self) -> Result<i64, Stop> {
        let text = std::str::from_utf8(self.line()?).ok();
        let number = text.and_then(|text| text.parse().ok());
        number.ok_or(Stop::Malformed("not a number"))
    }

    /// A length, or `None` for -1, which stands for no value.
    fn length(&mut self, limit: usize) -> Result<Option<usize>, Stop> {
        match self.number()? {
            -1 => Ok(None),
            number => match usize::try_from(number) {
                Ok(length) if length <= limit => Ok(Some(length)),
                _ => Err(Stop::Malformed("a length is out of range")),
            },
        }
    }

    fn bulk(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let end = rest.get(length..length + 2).ok_or(Stop::Incomplete)?;
        if end != b"\r\n" {
            return Err(Stop::Malformed("a value is longer than its length"));
        }
        self.at += length + 2;
        Ok(&rest[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Frame> {
        vec![
            Frame::Simple("OK".into()),
            Frame::Error("ERR no".into()),
            Frame::Integer(-7),
            Frame::Null,
            Frame::bulk(b"a\r\nb"),
            Frame::bulk(b""),
            Frame::Array(vec![
                Frame::Integer(1),
                Frame::Array(vec![]),
                Frame::bulk("x"),
            ]),
        ]
    }

    #[test]
    fn what_is_encoded_is_parsed() {
        for frame in all() {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            let length = bytes.len();
            bytes.extend_from_slice(b"+next");
            assert_eq!(Parser::default().take(&bytes), Ok((Some(frame), length)));
        }
    }

    #[test]
    fn a_frame_that_comes_in_two_parts_is_taken_when_all_of_it_is_there() {
        for frame in all() {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            for length in 0..bytes.len() {
                let mut parser = Parser::default();
                let (nothing, used) = parser.take(&bytes[..length]).unwrap();
                assert_eq!(nothing, None, "{frame:?}, {length} bytes");
                let rest = parser.take(&bytes[used..]);
                assert_eq!(rest, Ok((Some(frame.clone()), bytes.len() - used)));
            }
        }
    }

    #[test]
    fn the_elements_of_an_array_are_taken_once() {
        let mut parser = Parser::default();
        assert_eq!(parser.take(b"*3\r\n$1\r\na\r\n$5\r\nb"), Ok((None, 11)));
        assert_eq!(parser.take(b"$5\r\nbcdef\r\n*1\r\n"), Ok((None, 15)));
        let whole = Frame::Array(vec![
            Frame::bulk("a"),
            Frame::bulk("bcdef"),
            Frame::Array(vec![Frame::Null]),
        ]);
        assert_eq!(parser.take(b"$-1\r\n+next"), Ok((Some(whole), 5)));
        assert_eq!(
            parser.take(b"+next\r\n"),
            Ok((Some(Frame::Simple("next".into())), 7))
        );
    }

    #[test]
    fn arrays_in_an_array_count_for_its_limits() {
        let row = [b"*1024\r\n".to_vec(), b":1\r\n".repeat(1024)].concat();
        let mut parser = Parser::default();
        assert!(parser.take(&row).unwrap().0.is_some());
        let rows = [b"*2\r\n", &row[..], b":1\r\n"].concat();
        assert!(parser.take(&rows).is_err());

        let bulk = [format!("${BULK}\r\n").as_bytes(), &vec![0; BULK], b"\r\n"].concat();
        let mut parser = Parser::default();
        assert_eq!(parser.take(b"*3\r\n"), Ok((None, 4)));
        assert_eq!(parser.take(&bulk), Ok((None, bulk.len())));
        assert!(parser.take(&bulk).is_err());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let deep = b"*1\r\n".repeat(DEPTH + 1);
        let long = [b"+".to_vec(), vec![b'x'; LINE + 2]].concat();
        let cases: [&[u8]; 8] = [
            b"?\r\n",
            b":x\r\n",
            b"$-2\r\n",
            b"*99999999\r\n",
            b"$99999999999\r\n",
            b"$1\r\nabc",
            &deep,
            &long,
        ];
        for bytes in cases {
            assert!(
                Parser::default().take(bytes).is_err(),
                "{:?}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(20)])
            );
        }
    }

    #[test]
    fn a_line_break_in_an_error_does_not_end_it() {
        let mut bytes = Vec::new();
        Frame::Error("a\r\nb".into()).encode(&mut bytes);
        assert_eq!(bytes, b"-a  b\r\n");
    }
}
