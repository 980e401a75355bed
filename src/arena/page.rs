//! Pages: their memory, their numbers, and the table that leads from an index to an address.
//!
//! A page is one [`Block`] of [`PAGE_BYTES`] cut into slots of one class. The directory (a
//! `slab::Slab` of blocks behind a lock) numbers the pages; the table maps a number to the block's
//! address and needs no lock to read. Both change only when a page comes or goes.

use std::alloc::handle_alloc_error;
#[cfg(not(taskgrove_loom))]
use std::alloc::{Layout, alloc_zeroed};
use std::ptr::{NonNull, null_mut};

use slab::Slab;

use super::blocks::{self, Block, Blocks, Region};
use super::{Class, SlotIndex, system};
use crate::sync::Mutex;
#[cfg(all(unix, not(taskgrove_loom)))]
use crate::sync::MutexGuard;
use crate::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The size of a page in bytes.
pub(super) const PAGE_BYTES: usize = if cfg!(taskgrove_loom) {
    8 * 512
} else {
    64 * 1024
};

/// The least alignment of pages: a cache line.
const ALIGN: usize = 64;

/// The low bits of an index that say which slot of its page it is.
pub(super) const SLOT_BITS: u32 = 10;

const CHUNK_BITS: u32 = if cfg!(taskgrove_loom) { 1 } else { 10 };
const CHUNK_LEN: usize = 1 << CHUNK_BITS;
const ROOT_LEN: usize = if cfg!(taskgrove_loom) {
    4
} else {
    1 << (32 - SLOT_BITS - CHUNK_BITS)
};

/// Page numbers run from 1 to this; 256 GiB of slots.
const MAX_PAGE: u32 = (ROOT_LEN << CHUNK_BITS) as u32 - 1;

/// The bits of a table entry's address that hold the class (rule 6).
const CLASS_MASK: usize = ALIGN - 1;

/// There is no memory, or no number, for another page.
#[derive(Debug)]
pub(super) struct OutOfMemory;

impl OutOfMemory {
    /// Ends the process as the standard library's collections do. No lock may be held.
    pub(super) fn raise(self) -> ! {
        handle_alloc_error(blocks::LAYOUT)
    }
}

/// What the table knows of one page.
struct Entry {
    /// The first slot's address with the class in its low bits; null while there is no page.
    base: AtomicPtr<u8>,
    /// The page's key in its depot. Used only under that depot's lock.
    key: AtomicU32,
}

type Chunk = [Entry; CHUNK_LEN];

/// The page directory: which numbers are taken, and by which block.
#[derive(Default)]
struct Directory {
    numbered: Slab<Block>,
    free: Blocks,
}

/// The directory's lock, until it is dropped.
#[cfg(all(unix, not(taskgrove_loom)))]
pub(super) struct HeldPages<'a> {
    _directory: MutexGuard<'a, Option<Box<Directory>>>,
}

/// All pages of an arena.
pub(super) struct Pages {
    /// Never moves and only grows, chunk by chunk (rule 3). All zero at first: it costs a process
    /// the memory pages it touches, and the binary nothing.
    root: [AtomicPtr<Chunk>; ROOT_LEN],
    /// Made with the first page.
    directory: Mutex<Option<Box<Directory>>>,
}

impl Pages {
    #[cfg(not(taskgrove_loom))]
    pub(super) const fn new() -> Self {
        Self {
            root: [const { AtomicPtr::new(null_mut()) }; ROOT_LEN],
            directory: Mutex::new(None),
        }
    }

    #[cfg(taskgrove_loom)]
    pub(super) fn new() -> Self {
        Self {
            root: std::array::from_fn(|_| AtomicPtr::new(null_mut())),
            directory: Mutex::new(None),
        }
    }

    /// Makes a page of `class`, known to its depot as `key`, and returns its number.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`], and then nothing has changed.
    pub(super) fn add(&self, class: Class, key: u32) -> Result<u32, OutOfMemory> {
        let block = match self.with_directory(|directory| directory.free.take()) {
            Some(block) => block,
            None => {
                let region = Region::allocate()?;
                self.with_directory(|directory| directory.free.add(region))
            }
        };
        self.with_directory(|directory| {
            let vacant = directory.numbered.vacant_entry();
            let number = u32::try_from(vacant.key() + 1).unwrap_or(u32::MAX);
            let entry = match self.entry_or_grow(number) {
                Ok(entry) => entry,
                Err(error) => {
                    directory.free.give(block);
                    return Err(error);
                }
            };
            let tag = usize::from(class.number());
            let tagged = block.slots().map_addr(|address| address | tag);
            vacant.insert(block);
            entry.key.store(key, Ordering::Relaxed);
            entry.base.store(tagged, Ordering::Release);
            Ok(number)
        })
    }

