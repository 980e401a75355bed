//! The depots: one for each class, with the free slots of the class's pages that lie in no
//! magazine.
//!
//! Pages with free slots are in lists by the number of free slots. A depot hands out slots from the
//! fullest pages, so that the emptiest ones become wholly free and can be given back. It keeps one
//! wholly free page, the spare, so that a class whose use goes up and down around the edge of a
//! page does not create a page each time; further ones are retired.

mod audit;
mod exchange;
mod residency;
mod trim;

use super::blocks::OutOfMemory;
use super::class::{CLASSES, Class, SLOT_BITS};
use super::free_map::{FreeMap, Listed};
#[cfg(all(unix, not(taskgrove_loom)))]
use super::pages::Directory;
use super::pages::Pages;
use crate::sync::{CachePadded, Mutex, MutexGuard};
use residency::Residency;

/// The number of lists of pages that are partly free.
const BUCKETS: usize = 16;

/// Every depot of an arena, and the pages they share.
pub(super) struct Depots {
    pages: Pages,
    states: [CachePadded<Mutex<State>>; CLASSES],
}

/// What the lock of a depot protects, besides the free maps of its pages. All zero at first, so
/// that an arena that is not used takes no space in the binary.
#[derive(Debug)]
pub(super) struct State {
    /// The first page of each bucket, by number; 0 for an empty one.
    heads: [u32; BUCKETS],
    /// One bit for each bucket that has a page.
    used: u16,
    /// The wholly free page that is kept, by number; 0 if there is none.
    spare: u32,
    /// The number of pages.
    pages: usize,
    residency: Residency,
}

impl State {
    const NEW: State = State {
        heads: [0; BUCKETS],
        used: 0,
        spare: 0,
        pages: 0,
        residency: Residency::NEW,
    };
}

impl Depots {
    #[cfg(not(taskgrove_loom))]
    pub(super) const fn new() -> Depots {
        Depots {
            pages: Pages::new(),
            states: [const { CachePadded::new(Mutex::new(State::NEW)) }; CLASSES],
        }
    }

    #[cfg(taskgrove_loom)]
    pub(super) fn new() -> Depots {
        Depots {
            pages: Pages::new(),
            states: std::array::from_fn(|_| CachePadded::new(Mutex::new(State::NEW))),
        }
    }

    /// The pages of all classes.
    #[inline]
    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Locks the depot of a class.
    pub(super) fn lock(&self, class: Class) -> Depot<'_> {
        Depot {
            class,
            pages: &self.pages,
            state: self.states[class.index()].lock(),
        }
    }

    /// Takes every lock of the arena, in the order of the locks, for a thread that is about to
    /// fork.
    #[cfg(all(unix, not(taskgrove_loom)))]
    pub(super) fn lock_all(&self) -> AllLocks<'_> {
        AllLocks {
            _depots: std::array::from_fn(|class| self.states[class].lock()),
            _directory: self.pages.lock(),
        }
    }
}

/// Every lock of an arena, held.
#[cfg(all(unix, not(taskgrove_loom)))]
pub(super) struct AllLocks<'a> {
    _depots: [MutexGuard<'a, State>; CLASSES],
    _directory: MutexGuard<'a, Option<Box<Directory>>>,
}

/// The depot of one class, with its lock held. This is what gives access to the free maps of the
/// class's pages (rule 9).
pub(super) struct Depot<'a> {
    class: Class,
    pages: &'a Pages,
    state: MutexGuard<'a, State>,
}

