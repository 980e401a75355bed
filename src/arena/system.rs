//! What the operating system is told: that memory which stays allocated is of no use for now.
//!
//! The memory is the global allocator's, so that its counts and limits hold for tasks, too. On Unix the
//! system pages in it are given up by `madvise`: they are not resident any more, and come back, with
//! zeros or as they were, when they are written. Elsewhere nothing is done.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// The smallest piece that is ever given up.
const SMALLEST: usize = if cfg!(taskgrove_loom) { 1024 } else { 4096 };

/// The size of the pieces that can be given up: a system page, or several.
pub(super) fn unit() -> usize {
    static UNIT: OnceLock<usize> = OnceLock::new();
    *UNIT.get_or_init(|| imp::page_size().max(SMALLEST))
}

/// Gives up what lies in memory without values: before it is freed, since the global allocator may keep
/// it resident.
pub(crate) fn give_up<T>(memory: &mut [MaybeUninit<T>]) {
    let bytes = size_of_val(memory);
    // SAFETY: the memory is the caller's alone, and holds no value.
    unsafe { discard(memory.as_mut_ptr().cast(), bytes) }
}

/// Gives the units up that lie wholly in a range of memory.
///
/// # Safety
///
/// The range is allocated, belongs to the caller alone, and nobody reads again what is in it before
/// writing it.
pub(super) unsafe fn discard(start: *mut u8, bytes: usize) {
    let unit = unit();
    let first = start.addr().next_multiple_of(unit);
    let end = (start.addr() + bytes) / unit * unit;
    if first < end {
        // SAFETY: inside of the range; the rest is the caller's promise.
        unsafe { imp::discard(start.wrapping_add(first - start.addr()), end - first) }
    }
}

#[cfg(all(unix, not(miri), not(taskgrove_loom)))]
mod imp {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        safe fn getpagesize() -> c_int;
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }

    /// `MADV_DONTNEED` on Linux, where it takes the pages at once; `MADV_FREE` on the systems on which
    /// that is 5, which takes them when memory is short.
    const ADVICE: Option<c_int> = if cfg!(any(target_os = "linux", target_os = "android")) {
        Some(4)
    } else if cfg!(any(target_vendor = "apple", target_os = "freebsd")) {
        Some(5)
    } else {
        None
    };

    pub(super) fn page_size() -> usize {
        usize::try_from(getpagesize()).map_or(super::SMALLEST, usize::next_power_of_two)
    }

    /// # Safety
    ///
    /// As [`super::discard`].
    pub(super) unsafe fn discard(start: *mut u8, bytes: usize) {
        if let Some(advice) = ADVICE {
            // SAFETY: the pages are ours, and what is in them is of no use. A system that refuses has
            // changed nothing.
            unsafe { madvise(start.cast(), bytes, advice) };
        }
    }
}

#[cfg(any(not(unix), miri, taskgrove_loom))]
mod imp {
    pub(super) fn page_size() -> usize {
        super::SMALLEST
    }

    /// In a model, as harmful as it may be elsewhere.
    ///
    /// # Safety
    ///
    /// As [`super::discard`].
    pub(super) unsafe fn discard(start: *mut u8, bytes: usize) {
        if cfg!(taskgrove_loom) {
            // SAFETY: the caller's promise.
            unsafe { start.write_bytes(0, bytes) };
        }
    }
}
