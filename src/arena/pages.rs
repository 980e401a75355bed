//! Pages: their numbers, their memory, and the table that maps a slot index to an address.
//!
//! A page is one [`Block`] that is divided into slots of one class. The directory, behind a lock,
//! holds the blocks of all pages in a [`Slab`]; a block's key in the slab, plus one, is the page's
//! number. So the slab hands out the lowest numbers that are not in use. The table maps a number to
//! the block's address, without a lock, and to the page's [`FreeMap`], which its depot's lock
//! protects.

use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};

use slab::Slab;

use super::blocks::{self, Block, Blocks, OutOfMemory, Region};
use super::class::{Class, SLOT_BITS};
use super::free_map::FreeMap;
use super::slot::SlotIndex;
use super::system;
#[cfg(all(unix, not(taskgrove_loom)))]
use crate::sync::MutexGuard;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Mutex, UnsafeCell};

const CHUNK_BITS: u32 = if cfg!(taskgrove_loom) { 1 } else { 8 };
const CHUNK_LEN: usize = 1 << CHUNK_BITS;
const ROOT_LEN: usize = if cfg!(taskgrove_loom) {
    4
} else {
    1 << (32 - SLOT_BITS - CHUNK_BITS)
};

/// The highest page number; the lowest is 1. That is 256 GiB of slots.
const MAX_PAGE: u32 = (ROOT_LEN << CHUNK_BITS) as u32 - 1;

/// The alignment of a page's first slot: a cache line.
const ALIGN: usize = 64;

/// The bits of a page's address in the table that hold its class (rule 6).
const CLASS_MASK: usize = ALIGN - 1;

/// The table's part for consecutive page numbers.
struct Chunk {
    /// The address of each page's first slot, with the class in its low bits; null while there is
    /// no page of that number.
    ///
    /// Written under the lock of the page's depot: by [`Pages::add`] (`Release`, so that a reader
    /// that does not hold the lock finds the page's memory allocated) and by [`Pages::unlink`].
    bases: [AtomicPtr<u8>; CHUNK_LEN],
    /// Initialised by [`Pages::add`]. Read and written under the lock of the page's depot (rule 9).
    maps: [UnsafeCell<MaybeUninit<FreeMap>>; CHUNK_LEN],
}

/// The pages that exist, and the memory for others.
#[derive(Default)]
pub(super) struct Directory {
    /// The blocks of the pages, by page number less one.
    numbered: Slab<Block>,
    free: Blocks,
}

/// All pages of an arena.
pub(super) struct Pages {
    /// Chunks of the table, which only grows (rule 3). It is all zero at first, so an arena that is
    /// not used takes no memory and no space in the binary.
    ///
    /// [`Pages::add`] stores a chunk with `Release` under the directory's lock; the `Acquire` loads
    /// pair with that store and find the chunk initialised.
    root: [AtomicPtr<Chunk>; ROOT_LEN],
    /// Created with the first page. Its lock is taken after a depot's, if both are held.
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