impl Depot<'_> {
    /// Moves free slots into `out`, which is not empty, and returns how many: at least one, and at
    /// least half of what was asked for unless memory is out. A page's slots come in ascending
    /// order.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if there is no free slot and no memory for a page.
    pub(super) fn take(&mut self, out: &mut [u32]) -> Result<usize, OutOfMemory> {
        let class = self.class;
        let mut taken = 0;
        while taken < out.len() {
            let number = if self.state.used != 0 {
                self.state.heads[self.state.used.trailing_zeros() as usize]
            } else if taken > 0 && taken >= out.len() / 2 {
                break;
            } else if self.state.spare != 0 {
                self.state.spare
            } else {
                match self.add_page() {
                    Ok(number) => number,
                    Err(_) if taken > 0 => break,
                    Err(error) => return Err(error),
                }
            };
            let map = self.map(number);
            let before = map.resident();
            taken += map.take(class, number, &mut out[taken..]);
            let now = map.resident();
            self.state.residency.change(before, now);
            let retired = self.relist(number);
            debug_assert!(retired.is_none(), "a page is not wholly free after a take");
        }
        Ok(taken)
    }

    /// Takes slots back, and adds the numbers of pages that are no longer needed to `retired`. The
    /// caller retires those after it has released the lock. Returns whether the caller then has to
    /// trim the depot.
    pub(super) fn give(
        &mut self,
        slots: impl Iterator<Item = u32>,
        retired: &mut Vec<u32>,
    ) -> bool {
        // Neighbours in a magazine often share a page, which is then listed anew once for all of
        // them.
        let mut last = None;
        for index in slots {
            let number = index >> SLOT_BITS;
            if let Some(done) = last.replace(number)
                && done != number
            {
                retired.extend(self.relist(done));
            }
            self.map(number).give(index);
            self.state.residency.rise();
        }
        if let Some(done) = last {
            retired.extend(self.relist(done));
        }
        let slots = self.state.pages * self.class.capacity() as usize;
        self.state.residency.begin_trim(self.class, slots)
    }

    fn add_page(&mut self) -> Result<u32, OutOfMemory> {
        // SAFETY: this holds the lock of the class's depot.
        let number = unsafe { self.pages.add(self.class)? };
        self.state.pages += 1;
        Ok(number)
    }

    /// The free map of one of the depot's pages.
    #[inline]
    fn map(&mut self, number: u32) -> &mut FreeMap {
        // SAFETY: rule 9: this holds the lock of the depot, and numbers come from its lists and
        // from live slots of its class, so the page exists and is the depot's. The map is borrowed
        // from `self`.
        unsafe { &mut *self.pages.free_map(number) }
    }

    /// Moves a page to the list that its number of free slots calls for. Returns the page's number
    /// if the page is wholly free and not needed; the depot has forgotten it then.
    fn relist(&mut self, number: u32) -> Option<u32> {
        let class = self.class;
        let map = self.map(number);
        let (from, free) = (map.listed, map.free());
        let to = match from {
            Listed::Trimming => return None,
            _ => list_for(class, free),
        };
        if to == from {
            return None;
        }
        self.unlist(number);
        match to {
            Listed::Partial(bucket) => self.push(number, bucket),
            Listed::Spare if self.state.spare == 0 => self.state.spare = number,
            Listed::Spare => {
                let resident = self.map(number).resident();
                self.state.residency.change(resident, 0);
                self.state.pages -= 1;
                // SAFETY: this holds the depot's lock, every slot of the page is free here, and the
                // page is in no list any more, so its map is not used again.
                unsafe { self.pages.unlink(number) };
                return Some(number);
            }
            Listed::Full | Listed::Trimming => {}
        }
        self.map(number).listed = to;
        None
    }

    /// Puts a page at the head of a bucket.
    fn push(&mut self, number: u32, bucket: u8) {
        let head = std::mem::replace(&mut self.state.heads[bucket as usize], number);
        if head != 0 {
            self.map(head).prev = number;
        }
        let map = self.map(number);
        (map.prev, map.next) = (0, head);
        self.state.used |= 1 << bucket;
    }

    /// Removes a page from the list it is in.
    fn unlist(&mut self, number: u32) {
        let FreeMap {
            listed, prev, next, ..
        } = *self.map(number);
        match listed {
            Listed::Full | Listed::Trimming => {}
            Listed::Spare => self.state.spare = 0,
            Listed::Partial(bucket) => {
                if next != 0 {
                    self.map(next).prev = prev;
                }
                if prev != 0 {
                    self.map(prev).next = next;
                } else {
                    self.state.heads[bucket as usize] = next;
                    if next == 0 {
                        self.state.used &= !(1 << bucket);
                    }
                }
            }
        }
    }
}

/// The list for a page with this many free slots.
fn list_for(class: Class, free: u32) -> Listed {
    let capacity = class.capacity();
    match free {
        0 => Listed::Full,
        _ if free == capacity => Listed::Spare,
        // The capacity's highest bit comes to lie at bucket 8, so every count is below 16.
        _ => Listed::Partial((free >> (capacity.ilog2() - 3)) as u8),
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