    /// Ends pages of which no slot is live, lies in a magazine or is known to a depot.
    pub(super) fn retire(&self, numbers: &[u32]) {
        let excess = self.with_directory(|directory| {
            for &number in numbers {
                let base = &self.entry(number).base;
                base.store(null_mut(), Ordering::Release);
                let block = directory.numbered.remove(number as usize - 1);
                directory.free.give(block);
            }
            directory.free.excess()
        });
        if !excess.is_empty() {
            // The system may take its time: not under the lock.
            blocks::discard(&excess);
            let unused = self.with_directory(|directory| directory.free.cool(excess));
            drop(unused);
        }
    }

    /// Tells the system that units of a page are of no use, by a bit for each.
    ///
    /// # Safety
    ///
    /// The page exists; no slot that any of them is part of is live, or becomes so before this ends.
    pub(super) unsafe fn discard(&self, number: u32, units: u32) {
        let tagged = self.entry(number).base.load(Ordering::Acquire);
        let base = tagged.map_addr(|address| address & !CLASS_MASK);
        let (unit, mut units) = (system::unit(), units);
        while units != 0 {
            let first = units.trailing_zeros();
            let count = (units >> first).trailing_ones();
            units &= !(((1 << count) - 1) << first);
            let start = base.wrapping_add(first as usize * unit);
            // SAFETY: inside the page; what is there is in no live slot, as the caller says.
            unsafe { system::discard(start, count as usize * unit) };
        }
    }

    /// The number of pages that exist.
    pub(super) fn live(&self) -> usize {
        self.with_directory(|directory| directory.numbered.len())
    }

    /// The number of warm blocks.
    #[cfg(test)]
    pub(super) fn warm(&self) -> usize {
        self.with_directory(|directory| directory.free.warm())
    }

    /// Takes the directory's lock.
    #[cfg(all(unix, not(taskgrove_loom)))]
    pub(super) fn hold(&self) -> HeldPages<'_> {
        HeldPages {
            _directory: self.directory.lock(),
        }
    }

    fn with_directory<R>(&self, f: impl FnOnce(&mut Directory) -> R) -> R {
        f(self.directory.lock().get_or_insert_default())
    }

    /// The key in its depot of a page that exists.
    pub(super) fn key(&self, number: u32) -> u32 {
        self.entry(number).key.load(Ordering::Relaxed)
    }

    /// The address and the class of a live slot.
    ///
    /// # Safety
    ///
    /// Rule 2: the slot is live, and its allocation happens before this call.
    #[inline]
    pub(super) unsafe fn locate(&self, index: SlotIndex) -> (NonNull<u8>, Class) {
        let (chunk, within, slot) = split(index);
        let chunk = self.root[chunk].load(Ordering::Acquire);
        // SAFETY: by rule 2 the slot's page exists and this thread has seen it come, so its chunk
        // is there; by rule 3 it stays where it is.
        let tagged = unsafe { (*chunk)[within].base.load(Ordering::Acquire) };
        let (address, class) = slot_at(tagged, slot);
        // SAFETY: by rules 2 and 4 the entry is the one `add` wrote for this slot's page, so
        // without its tag (rule 6) it is the first slot's address; by rule 5 the slot lies inside
        // the block, and so does the sum.
        (unsafe { NonNull::new_unchecked(address) }, class)
    }

    /// Fetches a slot into the cache, for whoever may use it soon. The index need not be live.
    #[cfg(not(taskgrove_loom))]
    #[inline]
    pub(super) fn prefetch(&self, index: SlotIndex) {
        let (chunk, within, slot) = split(index);
        let chunk = self.root[chunk].load(Ordering::Acquire);
        // SAFETY: rule 3: a chunk that is there is initialised, stays, and is only ever shared.
        let Some(chunk) = (unsafe { chunk.as_ref() }) else {
            return;
        };
        let tagged = chunk[within].base.load(Ordering::Relaxed);
        super::prefetch(slot_at(tagged, slot).0);
    }

    /// The entry of a page whose number has been given out.
    fn entry(&self, number: u32) -> &Entry {
        let chunk = self.root[(number >> CHUNK_BITS) as usize].load(Ordering::Acquire);
        assert!(!chunk.is_null(), "page {number} was never made");
        // SAFETY: rule 3: a chunk that is there is initialised, stays, and is only ever shared.
        unsafe { &(*chunk)[number as usize & (CHUNK_LEN - 1)] }
    }

    /// As `entry`, with the chunk made if it is missing. Called under the directory's lock, so
    /// that no two threads make the same chunk.
    fn entry_or_grow(&self, number: u32) -> Result<&Entry, OutOfMemory> {
        if number > MAX_PAGE {
            return Err(OutOfMemory);
        }
        let place = &self.root[(number >> CHUNK_BITS) as usize];
        if place.load(Ordering::Relaxed).is_null() {
            let chunk = make_chunk();
            if chunk.is_null() {
                return Err(OutOfMemory);
            }
            // Rule 3: it is never freed.
            place.store(chunk, Ordering::Release);
        }
        Ok(self.entry(number))
    }
}

/// Where a slot is: its page's chunk, the page's entry in there, the slot's number in the page.
#[inline(always)]
fn split(index: SlotIndex) -> (usize, usize, usize) {
    let raw = index.get() as usize;
    let within = (raw >> SLOT_BITS) & (CHUNK_LEN - 1);
    let slot = raw & ((1 << SLOT_BITS) - 1);
    (raw >> (SLOT_BITS + CHUNK_BITS), within, slot)
}