    /// Creates a page and returns its number.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`]; nothing has changed then.
    ///
    /// # Safety
    ///
    /// The caller holds the lock of the class's depot.
    pub(super) unsafe fn add(&self, class: Class) -> Result<u32, OutOfMemory> {
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
            let (chunk, within) = match self.chunk_or_grow(number) {
                Ok(chunk) => (chunk, number as usize % CHUNK_LEN),
                Err(error) => {
                    directory.free.give(block);
                    return Err(error);
                }
            };
            let tagged = block.slots().map_addr(|address| address | class.tag());
            vacant.insert(block);
            // SAFETY: rule 9: no page has this number, so no depot uses the map. The last depot
            // that did retired its page under the directory's lock before this.
            chunk.maps[within].with_mut(|map| unsafe { (*map).write(FreeMap::new(class)) });
            chunk.bases[within].store(tagged, Ordering::Release);
            Ok(number)
        })
    }

    /// Removes a page from the table. The caller retires it after it has released the depot's lock.
    ///
    /// # Safety
    ///
    /// The page exists, and the caller holds the lock of its depot. No slot of the page is live or
    /// lies in a magazine, and the free map is not used again.
    pub(super) unsafe fn unlink(&self, number: u32) {
        let (chunk, within) = self.find(number);
        // Relaxed: the next access that needs the order is that of a later `add`, which has taken
        // the directory's lock after `retire`.
        chunk.bases[within].store(null_mut(), Ordering::Relaxed);
    }

    /// Ends pages that were unlinked: their numbers and blocks are used again.
    pub(super) fn retire(&self, numbers: &[u32]) {
        let excess = self.with_directory(|directory| {
            for &number in numbers {
                let block = directory.numbered.remove(number as usize - 1);
                directory.free.give(block);
            }
            directory.free.excess()
        });
        if !excess.is_empty() {
            // The system call may take long, so it happens without the lock.
            blocks::release(&excess);
            let unused = self.with_directory(|directory| directory.free.cool(excess));
            drop(unused);
        }
    }

    /// Releases units of a page, given as one bit each, to the system.
    ///
    /// # Safety
    ///
    /// The page exists. No slot that overlaps any of the units is live, or becomes live before this
    /// returns.
    pub(super) unsafe fn release(&self, number: u32, units: u32) {
        let (chunk, within) = self.find(number);
        // Relaxed: the caller has seen the page under its depot's lock.
        let tagged = chunk.bases[within].load(Ordering::Relaxed);
        let base = tagged.map_addr(|address| address & !CLASS_MASK);
        let (unit, mut units) = (system::unit(), units);
        while units != 0 {
            let first = units.trailing_zeros();
            let count = (units >> first).trailing_ones();
            units &= !(((1 << count) - 1) << first);
            let start = base.wrapping_add(first as usize * unit);
            // SAFETY: the range is inside the page, and the caller guarantees that no live slot is
            // in it.
            unsafe { system::release(start, count as usize * unit) };
        }
    }

    /// The free map of a page.
    ///
    /// The pointer may be used while the caller holds the lock of the page's depot and the page
    /// exists (rule 9).
    pub(super) fn free_map(&self, number: u32) -> *mut FreeMap {
        let (chunk, within) = self.find(number);
        chunk.maps[within].with_mut(|map| map.cast())
    }

    /// The first page of this class whose number is at least `from`.
    ///
    /// The answer is exact while the caller holds the lock of the class's depot.
    pub(super) fn next_of(&self, class: Class, from: u32) -> Option<u32> {
        (from.max(1)..=MAX_PAGE)
            // Numbers are handed out from the lowest, so no page comes after a chunk that is
            // missing.
            .map_while(|number| Some((number, self.chunk(number)?)))
            .find(|(number, chunk)| {
                // Relaxed: addresses with this class's tag change under the depot's lock only.
                let tagged = chunk.bases[*number as usize % CHUNK_LEN].load(Ordering::Relaxed);
                !tagged.is_null() && slot_at(tagged, 0).1 == class
            })
            .map(|(number, _)| number)
    }

    /// The number of pages that exist.
    #[cfg(any(test, taskgrove_loom))]
    pub(super) fn live(&self) -> usize {
        self.with_directory(|directory| directory.numbered.len())
    }

    /// The number of warm blocks.
    #[cfg(test)]
    pub(super) fn warm(&self) -> usize {
        self.with_directory(|directory| directory.free.warm())
    }

    /// Locks the directory.
    #[cfg(all(unix, not(taskgrove_loom)))]
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Box<Directory>>> {
        self.directory.lock()
    }

    fn with_directory<R>(&self, f: impl FnOnce(&mut Directory) -> R) -> R {
        f(self.directory.lock().get_or_insert_default())
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
        // SAFETY: by rule 2 the slot's page was created before this call, and so was its chunk,
        // which stays where it is by rule 3.
        let tagged = unsafe { (*chunk).bases[within].load(Ordering::Acquire) };
        let (address, class) = slot_at(tagged, slot);
        // SAFETY: by rules 2 and 4 the address is the one that `add` stored for this slot's page.
        // Without its tag (rule 6) it is the first slot's; by rule 5 this slot lies inside the
        // block, too.
        (unsafe { NonNull::new_unchecked(address) }, class)
    }

    /// Prefetches a slot that may be used soon. The index need not be live.
    #[cfg(not(taskgrove_loom))]
    #[inline]
    pub(super) fn prefetch(&self, index: SlotIndex) {
        let (chunk, within, slot) = split(index);
        let chunk = self.root[chunk].load(Ordering::Acquire);
        // SAFETY: rule 3: a chunk is initialised before it is published, stays, and is only ever
        // shared.
        let Some(chunk) = (unsafe { chunk.as_ref() }) else {
            return;
        };
        // Relaxed: an address that is out of date makes the hint useless, and nothing else.
        let tagged = chunk.bases[within].load(Ordering::Relaxed);
        super::slot::prefetch(slot_at(tagged, slot).0);
    }

    /// The chunk for a page number, if it was made.
    fn chunk(&self, number: u32) -> Option<&Chunk> {
        let chunk = self.root[(number >> CHUNK_BITS) as usize].load(Ordering::Acquire);
        // SAFETY: rule 3: a chunk is initialised before it is published, stays, and is only ever
        // shared.
        unsafe { chunk.as_ref() }
    }

    /// The chunk of a page whose number was handed out, and the page's position in it.
    fn find(&self, number: u32) -> (&Chunk, usize) {
        let Some(chunk) = self.chunk(number) else {
            panic!("page {number} was never made")
        };
        (chunk, number as usize % CHUNK_LEN)
    }

    /// The chunk for a page number, made if it is missing. The caller holds the directory's lock,
    /// so no two threads make the same chunk.
    fn chunk_or_grow(&self, number: u32) -> Result<&Chunk, OutOfMemory> {
        if number > MAX_PAGE {
            return Err(OutOfMemory);
        }
        if let Some(chunk) = self.chunk(number) {
            return Ok(chunk);
        }
        let chunk = make_chunk();
        // Rule 3: the chunk is never freed.
        self.root[(number >> CHUNK_BITS) as usize].store(chunk, Ordering::Release);
        self.chunk(number).ok_or(OutOfMemory)
    }
}

