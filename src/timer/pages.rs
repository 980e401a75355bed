//! Storage with stable indices that gives memory back: pages of a few values, each in a slot of the
//! arena.
//!
//! One slab for everything could give back only what lies behind its last live entry: one timer set
//! at the height of a peak would keep the peak's memory. Here it keeps its page, and the arena gives
//! the system what is free around it.

use crate::task::cell::{Held, fits};

/// How many values a page holds: 2 to this power.
const PAGE_BITS: u32 = 3;
const PAGE: usize = 1 << PAGE_BITS;
/// No place.
const NIL: u8 = PAGE as u8;

#[derive(Debug)]
enum Place<V> {
    /// With the next vacant one, or `NIL`.
    Vacant(u8),
    Taken(V),
}

/// The values of one page, which has memory while it has any, or is the spare one.
struct Page<V> {
    places: Option<Held<[Place<V>; PAGE]>>,
    vacant: u8,
    len: u8,
}

impl<V> Page<V> {
    const EMPTY: Page<V> = Page {
        places: None,
        vacant: 0,
        len: 0,
    };

    /// Into a page that is not full.
    #[inline]
    fn insert(&mut self, value: V) -> usize {
        let places = self.places.get_or_insert_with(|| {
            let places = std::array::from_fn(|place| Place::Vacant(place as u8 + 1));
            if const { fits::<[Place<V>; PAGE]>() } {
                Held::in_slot(places)
            } else {
                Held::in_box(Box::new(places))
            }
        });
        let place = self.vacant as usize;
        let before = std::mem::replace(&mut places[place], Place::Taken(value));
        let Place::Vacant(next) = before else {
            unreachable!("the place is vacant");
        };
        (self.vacant, self.len) = (next, self.len + 1);
        place
    }