/// The address of a page's slot, by the page's tagged address.
#[inline(always)]
fn slot_at(tagged: *mut u8, slot: usize) -> (*mut u8, Class) {
    let tag = tagged.addr() & CLASS_MASK;
    let class = Class::from_tag(tag);
    let address = tagged
        .wrapping_byte_sub(tag)
        .wrapping_byte_add(slot * class.size());
    (address, class)
}

/// A chunk without pages; null if there is no memory.
#[cfg(not(taskgrove_loom))]
fn make_chunk() -> *mut Chunk {
    // SAFETY: the layout's size is not zero. Zeros are a valid chunk: null pointers and zero keys.
    unsafe { alloc_zeroed(Layout::new::<Chunk>()) }.cast()
}

#[cfg(taskgrove_loom)]
fn make_chunk() -> *mut Chunk {
    let entry = |_| Entry {
        base: AtomicPtr::new(null_mut()),
        key: AtomicU32::new(0),
    };
    Box::into_raw(Box::new(std::array::from_fn(entry)))
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use crate::arena::blocks::{SPARE, WARM};

    fn class(bytes: usize) -> Class {
        Class::of(bytes).unwrap()
    }

    fn first_slot(number: u32) -> SlotIndex {
        SlotIndex::from_u32(number << SLOT_BITS).unwrap()
    }

    #[test]
    fn a_page_is_found_under_its_number_until_it_is_retired() {
        static PAGES: Pages = Pages::new();
        let a = PAGES.add(class(64), 7).unwrap();
        let b = PAGES.add(class(512), 9).unwrap();
        assert!(a != 0 && b != 0 && a != b);
        assert_eq!((PAGES.key(a), PAGES.key(b)), (7, 9));
        assert_eq!(PAGES.live(), 2);
        // SAFETY: rule 2: nobody else knows these pages, so every slot in them is ours.
        let ((pa, ca), (pb, cb)) =
            unsafe { (PAGES.locate(first_slot(a)), PAGES.locate(first_slot(b))) };
        assert_eq!((ca.size(), cb.size()), (64, 512));
        assert!(pa.addr().get().abs_diff(pb.addr().get()) >= PAGE_BYTES);
        assert!(pa.addr().get().is_multiple_of(ALIGN) && pb.addr().get().is_multiple_of(ALIGN));

        PAGES.retire(&[a]);
        assert_eq!((PAGES.live(), PAGES.warm()), (1, 1));
        let again = PAGES.add(class(256), 1).unwrap();
        assert_eq!(again, a, "the number is free for the next page");
        // SAFETY: as above.
        let (address, reused) = unsafe { PAGES.locate(first_slot(again)) };
        assert_eq!(address, pa, "a warm block serves any class");
        assert_eq!((reused.size(), PAGES.warm()), (256, 0));
        PAGES.retire(&[again, b]);
        assert_eq!(PAGES.live(), 0);
    }

    #[test]
    fn the_table_has_a_place_for_each_index_and_no_more() {
        let indices = (ROOT_LEN as u64 * CHUNK_LEN as u64) << SLOT_BITS;
        assert_eq!(indices, 1 << 32);
    }

    #[test]
    fn few_blocks_stay_warm_and_those_are_the_lowest() {
        static PAGES: Pages = Pages::new();
        let add = |count: usize| -> Vec<u32> {
            let keys = 0..count as u32;
            keys.map(|key| PAGES.add(class(128), key).unwrap())
                .collect()
        };
        // SAFETY: rule 2: nobody else knows these pages.
        let address = |&number: &u32| unsafe { PAGES.locate(first_slot(number)) }.0;
        let numbers = add(WARM + SPARE + 1);
        let mut addresses: Vec<_> = numbers.iter().map(address).collect();
        PAGES.retire(&numbers[1..]);
        assert_eq!((PAGES.live(), PAGES.warm()), (1, WARM + SPARE));
        PAGES.retire(&numbers[..1]);
        assert_eq!((PAGES.live(), PAGES.warm()), (0, WARM));

        addresses.sort_unstable();
        let kept = add(WARM);
        let mut again: Vec<_> = kept.iter().map(address).collect();
        again.sort_unstable();
        assert_eq!(again, addresses[..WARM]);
        PAGES.retire(&kept);
    }

    #[test]
    fn numbers_reach_beyond_one_chunk() {
        // The first chunk has room for the numbers below CHUNK_LEN; memory is never touched.
        static PAGES: Pages = Pages::new();
        let numbers: Vec<u32> = (0..CHUNK_LEN as u32 + 5)
            .map(|key| PAGES.add(class(64), key).unwrap())
            .collect();
        for (key, &number) in numbers.iter().enumerate() {
            assert_eq!(PAGES.key(number) as usize, key);
        }
        assert!(*numbers.last().unwrap() as usize > CHUNK_LEN);
        PAGES.retire(&numbers);
    }
}