/// Splits an index into its page's chunk, the page's position in there, and the slot's position in
/// the page.
#[inline(always)]
fn split(index: SlotIndex) -> (usize, usize, usize) {
    let raw = index.get() as usize;
    let within = (raw >> SLOT_BITS) & (CHUNK_LEN - 1);
    let slot = raw & ((1 << SLOT_BITS) - 1);
    (raw >> (SLOT_BITS + CHUNK_BITS), within, slot)
}

/// The address of a page's slot and its class, from the page's tagged address.
#[inline(always)]
fn slot_at(tagged: *mut u8, slot: usize) -> (*mut u8, Class) {
    let tag = tagged.addr() & CLASS_MASK;
    let class = Class::from_tag(tag);
    let address = tagged
        .wrapping_byte_sub(tag)
        .wrapping_byte_add(slot * class.size());
    (address, class)
}

/// Makes a chunk without pages; null if there is no memory.
#[cfg(not(taskgrove_loom))]
fn make_chunk() -> *mut Chunk {
    use std::alloc::{Layout, alloc_zeroed};
    // SAFETY: the layout's size is not zero. Zeros are a valid chunk: null addresses, and maps that
    // are not initialised.
    unsafe { alloc_zeroed(Layout::new::<Chunk>()) }.cast()
}

#[cfg(taskgrove_loom)]
fn make_chunk() -> *mut Chunk {
    Box::into_raw(Box::new(Chunk {
        bases: std::array::from_fn(|_| AtomicPtr::new(null_mut())),
        maps: std::array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())),
    }))
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
