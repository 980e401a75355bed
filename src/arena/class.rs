//! Size classes: a slot's size, and how a page is divided into slots.

/// The largest slot in bytes. Every slot is aligned to 8.
pub(crate) const MAX_SLOT: usize = 512;

/// The smallest slot in bytes.
const MIN_SLOT: usize = 64;

/// The size of a page in bytes.
#[cfg(not(taskgrove_malloc))]
pub(super) const PAGE_BYTES: usize = if cfg!(taskgrove_loom) {
    8 * MAX_SLOT
} else {
    64 * 1024
};

/// The number of low bits of a slot index that give the slot's position in its page.
#[cfg(not(taskgrove_malloc))]
pub(super) const SLOT_BITS: u32 = 10;

/// The number of class numbers. Some of them belong to no class.
#[cfg(not(taskgrove_malloc))]
pub(super) const CLASSES: usize = 64;

/// A size class, identified by the number of 8-byte steps above the smallest size.
///
/// The sizes are 64 bytes, multiples of 8 up to 256, and multiples of 16 up to [`MAX_SLOT`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Class(u8);

impl Class {
    /// Returns the smallest class for `bytes`, or `None` above [`MAX_SLOT`].
    #[inline]
    pub(super) const fn of(bytes: usize) -> Option<Class> {
        let size = if bytes <= MIN_SLOT {
            MIN_SLOT
        } else if bytes <= 256 {
            bytes.next_multiple_of(8)
        } else if bytes <= MAX_SLOT {
            bytes.next_multiple_of(16)
        } else {
            return None;
        };
        Some(Class(((size - MIN_SLOT) / 8) as u8))
    }

    /// The size of the class's slots in bytes.
    #[inline]
    pub(super) const fn size(self) -> usize {
        MIN_SLOT + self.0 as usize * 8
    }
}

#[cfg(not(taskgrove_malloc))]
impl Class {
    /// Every class number, in ascending order.
    pub(super) fn all() -> impl Iterator<Item = Class> {
        (0..CLASSES as u8).map(Class)
    }

    /// The class that is encoded in the low bits of an address of the page table.
    #[inline]
    pub(super) const fn from_tag(tag: usize) -> Class {
        Class(tag as u8)
    }

    /// The bits that encode the class in an address of the page table; below [`CLASSES`].
    #[inline]
    pub(super) const fn tag(self) -> usize {
        self.0 as usize
    }

    /// The class's position in an array of [`CLASSES`] elements.
    #[inline]
    pub(super) const fn index(self) -> usize {
        // The remainder tells the compiler that the position is in bounds.
        self.0 as usize % CLASSES
    }

    /// The number of slots in a page of this class.
    pub(super) const fn capacity(self) -> u32 {
        (PAGE_BYTES / self.size()) as u32
    }
}
