//! [`Single`]: an arena in which each slot is an allocation of its own, for tools that watch
//! allocations.

use super::class::Class;
use super::slot::{Slot, SlotIndex};
use crate::sync::process::{Mutex, MutexGuard, PoisonError};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::ptr::NonNull;

/// A slot's memory and layout.
struct Allocation(NonNull<u8>, Layout);

#[cfg(taskgrove_loom)]
std::thread_local! {
    /// The freed slots of the model that runs on this thread. Their memory stays, so that a use
    /// after free is found and is not undefined behaviour.
    static FREED: std::cell::RefCell<Vec<Allocation>> = const { std::cell::RefCell::new(Vec::new()) };
    /// The number of its live slots.
    static LIVE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(taskgrove_loom)]
impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: the memory was allocated with this layout, and the model that used it is over.
        unsafe { dealloc(self.0.as_ptr(), self.1) }
    }
}

/// Ends a model on the calling thread: frees the memory of its freed slots, and returns how many
/// slots are live.
#[cfg(taskgrove_loom)]
pub(crate) fn end_model() -> usize {
    drop(FREED.take());
    LIVE.take()
}

// SAFETY: rule 1: an address and a size; the table that holds them never reads the memory.
unsafe impl Send for Allocation {}

struct Table {
    live: BTreeMap<u32, Allocation>,
    last: u32,
}

/// An allocator of slots with the interface of the one in pages. Like malloc's own, its lock is no
/// part of what loom explores.
pub(crate) struct Single(Mutex<Table>);

impl Single {
    /// Creates an arena without slots.
    pub(crate) const fn new() -> Single {
        Single(Mutex::new(Table {
            live: BTreeMap::new(),
            last: 0,
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allocates a slot of at least `bytes` bytes, aligned to 8 and not initialised.
    ///
    /// # Panics
    ///
    /// If `bytes` is more than [`MAX_SLOT`](super::class::MAX_SLOT).
    pub(crate) fn alloc(&'static self, bytes: usize) -> Slot {
        let class = Class::of(bytes).expect("no slot is that large");
        let layout = Layout::from_size_align(class.size(), 8).expect("a small layout");
        // SAFETY: no class's size is zero.
        let Some(ptr) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        let mut table = self.table();
        let index = loop {
            table.last = table.last.wrapping_add(1);
            match SlotIndex::from_u32(table.last) {
                Some(index) if !table.live.contains_key(&index.get()) => break index,
                _ => {}
            }
        };
        table.live.insert(index.get(), Allocation(ptr, layout));
        #[cfg(taskgrove_loom)]
        LIVE.set(LIVE.get() + 1);
        Slot { ptr, index }
    }

    /// Frees a slot, on any thread.
    ///
    /// # Panics
    ///
    /// If the index is not live.
    ///
    /// # Safety
    ///
    /// Rule 2. The slot and its index are not used afterwards.
    pub(crate) unsafe fn free(&'static self, index: SlotIndex) {
        let removed = self.table().live.remove(&index.get());
        let allocation = removed.expect("a slot is freed once");
        #[cfg(taskgrove_loom)]
        {
            LIVE.set(LIVE.get() - 1);
            FREED.with_borrow_mut(|freed| freed.push(allocation));
        }
        // SAFETY: the memory was allocated with this layout. It was in the table, so it is freed
        // once.
        #[cfg(not(taskgrove_loom))]
        unsafe {
            dealloc(allocation.0.as_ptr(), allocation.1);
        }
    }

    /// Does nothing: an index leads to no address without the lock.
    pub(crate) fn prefetch(&self, _index: SlotIndex) {}

    /// The address of a live slot.
    ///
    /// # Panics
    ///
    /// If the index is not live.
    ///
    /// # Safety
    ///
    /// Rule 2.
    pub(crate) unsafe fn address(&self, index: SlotIndex) -> NonNull<u8> {
        let table = self.table();
        table.live.get(&index.get()).expect("the slot is live").0
    }

    /// The number of live slots; each is its own page.
    #[cfg(test)]
    pub(crate) fn live_pages(&self) -> usize {
        self.table().live.len()
    }

    /// See [`audit::live_slots`](super::audit::live_slots).
    pub(super) fn audit(&self, _thorough: bool) -> usize {
        self.table().live.len()
    }

    /// Does nothing, because there are no magazines.
    pub(crate) fn flush_thread(&'static self) {}
}
