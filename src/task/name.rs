//! Names of tasks, sliced from type names.

use super::raw::header::{Borrowed, kind};
use super::raw::joined::Joined;
use super::raw::rights::Live;
use crate::path::sanitise;
use std::borrow::Cow;

/// The last segment of a type's path that is not a closure, without generics:
/// `app::conn::serve::{{closure}}` is `serve`.
pub(crate) fn short(type_name: &str) -> &str {
    let mut depth = 0usize;
    let mut segment = 0..0;
    let mut best = 0..0;
    let mut generics = false;
    let bytes = type_name.as_bytes();
    let keep = |s: &std::ops::Range<usize>, best: &mut std::ops::Range<usize>| {
        let text = &type_name[s.clone()];
        if !text.is_empty() && !text.starts_with('{') {
            *best = s.clone();
        }
    };
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => {
                depth += 1;
                generics = true;
            }
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => {
                keep(&segment, &mut best);
                segment = at + 1..at + 1;
                generics = false;
            }
            _ if depth == 0 && !generics => segment.end = at + 1,
            _ => {}
        }
    }
    keep(&segment, &mut best);
    if best.is_empty() {
        type_name
    } else {
        &type_name[best]
    }
}

impl<'a> Live<'a> {
    /// The task's name: the one it was given, or that of its function.
    pub(crate) fn name(self) -> &'a str {
        let given = if self.is(kind::SERVICE) {
            self.record().map(|record| &*record.name)
        } else {
            self.cold().and_then(|cold| cold.name.as_deref())
        };
        given.unwrap_or_else(|| short(self.type_name()))
    }

    /// The name, if it is a static string, and whether it is yet to be cut out of the name of a type.
    pub(crate) fn static_name(self) -> Option<(&'static str, bool)> {
        if self.is(kind::SERVICE) {
            return match &self.record()?.name {
                Cow::Borrowed(name) => Some((name, false)),
                Cow::Owned(_) => None,
            };
        }
        match self.cold() {
            Some(cold) if cold.name.is_some() => None,
            _ => Some((self.type_name(), true)),
        }
    }

    /// The path from the root, bounded.
    pub(crate) fn path(self) -> String {
        self.ancestry().finish()
    }

    /// The segment that [`Live::path`] has for it.
    pub(crate) fn segment(self) -> Cow<'a, str> {
        sanitise(self.name())
    }
}

impl<'a> Borrowed<'a> {
    /// The name of a task that is not a service's, as [`Live::name`].
    pub(crate) fn plain_name(self) -> &'a str {
        let given = self.plain_cold().and_then(|cold| cold.name.as_deref());
        given.unwrap_or_else(|| short(self.type_name()))
    }
}

impl<T> Joined<T> {
    /// As [`Live::name`].
    pub(crate) fn name(&self) -> &str {
        self.borrowed().plain_name()
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn closures_paths_and_generics_go() {
        assert_eq!(short("app::conn::serve::{{closure}}"), "serve");
        assert_eq!(short("app::main::{{closure}}::{{closure}}"), "main");
        assert_eq!(short("app::Echo"), "Echo");
        assert_eq!(short("app::Echo<alloc::string::String>"), "Echo");
        assert_eq!(short("app::go<a::B<c::D>>::{{closure}}"), "go");
        assert_eq!(short("<a::B as c::D>::run::{{closure}}"), "run");
        assert_eq!(short("core::future::pending::Pending<()>"), "Pending");
        assert_eq!(short("()"), "()");
        assert_eq!(short("fn(app::Conn) -> bool"), "fn");
    }
}
