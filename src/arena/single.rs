//! Each slot an allocation, for tools that watch allocations.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeMap;

// Not `crate::sync`'s: like malloc's own lock this one is no part of what loom explores, and a
// static needs it to be made by a `const fn`.
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Class, NonNull, Slot, SlotIndex};

/// A slot's memory and layout.
struct Allocation(NonNull<u8>, Layout);

#[cfg(taskgrove_loom)]
std::thread_local! {
    /// Freed slots of the model that runs on this thread: their memory stays as it is, so that
    /// a use after free is seen and not undefined.
    static FREED: std::cell::RefCell<Vec<Allocation>> = const { std::cell::RefCell::new(Vec::new()) };
    /// Its slots that are live.
    static LIVE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(taskgrove_loom)]
impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout; nothing of the model is left.
        unsafe { dealloc(self.0.as_ptr(), self.1) }
    }
}

/// Ends a model on the calling thread: gives the memory of its freed slots back, and says how
/// many are live.
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

/// An allocator of slots with the interface of the one in pages.
pub(crate) struct Arena(Mutex<Table>);

impl Arena {
    /// An arena without slots.
    pub(crate) const fn new() -> Arena {
        Arena(Mutex::new(Table {
            live: BTreeMap::new(),
            last: 0,
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allocates a slot of at least `bytes`, aligned to 8 and not initialised. Panics above
    /// [`MAX_SLOT`](super::MAX_SLOT).
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

    /// Frees a slot, from any thread. Panics if the index is not live.
    ///
    /// # Safety
    ///
    /// Rule 2. Nothing uses the slot or its index afterwards.
    pub(crate) unsafe fn free(&'static self, index: SlotIndex) {
        let removed = self.table().live.remove(&index.get());
        let allocation = removed.expect("a slot is freed once");
        #[cfg(taskgrove_loom)]
        {
            LIVE.set(LIVE.get() - 1);
            FREED.with_borrow_mut(|freed| freed.push(allocation));
        }
        // SAFETY: it was allocated with this layout, and is freed once: it was in the table.
        #[cfg(not(taskgrove_loom))]
        unsafe {
            dealloc(allocation.0.as_ptr(), allocation.1);
        }
    }

    /// Slots that are each an allocation of their own are not fetched ahead.
    pub(crate) fn prefetch(&self, _index: SlotIndex) {}

    /// The address of a live slot. Panics if the index is not live.
    ///
    /// # Safety
    ///
    /// Rule 2.
    pub(crate) unsafe fn address(&self, index: SlotIndex) -> NonNull<u8> {
        let table = self.table();
        table.live.get(&index.get()).expect("the slot is live").0
    }

    /// How many slots are live: each is its own page.
    #[allow(dead_code, reason = "for tests")]
    pub(crate) fn live_pages(&self) -> usize {
        self.table().live.len()
    }

    /// See [`audit`](super::audit): the table is all there is.
    #[cfg(all(debug_assertions, not(taskgrove_loom)))]
    pub(super) fn audit(&self, _thorough: bool) -> usize {
        self.live_pages()
    }

    /// Does nothing: there are no magazines.
    #[allow(dead_code, reason = "for tests")]
    pub(crate) fn flush_thread(&'static self) {}
}
