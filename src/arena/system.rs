//! Advice to the operating system: releases system pages that stay allocated but hold nothing.
//!
//! The arena's memory comes from the global allocator, so that an allocator that counts or limits
//! memory counts tasks, too. On Unix `madvise` releases the system pages of memory that is not in
//! use: they stop being resident, and return when they are written again. On other systems nothing
//! happens.

use std::mem::MaybeUninit;

/// The smallest range in bytes that is ever released.
const MIN_UNIT: usize = if cfg!(taskgrove_loom) { 1024 } else { 4096 };

/// The size in bytes of a unit, the smallest range that can be released: one system page, or
/// several.
#[inline]
pub(super) fn unit() -> usize {
    imp::page_size().max(MIN_UNIT)
}

/// Releases memory that holds no values and is about to be freed, because the global allocator may
/// keep it resident.
pub(crate) fn release_spare<T>(memory: &mut [MaybeUninit<T>]) {
    let bytes = size_of_val(memory);
    // SAFETY: the caller has exclusive access to the memory, which holds no values.
    unsafe { release(memory.as_mut_ptr().cast(), bytes) }
}

/// Releases the units that lie completely inside a range of memory.
///
/// # Safety
///
/// The range is allocated, the caller has exclusive access to it, and its contents are written
/// before they are read again.
pub(super) unsafe fn release(start: *mut u8, bytes: usize) {
    let unit = unit();
    let first = start.addr().next_multiple_of(unit);
    let end = (start.addr() + bytes) / unit * unit;
    if first < end {
        // SAFETY: the units lie inside the range, for which the caller guarantees the rest.
        unsafe { imp::release(start.wrapping_add(first - start.addr()), end - first) }
    }
}

#[cfg(all(unix, not(miri), not(taskgrove_loom)))]
mod imp {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        safe fn getpagesize() -> c_int;
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }

    /// `MADV_DONTNEED` on Linux, which releases the pages immediately; on the systems where it is
    /// 5, `MADV_FREE`, which releases them when memory is short.
    const ADVICE: Option<c_int> = if cfg!(any(target_os = "linux", target_os = "android")) {
        Some(4)
    } else if cfg!(any(target_vendor = "apple", target_os = "freebsd")) {
        Some(5)
    } else {
        None
    };

    #[inline]
    pub(super) fn page_size() -> usize {
        usize::try_from(getpagesize()).map_or(super::MIN_UNIT, usize::next_power_of_two)
    }

    /// # Safety
    ///
    /// As [`super::release`].
    pub(super) unsafe fn release(start: *mut u8, bytes: usize) {
        if let Some(advice) = ADVICE {
            // SAFETY: the caller has exclusive access to the pages and does not need their
            // contents. If the system refuses, it has changed nothing.
            unsafe { madvise(start.cast(), bytes, advice) };
        }
    }
}

#[cfg(any(not(unix), miri, taskgrove_loom))]
mod imp {
    pub(super) fn page_size() -> usize {
        super::MIN_UNIT
    }

    /// Overwrites the memory in a model, so that a use of released memory is found.
    ///
    /// # Safety
    ///
    /// As [`super::release`].
    pub(super) unsafe fn release(start: *mut u8, bytes: usize) {
        if cfg!(taskgrove_loom) {
            // SAFETY: the caller has exclusive access to the memory.
            unsafe { start.write_bytes(0, bytes) };
        }
    }
}
