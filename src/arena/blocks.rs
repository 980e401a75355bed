//! Blocks: the memory of pages, taken from the global allocator in [`Region`]s and given back.
//!
//! A block without a page is *warm*, as its last page left it, or *cold*: the system has been told that
//! it is of no use. Up to [`WARM`] blocks stay warm, those with the lowest addresses; when there are
//! [`SPARE`] more, these become cold together, so that work which goes up and down by less tells the
//! system nothing. A region all of whose blocks are cold goes back to the global allocator.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeSet;
use std::ptr::NonNull;

use super::page::{OutOfMemory, PAGE_BYTES};
use super::system;

/// How many blocks a region is cut into.
const PER_REGION: usize = if cfg!(taskgrove_loom) { 2 } else { 4 };

/// Aligned to the smallest piece that can be given up; the waste is that of one alignment a region.
pub(super) const LAYOUT: Layout = match Layout::from_size_align(PAGE_BYTES * PER_REGION, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a region is a valid layout"),
};

/// How many blocks stay warm: 4 MiB, so that work which comes in batches of some ten thousand tasks
/// does not go to the system for each.
pub(super) const WARM: usize = if cfg!(taskgrove_loom) { 1 } else { 64 };

/// How many more there have to be before any becomes cold.
pub(super) const SPARE: usize = if cfg!(taskgrove_loom) { 0 } else { 16 };

/// Memory from the global allocator. What is in it belongs to the blocks.
pub(super) struct Region(NonNull<u8>);

impl Region {
    /// Takes one from the global allocator. Its memory is not touched, so none of it is resident yet.
    pub(super) fn allocate() -> Result<Region, OutOfMemory> {
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc(LAYOUT) };
        NonNull::new(start).map(Region).ok_or(OutOfMemory)
    }

    /// Its blocks, whoever owns them.
    fn blocks(&self) -> impl Iterator<Item = Block> {
        let region = self.0;
        (0..PER_REGION).map(move |place| {
            // SAFETY: inside the region.
            let start = unsafe { region.add(place * PAGE_BYTES) };
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

// SAFETY: rule 7: a block owns its memory as a `Box` would; moving it to another thread moves nothing
// but addresses.
unsafe impl Send for Block {}

impl Block {
    /// Where its first slot starts: on a cache line of its own.
    pub(super) fn slots(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

/// Regions that have no block in use, to be dropped without a lock.
#[derive(Default)]
pub(super) struct Unused(Vec<Region>);

impl Drop for Unused {
    fn drop(&mut self) {
        for region in self.0.drain(..) {
            // SAFETY: rule 7: it came from `alloc` with this layout; whoever made this owned all of
            // its blocks, and by rule 4 no slot in them is live.
            unsafe { dealloc(region.0.as_ptr(), LAYOUT) }
        }
    }
}

/// The blocks that no page has.
#[derive(Default)]
pub(super) struct Blocks {
    /// Mostly by falling addresses.
    warm: Vec<Block>,
    cold: BTreeSet<Block>,
}

impl Blocks {
    /// A block: a warm one if there is one, else of a region that has others in use.
    pub(super) fn take(&mut self) -> Option<Block> {
        self.warm.pop().or_else(|| self.cold.pop_first())
    }

    /// Adds a new region's blocks, but for the first, which is returned.
    pub(super) fn add(&mut self, region: Region) -> Block {
        self.cold.extend(region.blocks().skip(1));
        Block {
            start: region.0,
            region: region.0,
        }
    }

    /// Keeps a block that has lost its page.
    pub(super) fn give(&mut self, block: Block) {
        self.warm.push(block);
    }

    /// The blocks that are too many: to be given to [`discard`], without a lock, and then to
    /// [`Blocks::cool`].
    pub(super) fn excess(&mut self) -> Vec<Block> {
        if self.warm.len() <= WARM + SPARE {
            return Vec::new();
        }
        self.warm.sort_unstable_by(|a, b| b.cmp(a));
        let excess = self.warm.len() - WARM;
        self.warm.drain(..excess).collect()
    }

    /// Takes blocks that have been discarded, and gives those regions up that have no others.
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

    /// How many blocks are warm.
    #[cfg(test)]
    pub(super) fn warm(&self) -> usize {
        self.warm.len()
    }
}

/// Tells the system that what is in these blocks is of no use: neighbours at once.
pub(super) fn discard(blocks: &[Block]) {
    let neighbours = |a: &Block, b: &Block| {
        a.region == b.region && a.start.addr().get() == b.start.addr().get() + PAGE_BYTES
    };
    for run in blocks.chunk_by(neighbours) {
        if let Some(lowest) = run.last() {
            // SAFETY: rule 7: the blocks are the caller's, and no slot in them is live; neighbours in
            // a region are one piece of memory, from the lowest, which is the last, on.
            unsafe { system::discard(lowest.slots(), run.len() * PAGE_BYTES) }
        }
    }
}
