//! The depot of one class: which slots of its pages are free.
//!
//! A page's free slots are bits in a record that lies apart from the page: taking and giving slots
//! never touches the slots themselves, so memory nobody has used yet is not faulted in, memory used
//! last by another core is not pulled over, and a stray write into a free slot cannot break the
//! allocator.
//!
//! Pages that have free slots hang in lists by how many. Slots are taken from the fullest pages, so
//! that the emptiest ones run dry and come back. One wholly free page is kept, so that a class that
//! goes up and down around the edge of a page does not make one each time; further ones are
//! retired. All of this is safe code; it is called under the class's lock.

#[cfg(all(debug_assertions, not(taskgrove_loom)))]
mod audit;
mod trim;

use slab::Slab;

use super::Class;
use super::page::{OutOfMemory, Pages, SLOT_BITS};
use trim::Trim;

const WORDS: usize = (1 << SLOT_BITS) / 64;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
const BUCKETS: usize = 16;
const NIL: u32 = u32::MAX;

/// Where a page hangs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Nowhere: no slot is free.
    Full,
    /// In the list of the pages with about as many free slots.
    Bucket(u8),
    /// The page that is kept although all of it is free.
    Spare,
    /// Nowhere, while units of it are given up (see [`trim`]).
    Aside,
}

/// What a depot knows of a page.
#[derive(Debug)]
struct Page {
    number: u32,
    free: u32,
    place: Place,
    next: u32,
    prev: u32,
    /// One bit a unit of which no slot was handed out since the page was made or the unit was given
    /// up (see [`trim`]): all are free.
    gone: u32,
    /// How many free slots have a part in those.
    gone_slots: u32,
    /// One bit a slot, set when it is free.
    bits: [u64; WORDS],
}

impl Page {
    /// A page with every slot free, hanging nowhere yet.
    fn new(number: u32, capacity: u32) -> Page {
        let mut bits = [0; WORDS];
        for (word, bits) in bits.iter_mut().enumerate() {
            let rest = capacity.saturating_sub(word as u32 * 64).min(64);
            *bits = u64::MAX.checked_shr(64 - rest).unwrap_or(0);
        }
        Page {
            number,
            free: capacity,
            place: Place::Full,
            next: NIL,
            prev: NIL,
            gone: trim::all_units(),
            gone_slots: capacity,
            bits,
        }
    }

    /// Moves free slots into `out`, lowest first, and says how many.
    fn take(&mut self, out: &mut [u32]) -> usize {
        let want = out.len().min(self.free as usize);
        let mut taken = 0;
        for (word, bits) in self.bits.iter_mut().enumerate() {
            while *bits != 0 && taken < want {
                let slot = word as u32 * 64 + bits.trailing_zeros();
                *bits &= *bits - 1;
                out[taken] = self.number << SLOT_BITS | slot;
                taken += 1;
            }
            if taken == want {
                break;
            }
        }
        self.free -= taken as u32;
        taken
    }

    /// Takes back one slot.
    fn give(&mut self, index: u32) {
        let slot = index & SLOT_MASK;
        let bit = 1 << (slot % 64);
        let word = &mut self.bits[(slot / 64) as usize];
        debug_assert!(*word & bit == 0, "slot {index:#x} was freed twice");
        *word |= bit;
        self.free += 1;
    }
}

/// The free slots of one class.
#[derive(Debug)]
pub(super) struct Depot {
    class: Class,
    pages: Slab<Page>,
    heads: [u32; BUCKETS],
    /// Bit `b` is set while bucket `b` has a page.
    used: u16,
    spare: Option<u32>,
    trim: Trim,
    /// Shifts a count of free slots to its bucket.
    shift: u32,
}

impl Depot {
    pub(super) fn new(class: Class) -> Depot {
        Depot {
            class,
            pages: Slab::new(),
            heads: [NIL; BUCKETS],
            used: 0,
            spare: None,
            trim: Trim::default(),
            // The capacity's highest bit comes to lie at bucket 8, so every count is below 16.
            shift: class.capacity().ilog2() - 3,
        }
    }

