//! [`Store`]: values under stable indices, in groups of eight that give their memory back.
//!
//! A vector of values could give back only the memory behind its last live value: one timer that
//! was set at the height of a peak would keep the memory of the peak. Here such a timer keeps the
//! slot of its group, and the arena releases the memory around that slot.

use crate::arena::slot_box::SlotBox;

/// The number of values in a group: 2 to the power of this.
const GROUP_BITS: u32 = 3;
const GROUP: usize = 1 << GROUP_BITS;
/// The end of a list of vacant spots.
const NIL: u8 = GROUP as u8;

#[derive(Debug)]
enum Spot<V> {
    /// Holds no value, but the position of the next vacant spot of the group, or [`NIL`].
    Vacant(u8),
    Taken(V),
}

/// Eight spots for values. The group has memory while it has values, or while it is the spare one.
struct Group<V> {
    spots: Option<SlotBox<[Spot<V>; GROUP]>>,
    /// The first vacant spot.
    vacant: u8,
    len: u8,
}

impl<V> Group<V> {
    const EMPTY: Group<V> = Group {
        spots: None,
        vacant: 0,
        len: 0,
    };

    /// Stores a value, and returns its position. The group is not full.
    #[inline]
    fn insert(&mut self, value: V) -> usize {
        let spots = self.spots.get_or_insert_with(|| {
            SlotBox::new(std::array::from_fn(|spot| Spot::Vacant(spot as u8 + 1)))
        });
        let at = self.vacant as usize;
        let before = std::mem::replace(&mut spots[at], Spot::Taken(value));
        let Spot::Vacant(next) = before else {
            unreachable!("the spot is vacant");
        };
        (self.vacant, self.len) = (next, self.len + 1);
        at
    }

    #[inline]
    fn get(&self, at: usize) -> Option<&V> {
        match self.spots.as_ref()?.get(at)? {
            Spot::Taken(value) => Some(value),
            Spot::Vacant(_) => None,
        }
    }

    #[inline]
    fn get_mut(&mut self, at: usize) -> Option<&mut V> {
        match self.spots.as_mut()?.get_mut(at)? {
            Spot::Taken(value) => Some(value),
            Spot::Vacant(_) => None,
        }
    }

    #[inline]
    fn remove(&mut self, at: usize) -> Option<V> {
        let spot = self.spots.as_mut()?.get_mut(at)?;
        if let Spot::Vacant(_) = spot {
            return None;
        }
        let before = std::mem::replace(spot, Spot::Vacant(self.vacant));
        (self.vacant, self.len) = (at as u8, self.len - 1);
        match before {
            Spot::Taken(value) => Some(value),
            Spot::Vacant(_) => None,
        }
    }
}

/// Values under indices that are stable until the value is removed.
pub(super) struct Store<V> {
    groups: Vec<Group<V>>,
    /// The groups that are not full. The last one is filled next.
    roomy: Vec<u32>,
    /// An empty group that keeps its memory, so that values that come and go at a group's edge do
    /// not allocate each time.
    spare: Option<u32>,
    len: usize,
}

