//! Blocks: the memory of pages, which comes from the global allocator in [`Region`]s.
//!
//! A block that belongs to no page is *warm*, as its last page left it, or *cold*, after its system
//! pages were released. Up to [`WARM`] blocks stay warm, those with the lowest addresses. When
//! [`SPARE`] more are warm, all in excess become cold together, so that work whose memory goes up
//! and down by less makes no system call. A region goes back to the global allocator once all of
//! its blocks are cold.

use super::class::PAGE_BYTES;
use super::system;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeSet;
use std::ptr::NonNull;

/// The number of blocks in a region.
const PER_REGION: usize = if cfg!(taskgrove_loom) { 2 } else { 4 };

/// A region's layout. It is aligned to the smallest unit that can be released, which wastes at most
/// one unit for each region.
const LAYOUT: Layout = match Layout::from_size_align(PAGE_BYTES * PER_REGION, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a region is a valid layout"),
};

/// The number of blocks that stay warm: 4 MiB, so that work that comes in batches of some ten
/// thousand tasks makes no system call for each batch.
pub(super) const WARM: usize = if cfg!(taskgrove_loom) { 1 } else { 64 };

/// The number of further warm blocks at which the excess becomes cold: 1 MiB.
pub(super) const SPARE: usize = if cfg!(taskgrove_loom) { 0 } else { 16 };

/// The error when there is no memory, or no page number, for another page.
#[derive(Debug)]
pub(super) struct OutOfMemory;

impl OutOfMemory {
    /// Ends the process as the standard library's collections do. The caller holds no lock.
    pub(super) fn raise(self) -> ! {
        handle_alloc_error(LAYOUT)
    }
}

/// A piece of memory from the global allocator. Its contents belong to its blocks.
pub(super) struct Region(NonNull<u8>);

impl Region {
    /// Allocates a region. Its memory is not touched, so none of it is resident yet.
    pub(super) fn allocate() -> Result<Region, OutOfMemory> {
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc(LAYOUT) };
        NonNull::new(start).map(Region).ok_or(OutOfMemory)
    }

    /// The region's blocks, in ascending order of address, regardless of their owners.
    fn blocks(&self) -> impl Iterator<Item = Block> {
        let region = self.0;
        (0..PER_REGION).map(move |nth| {
            // SAFETY: the offset is inside the region.
            let start = unsafe { region.add(nth * PAGE_BYTES) };
            Block { start, region }
        })
    }
}

/// The memory of one page, owned.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block {
    start: NonNull<u8>,
    region: NonNull<u8>,
}

// SAFETY: rule 7: a block owns its memory as a `Box` does; it holds addresses only.
unsafe impl Send for Block {}

impl Block {
    /// The address of the first slot, which starts a cache line.
    pub(super) fn slots(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

/// Regions without a block in use. They are freed on drop, for which the caller holds no lock.
#[derive(Default)]
pub(super) struct Unused(Vec<Region>);

impl Drop for Unused {
    fn drop(&mut self) {
        for region in self.0.drain(..) {
            // SAFETY: rule 7: the region came from `alloc` with this layout, and `Blocks::cool`,
            // which made this value, owned all of its blocks; by rule 4 no slot in them is live.
            unsafe { dealloc(region.0.as_ptr(), LAYOUT) }
        }
    }
}

/// The blocks that belong to no page.
#[derive(Default)]
pub(super) struct Blocks {
    /// Mostly in descending order of address.
    warm: Vec<Block>,
    cold: BTreeSet<Block>,
}

impl Blocks {
    /// Takes a block: a warm one if there is one, else a cold one.
    pub(super) fn take(&mut self) -> Option<Block> {
        self.warm.pop().or_else(|| self.cold.pop_first())
    }

    /// Adds the blocks of a new region except for the first one, which it returns.
    pub(super) fn add(&mut self, region: Region) -> Block {
        self.cold.extend(region.blocks().skip(1));
        Block {
            start: region.0,
            region: region.0,
        }
    }

    /// Keeps a block whose page has been retired.
    pub(super) fn give(&mut self, block: Block) {
        self.warm.push(block);
    }

    /// Removes the warm blocks that are in excess. The caller passes them to [`release`], without
    /// the lock, and then to [`Blocks::cool`].
    pub(super) fn excess(&mut self) -> Vec<Block> {
        if self.warm.len() <= WARM + SPARE {
            return Vec::new();
        }
        self.warm.sort_unstable_by(|a, b| b.cmp(a));
        let excess = self.warm.len() - WARM;
        self.warm.drain(..excess).collect()
    }

    /// Takes blocks that have been released, and removes the regions all of whose blocks are cold.
    pub(super) fn cool(&mut self, blocks: Vec<Block>) -> Unused {
        let mut unused = Unused::default();
        for block in blocks {
            let region = Region(block.region);
            self.cold.insert(block);
            if region.blocks().all(|block| self.cold.contains(&block)) {
                region.blocks().for_each(|block| {
                    self.cold.remove(&block);
                });
                unused.0.push(region);
            }
        }
        unused
    }

    /// The number of warm blocks.
    #[cfg(test)]
    pub(super) fn warm(&self) -> usize {
        self.warm.len()
    }
}

/// Releases the system pages of these blocks, with one call for adjacent blocks.
pub(super) fn release(blocks: &[Block]) {
    let adjacent = |a: &Block, b: &Block| {
        a.region == b.region && a.start.addr().get() == b.start.addr().get() + PAGE_BYTES
    };
    for run in blocks.chunk_by(adjacent) {
        if let Some(lowest) = run.last() {
            // SAFETY: rule 7: the caller owns the blocks, and no slot in them is live. Adjacent
            // blocks of a region are one range of memory, which starts with the lowest block, the
            // last of the run.
            unsafe { system::release(lowest.slots(), run.len() * PAGE_BYTES) }
        }
    }
}
