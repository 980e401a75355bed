//! The arena: a process-wide allocator of small slots, which are addressed by pointer and by index.
//!
//! Every task lives in a slot, and so does every service's record. Wakers, queues and handles hold
//! a slot's address; the links of the tree hold its 32-bit [`SlotIndex`]. A slot never moves.
//!
//! The arena guards the memory of slots that are not live, and the table that maps an index to an
//! address. It does not read or write the memory of a slot, live or free, does not run the caller's
//! code, and knows nothing of tasks.
//!
//! The design is that of a slab allocator with magazines and depots (Bonwick and Adams, "Magazines
//! and Vmem: Extending the Slab Allocator to Many CPUs and Arbitrary Resources", USENIX 2001), with
//! threads in the place of CPUs:
//!
//! - A page (`pages`) is 64 KiB of slots of one size class (`class`). A slot's index consists of
//!   the page's number and the slot's position in the page. The `slab` crate numbers the pages: a
//!   page's number is the key of its memory block in one `Slab`. A two-level table maps the number
//!   to the block's address.
//! - A depot (`depot`), one for each class, behind a lock, holds the free slots of the class's
//!   pages. It hands them out from the fullest pages first, and gives wholly free pages back.
//! - A magazine (`magazine`) is a thread's stock of free slots of a class. Allocating is a pop,
//!   freeing a push.
//!
//! A slot may be freed on any thread; it then lies in that thread's magazine. A thread's magazines
//! hold at most 256 slots for each class, and a page is not given back while one of its slots lies
//! in a magazine. Apart from that, an arena without live slots keeps one page for each class that
//! was ever used, and at most 5 MiB of blocks. The memory is the global allocator's. Memory that
//! stays free, also beside live slots, is not resident (see `blocks`, `depot::trim` and `system`).
//!
//! With `cfg(taskgrove_malloc)`, and under loom, each slot is an allocation of its own and no index
//! is used twice (`single`), so that sanitizers and valgrind find a use after free.
//!
//! # Rules for the unsafe code
//!
//! 1. Between its allocation and its free a slot belongs to the caller alone. The arena never reads
//!    or writes its memory.
//! 2. The caller passes an index to [`Arena::address`] or [`Arena::free`] only while its slot is
//!    live in that arena, and the allocation happens before the call (the index came through a
//!    lock, a channel or an acquire load). It frees a slot once, and every other use of the slot
//!    and its index happens before that.
//! 3. A chunk of the page table is initialised before a release store publishes it. It is never
//!    moved or freed, and only ever shared.
//! 4. A page's address in the table is stored before the page's first slot is handed out, and
//!    cleared after the depot has every slot back. Both happen under the depot's lock. The page's
//!    number and block are used again after that, under the directory's lock. So the table's
//!    address for a live slot's page is that page's.
//! 5. The slots of a page are those below its class's capacity. Capacity times size is at most a
//!    block's size, so they lie inside the block.
//! 6. The first slot of a page is aligned to 64, so the low six bits of its address can hold the
//!    class's number. Sizes are multiples of 8, so every slot is aligned to 8.
//! 7. A block has one owner, a page or `Blocks`. A region is freed with the layout it was allocated
//!    with, and only by the owner of all of its blocks.
//! 8. Memory is released to the system only while no slot in it is live or can be handed out: a
//!    block by its owner, and units of a page while the depot is trimming the page.
//! 9. A page's free map is initialised before the table shows the page to its depot, and is then
//!    accessed only through that depot's lock, until the depot removes the page from the table.
//!
//! A depot's lock is taken before the directory's. No caller's code runs under either. A thread
//! that forks holds all of them, the depots' in the order of their classes (`fork`).

#![allow(
    unsafe_code,
    reason = "the arena hands out raw memory; see the rules above"
)]

pub mod audit;
#[cfg(not(taskgrove_malloc))]
mod blocks;
mod class;
pub(crate) mod counted;
#[cfg(not(taskgrove_malloc))]
mod depot;
#[cfg(all(unix, not(any(taskgrove_malloc, taskgrove_loom))))]
mod fork;
#[cfg(not(taskgrove_malloc))]
mod free_map;
#[cfg(not(taskgrove_malloc))]
mod magazine;
#[cfg(taskgrove_loom)]
pub(crate) mod model;
#[cfg(not(taskgrove_malloc))]
mod pages;
#[cfg(any(taskgrove_malloc, taskgrove_loom))]
mod single;
mod slot;
pub(crate) mod slot_box;
mod system;