impl<V> Store<V> {
    pub(super) fn new() -> Self {
        Self {
            groups: Vec::new(),
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
            None => self.add_group(),
        };
        let group = &mut self.groups[number as usize];
        if group.len == 0 {
            self.spare = self.spare.filter(|&spare| spare != number);
        }
        let at = group.insert(value);
        if group.len == NIL {
            self.roomy.pop();
        }
        self.len += 1;
        number << GROUP_BITS | at as u32
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&V> {
        let (number, at) = split(index);
        self.groups.get(number)?.get(at)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut V> {
        let (number, at) = split(index);
        self.groups.get_mut(number)?.get_mut(at)
    }

    /// Takes a value out. Its index may be handed out again from now on.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) -> Option<V> {
        let (number, at) = split(index);
        let group = self.groups.get_mut(number)?;
        let value = group.remove(at)?;
        self.len -= 1;
        if group.len == NIL - 1 {
            self.roomy.push(number as u32);
        }
        if group.len == 0 {
            self.emptied(number as u32);
        }
        Some(value)
    }

    #[cold]
    fn add_group(&mut self) -> u32 {
        let number = self.groups.len() as u32;
        assert!(number < 1 << (32 - GROUP_BITS), "too many timers");
        self.groups.push(Group::EMPTY);
        self.roomy.push(number);
        number
    }

    /// Gives back the memory of all empty groups but this one, which has just become empty.
    fn emptied(&mut self, number: u32) {
        if self.len == 0 && self.groups.len() > 1 {
            let group = std::mem::replace(&mut self.groups[number as usize], Group::EMPTY);
            self.groups = vec![group];
            self.roomy = vec![0];
            self.spare = Some(0);
        } else if let Some(old) = self.spare.replace(number) {
            self.groups[old as usize] = Group::EMPTY;
        }
    }

    /// The number of values for which there is memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        let groups = self.groups.iter();
        groups.filter(|group| group.spots.is_some()).count() * GROUP
    }
}

impl<V> std::fmt::Debug for Store<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The group of an index, and the position in it.
#[inline]
fn split(index: u32) -> (usize, usize) {
    ((index >> GROUP_BITS) as usize, index as usize % GROUP)
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn values_stay_under_their_index() {
        let mut store = Store::new();
        let mut live: Vec<(u32, usize)> = Vec::new();
        let mut random = 1_u64;
        for n in 0..20_000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(99);
            if random >> 63 == 0 || n < 3_000 {
                live.push((store.insert(n), n));
            } else if !live.is_empty() {
                let (index, value) = live.swap_remove((random >> 20) as usize % live.len());
                assert_eq!(store.remove(index), Some(value));
                assert_eq!(store.get(index), None);
            }
            assert_eq!(store.len(), live.len());
        }
        for (index, value) in live {
            assert_eq!(store.get(index), Some(&value));
            assert_eq!(store.remove(index), Some(value));
            assert_eq!(store.remove(index), None);
        }
        assert_eq!(store.get(u32::MAX), None);
    }

    #[test]
    fn stragglers_keep_their_groups_only() {
        let mut store = Store::new();
        let all: Vec<u32> = (0..100 * GROUP).map(|n| store.insert(n)).collect();
        let (last, rest) = all.split_last().expect("not empty");
        for index in &rest[1..] {
            store.remove(*index);
        }
        assert_eq!(store.len(), 2);
        assert!(store.capacity() <= 3 * GROUP, "two in use and a spare one");
        store.remove(all[0]);
        store.remove(*last);
        assert!(store.capacity() <= GROUP);
        assert_eq!(store.groups.len(), 1, "the list of groups shrinks as well");

        let again: Vec<u32> = (0..3 * GROUP).map(|n| store.insert(n)).collect();
        assert_eq!(store.capacity(), 3 * GROUP, "no group is lost");
        for (n, index) in again.into_iter().enumerate() {
            assert_eq!(store.remove(index), Some(n));
        }
    }

    #[test]
    fn a_full_group_that_gets_room_is_filled_again() {
        let mut store = Store::new();
        let all: Vec<u32> = (0..2 * GROUP).map(|n| store.insert(n)).collect();
        for index in [all[5], all[GROUP + 5], all[7]] {
            store.remove(index);
        }
        for n in 0..3 {
            store.insert(n);
        }
        assert_eq!(store.capacity(), 2 * GROUP);
    }

    #[test]
    fn coming_and_going_at_an_edge_keeps_the_memory() {
        let mut store = Store::new();
        for n in 0..GROUP {
            store.insert(n);
        }
        for n in 0..10 {
            let index = store.insert(n);
            assert_eq!(store.capacity(), 2 * GROUP);
            store.remove(index);
            assert_eq!(store.capacity(), 2 * GROUP);
        }
    }
}