    /// Moves free slots into `out` (which is not empty) and says how many: at least one, and at
    /// least half of what was asked for unless memory is out. A page's slots come in ascending
    /// order.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if there is no free slot and no memory for a page.
    pub(super) fn take(&mut self, pages: &Pages, out: &mut [u32]) -> Result<usize, OutOfMemory> {
        let mut taken = 0;
        while taken < out.len() {
            let key = if self.used != 0 {
                self.heads[self.used.trailing_zeros() as usize]
            } else if taken > 0 && taken >= out.len() / 2 {
                break;
            } else if let Some(spare) = self.spare {
                spare
            } else {
                match self.add_page(pages) {
                    Ok(key) => key,
                    Err(_) if taken > 0 => break,
                    Err(error) => return Err(error),
                }
            };
            let page = &mut self.pages[key as usize];
            let before = page.resident();
            let count = page.take(&mut out[taken..]);
            let given = &out[taken..taken + count];
            if let (Some(first), Some(last)) = (given.first(), given.last()) {
                page.come_back(self.class, first & SLOT_MASK, last & SLOT_MASK);
            }
            self.trim.change(before, page.resident());
            taken += count;
            let retired = self.settle(key);
            debug_assert!(retired.is_none(), "a page is not wholly free after a take");
        }
        Ok(taken)
    }

    /// Takes back slots, and adds to `retired` the numbers of pages which the depot has given up.
    /// The caller ends those after it has let go of the lock. Returns whether it then has to
    /// [`trim`] the depot.
    pub(super) fn give(
        &mut self,
        pages: &Pages,
        slots: impl Iterator<Item = u32>,
        retired: &mut Vec<u32>,
    ) -> bool {
        // Neighbours in a magazine often share a page: its place is put right once a run.
        let mut run: Option<(u32, u32)> = None;
        for index in slots {
            let number = index >> SLOT_BITS;
            let key = match run {
                Some((same, key)) if same == number => key,
                _ => {
                    if let Some((_, done)) = run {
                        retired.extend(self.settle(done));
                    }
                    pages.key(number)
                }
            };
            run = Some((number, key));
            self.pages[key as usize].give(index);
            self.trim.rise();
        }
        if let Some((_, done)) = run {
            retired.extend(self.settle(done));
        }
        self.begin_trim()
    }

    fn add_page(&mut self, pages: &Pages) -> Result<u32, OutOfMemory> {
        let vacant = self.pages.vacant_entry();
        let key = vacant.key() as u32; // page numbers are bounded, so are keys
        let number = pages.add(self.class, key)?;
        vacant.insert(Page::new(number, self.class.capacity()));
        Ok(key)
    }

    /// Hangs a page where its count of free slots belongs. Returns its number if it is wholly free
    /// and not needed: it is then gone from here.
    fn settle(&mut self, key: u32) -> Option<u32> {
        let page = &self.pages[key as usize];
        if page.place == Place::Aside {
            return None;
        }
        let place = match page.free {
            0 => Place::Full,
            free if free == self.class.capacity() => Place::Spare,
            free => Place::Bucket((free >> self.shift) as u8),
        };
        if place == page.place {
            return None;
        }
        self.unhang(key);
        match place {
            Place::Full => {}
            Place::Bucket(bucket) => self.push(key, bucket),
            Place::Spare if self.spare.is_none() => self.spare = Some(key),
            Place::Spare => {
                let page = self.pages.remove(key as usize);
                self.trim.change(page.resident(), 0);
                return Some(page.number);
            }
            Place::Aside => unreachable!("no count of free slots puts a page aside"),
        }
        self.pages[key as usize].place = place;
        None
    }

    /// Puts a page at the head of a bucket.
    fn push(&mut self, key: u32, bucket: u8) {
        let head = std::mem::replace(&mut self.heads[bucket as usize], key);
        if head != NIL {
            self.pages[head as usize].prev = key;
        }
        let page = &mut self.pages[key as usize];
        (page.prev, page.next) = (NIL, head);
        self.used |= 1 << bucket;
    }

    /// Takes a page from where it hangs.
    fn unhang(&mut self, key: u32) {
        let Page {
            place, prev, next, ..
        } = self.pages[key as usize];
        match place {
            Place::Full | Place::Aside => {}
            Place::Spare => self.spare = None,
            Place::Bucket(bucket) => {
                if next != NIL {
                    self.pages[next as usize].prev = prev;
                }
                if prev != NIL {
                    self.pages[prev as usize].next = next;
                } else {
                    self.heads[bucket as usize] = next;
                    if next == NIL {
                        self.used &= !(1 << bucket);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
impl Depot {
    /// How many slots of the depot's pages are elsewhere: live or in magazines.
    pub(super) fn slots_out(&self) -> usize {
        let capacity = self.class.capacity();
        let out = |(_, page): (usize, &Page)| (capacity - page.free) as usize;
        self.pages.iter().map(out).sum()
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
