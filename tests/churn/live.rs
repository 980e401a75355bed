//! An allocator that counts the bytes that are live in this process.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

#[derive(Debug)]
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// A count, which orders nothing else.
static LIVE: AtomicIsize = AtomicIsize::new(0);

/// The bytes that are allocated at this moment.
pub(crate) fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

fn add(bytes: usize) {
    LIVE.fetch_add(bytes as isize, Ordering::Relaxed);
}

fn sub(bytes: usize) {
    LIVE.fetch_sub(bytes as isize, Ordering::Relaxed);
}

// SAFETY: every call is passed on to `System` as it came, and what `System` returns is returned; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        let at = unsafe { System.alloc(layout) };
        if !at.is_null() {
            add(layout.size());
        }
        at
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        let at = unsafe { System.alloc_zeroed(layout) };
        if !at.is_null() {
            add(layout.size());
        }
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        sub(layout.size());
        // SAFETY: `at` came from `System` with this layout, as every allocation here does.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: `at` came from `System` with this layout, and the caller vouches for `size`.
        let moved = unsafe { System.realloc(at, layout, size) };
        if !moved.is_null() {
            sub(layout.size());
            add(size);
        }
        moved
    }
}
