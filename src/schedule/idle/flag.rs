//! [`Flag`]: what only runtimes with sockets have.

/// A flag that only runtimes with sockets have. Without the feature `net` it is always `false`, and the code
/// that depends on it is not compiled.
#[derive(Default, Clone, Copy)]
pub(super) struct Flag(#[cfg(feature = "net")] bool);

impl Flag {
    #[cfg(feature = "net")]
    pub(super) fn get(self) -> bool {
        self.0
    }

    #[cfg(feature = "net")]
    pub(super) fn set(&mut self, on: bool) {
        self.0 = on;
    }

    #[cfg(not(feature = "net"))]
    #[inline(always)]
    pub(super) fn get(self) -> bool {
        false
    }

    #[cfg(not(feature = "net"))]
    #[inline(always)]
    pub(super) fn set(&mut self, _on: bool) {}
}