pub(crate) use class::MAX_SLOT;
#[cfg(taskgrove_loom)]
pub(crate) use single::end_model;
pub(crate) use slot::{SlotIndex, prefetch};
pub(crate) use system::release_spare;

#[cfg(not(taskgrove_malloc))]
use {class::Class, depot::Depots, slot::Slot, std::ptr::NonNull};

/// The process's arena.
#[cfg(not(any(taskgrove_malloc, taskgrove_loom)))]
pub(crate) static ARENA: Arena = Arena::new();
#[cfg(any(taskgrove_malloc, taskgrove_loom))]
pub(crate) static ARENA: single::Single = single::Single::new();

/// An allocator of slots; see the module's documentation. All zero until it is used.
#[cfg(not(taskgrove_malloc))]
pub(crate) struct Arena {
    depots: Depots,
}

#[cfg(not(taskgrove_malloc))]
impl Arena {
    /// Creates an arena without pages.
    #[cfg(not(taskgrove_loom))]
    pub(crate) const fn new() -> Arena {
        Arena {
            depots: Depots::new(),
        }
    }

    #[cfg(taskgrove_loom)]
    pub(crate) fn new() -> Arena {
        Arena {
            depots: Depots::new(),
        }
    }

    /// Allocates a slot of at least `bytes` bytes, aligned to 8 and not initialised.
    ///
    /// # Panics
    ///
    /// If `bytes` is more than [`MAX_SLOT`]. When memory is out, the process ends by
    /// `handle_alloc_error`.
    #[inline]
    pub(crate) fn alloc(&'static self, bytes: usize) -> Slot {
        let class = Class::of(bytes).expect("no slot is that large");
        let raw = magazine::pop(&self.depots, class).unwrap_or_else(|| self.refill(class));
        let index = SlotIndex::from_u32(raw).expect("page numbers start at 1");
        // SAFETY: rule 2: the slot was allocated by this thread just now.
        let ptr = unsafe { self.address(index) };
        Slot { ptr, index }
    }

    #[cold]
    #[inline(never)]
    fn refill(&'static self, class: Class) -> u32 {
        #[cfg(all(unix, not(taskgrove_loom)))]
        fork::watch(&ARENA.depots);
        magazine::refill(&self.depots, class)
    }

    /// Frees a slot, on any thread, also while the thread's locals are being destroyed.
    ///
    /// # Safety
    ///
    /// Rule 2. The slot and its index are not used afterwards.
    #[inline]
    pub(crate) unsafe fn free(&'static self, index: SlotIndex) {
        // SAFETY: rule 2, which the caller keeps.
        let (_, class) = unsafe { self.depots.pages().locate(index) };
        magazine::give(&self.depots, class, index.get());
    }

    /// The address of a live slot: two dependent loads, no lock.
    ///
    /// # Safety
    ///
    /// Rule 2.
    #[inline]
    pub(crate) unsafe fn address(&self, index: SlotIndex) -> NonNull<u8> {
        // SAFETY: rule 2, which the caller keeps.
        unsafe { self.depots.pages().locate(index) }.0
    }

    /// Prefetches a slot that may be used soon. The index need not be live.
    #[cfg(not(taskgrove_loom))]
    #[inline]
    pub(crate) fn prefetch(&self, index: SlotIndex) {
        self.depots.pages().prefetch(index);
    }

    /// The number of pages that exist, including the spare of each class.
    #[cfg(any(test, taskgrove_loom))]
    pub(crate) fn live_pages(&self) -> usize {
        self.depots.pages().live()
    }

    /// Gives the free slots in the calling thread's magazines back to the depots.
    pub(crate) fn flush_thread(&'static self) {
        magazine::flush(&self.depots);
    }

    /// See [`audit::live_slots`].
    #[cfg(not(taskgrove_loom))]
    fn audit(&'static self, thorough: bool) -> usize {
        let audit = |class| self.audit_class(class, thorough);
        Class::all().map(audit).sum()
    }

    fn audit_class(&'static self, class: Class, thorough: bool) -> usize {
        let in_magazine = magazine::contents(&self.depots, class);
        let mut depot = self.depots.lock(class);
        if thorough {
            depot.audit_magazine(&in_magazine);
        }
        depot.audit(thorough) - in_magazine.len()
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