    #[inline]
    fn get(&self, place: usize) -> Option<&V> {
        match self.places.as_ref()?.get(place)? {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    #[inline]
    fn get_mut(&mut self, place: usize) -> Option<&mut V> {
        match self.places.as_mut()?.get_mut(place)? {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    #[inline]
    fn remove(&mut self, place: usize) -> Option<V> {
        let at = self.places.as_mut()?.get_mut(place)?;
        if let Place::Vacant(_) = at {
            return None;
        }
        let before = std::mem::replace(at, Place::Vacant(self.vacant));
        (self.vacant, self.len) = (place as u8, self.len - 1);
        match before {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }
}

/// Values under indices that stay until they are removed.
pub(super) struct Pages<V> {
    pages: Vec<Page<V>>,
    /// The pages that are not full. The last one is filled next.
    roomy: Vec<u32>,
    /// An empty page which still has its memory, so that values that come and go at a page's edge do
    /// not allocate each time.
    spare: Option<u32>,
    len: usize,
}

impl<V> Pages<V> {
    pub(super) fn new() -> Self {
        Self {
            pages: Vec::new(),
            roomy: Vec::new(),
            spare: None,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Stores a value and returns its index.
    ///
    /// # Panics
    ///
    /// When more than 2^32 values are live.
    #[inline]
    pub(super) fn insert(&mut self, value: V) -> u32 {
        let number = match self.roomy.last() {
            Some(&number) => number,
            None => self.add_page(),
        };
        let page = &mut self.pages[number as usize];
        if page.len == 0 {
            self.spare = self.spare.filter(|&spare| spare != number);
        }
        let place = page.insert(value);
        if page.len == NIL {
            self.roomy.pop();
        }
        self.len += 1;
        number << PAGE_BITS | place as u32
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&V> {
        let (number, place) = split(index);
        self.pages.get(number)?.get(place)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut V> {
        let (number, place) = split(index);
        self.pages.get_mut(number)?.get_mut(place)
    }

    /// Takes a value out; its index may be given to another one from now on.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) -> Option<V> {
        let (number, place) = split(index);
        let page = self.pages.get_mut(number)?;
        let value = page.remove(place)?;
        self.len -= 1;
        if page.len == NIL - 1 {
            self.roomy.push(number as u32);
        }
        if page.len == 0 {
            self.emptied(number as u32);
        }
        Some(value)
    }

    #[cold]
    fn add_page(&mut self) -> u32 {
        let number = self.pages.len() as u32;
        assert!(number < 1 << (32 - PAGE_BITS), "too many timers");
        self.pages.push(Page::EMPTY);
        self.roomy.push(number);
        number
    }

    /// Gives back the memory of all empty pages but this one.
    fn emptied(&mut self, number: u32) {
        if self.len == 0 && self.pages.len() > 1 {
            let page = std::mem::replace(&mut self.pages[number as usize], Page::EMPTY);
            self.pages = vec![page];
            self.roomy = vec![0];
            self.spare = Some(0);
        } else if let Some(old) = self.spare.replace(number) {
            self.pages[old as usize] = Page::EMPTY;
        }
    }

    /// For how many values there is memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        let pages = self.pages.iter();
        pages.filter(|page| page.places.is_some()).count() * PAGE
    }
}

impl<V> std::fmt::Debug for Pages<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[inline]
fn split(index: u32) -> (usize, usize) {
    ((index >> PAGE_BITS) as usize, index as usize % PAGE)
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn values_stay_under_their_index() {
        let mut pages = Pages::new();
        let mut live: Vec<(u32, usize)> = Vec::new();
        let mut random = 1_u64;
        for n in 0..20_000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(99);
            if random >> 63 == 0 || n < 3_000 {
                live.push((pages.insert(n), n));
            } else if !live.is_empty() {
                let (index, value) = live.swap_remove((random >> 20) as usize % live.len());
                assert_eq!(pages.remove(index), Some(value));
                assert_eq!(pages.get(index), None);
            }
            assert_eq!(pages.len(), live.len());
        }
        for (index, value) in live {
            assert_eq!(pages.get(index), Some(&value));
            assert_eq!(pages.remove(index), Some(value));
            assert_eq!(pages.remove(index), None);
        }
        assert_eq!(pages.get(u32::MAX), None);
    }

    #[test]
    fn stragglers_keep_their_pages_only() {
        let mut pages = Pages::new();
        let all: Vec<u32> = (0..100 * PAGE).map(|n| pages.insert(n)).collect();
        let (last, rest) = all.split_last().expect("not empty");
        for index in &rest[1..] {
            pages.remove(*index);
        }
        assert_eq!(pages.len(), 2);
        assert!(pages.capacity() <= 3 * PAGE, "two in use and a spare one");
        pages.remove(all[0]);
        pages.remove(*last);
        assert!(pages.capacity() <= PAGE);
        assert_eq!(pages.pages.len(), 1, "the list of pages shrinks as well");

        let again: Vec<u32> = (0..3 * PAGE).map(|n| pages.insert(n)).collect();
        assert_eq!(pages.capacity(), 3 * PAGE, "no page is lost");
        for (n, index) in again.into_iter().enumerate() {
            assert_eq!(pages.remove(index), Some(n));
        }
    }

    #[test]
    fn a_full_page_that_gets_room_is_filled_again() {
        let mut pages = Pages::new();
        let all: Vec<u32> = (0..2 * PAGE).map(|n| pages.insert(n)).collect();
        for index in [all[5], all[PAGE + 5], all[7]] {
            pages.remove(index);
        }
        for n in 0..3 {
            pages.insert(n);
        }
        assert_eq!(pages.capacity(), 2 * PAGE);
    }

    #[test]
    fn coming_and_going_at_an_edge_keeps_the_memory() {
        let mut pages = Pages::new();
        for n in 0..PAGE {
            pages.insert(n);
        }
        for n in 0..10 {
            let index = pages.insert(n);
            assert_eq!(pages.capacity(), 2 * PAGE);
            pages.remove(index);
            assert_eq!(pages.capacity(), 2 * PAGE);
        }
    }
}
