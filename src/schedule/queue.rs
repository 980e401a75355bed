//! The local run queue: a bounded ring with one owner and many stealers.
//!
//! The ring holds addresses and never follows them. `head` and `tail` are positions that only grow
//! (64 bits: they never wrap), and position `p` is in slot `p % CAPACITY`, so the queue holds the
//! positions `head..tail`. Every thread takes at the head, the owner too: the queue is first in, first
//! out.
//!
//! # The owner
//!
//! One thread at a time is the queue's **owner**. Only it calls [`Local::push`], [`Local::pop`] and
//! [`Local::take_half`], and [`Local::steal_into`] with this queue as the destination; any thread
//! calls the rest. The queue may change its owner, if the last call of the first one happens before
//! the first call of the second one. A call that breaks the rule is a logic error: addresses get lost
//! or come out twice. Nothing in this file is undefined behaviour then, but following an address that
//! came out twice would be.
//!
//! # Why each address comes out exactly once
//!
//! Only the owner writes `tail` and the slots; `head` moves only forward, and only by
//! read-modify-writes.
//!
//! 1. *What a taker reads has been written.* The owner writes a slot, then stores `tail` with
//!    Release. A stealer loads `tail` with Acquire before it reads slots below it. This pair also
//!    carries what the addresses point to.
//! 2. *What a taker keeps was not overwritten under it.* A stealer reads the slots of `h..h + n`
//!    after loading `head == h` and before its compare-and-swap of `head` from `h` to `h + n`. The
//!    owner writes position `p` only after it has loaded, with Acquire, a head above
//!    `p - CAPACITY`. So a read of a slot of `h..h + n` could return a later position's value only
//!    if the owner had seen a head above `h`; then `head` has left `h` for ever, the
//!    compare-and-swap fails, and the values are thrown away: they are only numbers. Conversely,
//!    once the swap has succeeded, an owner that sees the new head (its Acquire pairs with the swap's
//!    Release) writes after the stealer's reads. Every change of `head` is a
//!    read-modify-write, so this holds through later changes of it as well (they continue the
//!    release sequence).
//! 3. *No two takers keep the same position.* Each takes by moving `head` from the position it
//!    starts at, and `head` never comes back.
//! 4. *A stealer's `head` is never above its `tail`.* `head` is loaded first. The thread that moved it
//!    there knew a tail at least as large, and moved it with Release.
//! 5. *The rest of a batch* is written above the tail of the thief's own queue, where no thread looks
//!    (by 2., late readers of these slots fail), and is published by the store of that tail after the
//!    swap has succeeded. What a failed round has written there is overwritten later.
//!
//! The owner reads its slots after it has moved `head`, since no other thread could overwrite them.
//!
//! # Looks from outside
//!
//! [`Local::is_empty`] loads `head`, then `tail`: `true` means that the queue was empty at the moment
//! of the second load; `false` may be outdated. These loads are Acquire and no more: a parking
//! protocol has to order its announcement of a sleeper before this look, and a push before the look
//! for sleepers, by accesses of its own ([`idle`](super::idle) does).

use std::ptr::{NonNull, null_mut};

use crate::sync::CachePadded;
use crate::sync::atomic::{AtomicPtr, AtomicU64, AtomicWord, Ordering};

/// How many addresses a queue holds.
#[cfg(not(taskgrove_loom))]
pub(crate) const CAPACITY: usize = 1024;
/// How many addresses a queue holds.
#[cfg(taskgrove_loom)]
pub(crate) const CAPACITY: usize = 4;

/// The most addresses that one steal takes.
pub(crate) const STEAL_MAX: usize = 32;

/// A bounded run queue of addresses; the module's docs say which calls are the owner's.
pub(crate) struct Local<T> {
    /// The position of the oldest address. Any thread moves it, by a compare-and-swap with Release;
    /// the owner loads it with Acquire before it writes a slot (proof, 2), a stealer before the tail
    /// (proof, 4).
    head: CachePadded<AtomicWord>,
    /// The position of the next push. The owner stores it with Release after it has written the slots
    /// below; a stealer loads it with Acquire before it reads them (proof, 1). The owner loads it
    /// Relaxed: it reads its own last store.
    tail: CachePadded<AtomicU64>,
    /// Written by the owner and read by any thread, Relaxed: `tail` publishes a slot, and `head` tells
    /// a reader whether what it has read counts (proof, 1 and 2). Null until first used.
    slots: Box<[AtomicPtr<T>; CAPACITY]>,
}

impl<T> Local<T> {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        const { assert!(CAPACITY.is_power_of_two()) };
        let slots: Vec<_> = (0..CAPACITY).map(|_| AtomicPtr::new(null_mut())).collect();
        let Ok(slots) = slots.into_boxed_slice().try_into() else {
            unreachable!("as many slots were made as the ring has");
        };
        Self {
            head: CachePadded::new(AtomicWord::new(0)),
            tail: CachePadded::new(AtomicU64::new(0)),
            slots,
        }
    }

    /// Adds an address at the end. Owner only.
    ///
    /// # Errors
    ///
    /// Returns the address when the queue is full. The caller then moves a half elsewhere (see
    /// [`take_half`](Self::take_half)); stealers may have made room by then.
    #[inline]
    pub(crate) fn push(&self, item: NonNull<T>) -> Result<(), NonNull<T>> {
        let tail = self.tail.load(Ordering::Relaxed);
        let head = self.head.load(Ordering::Acquire); // proof, 2
        if tail - head >= CAPACITY as u64 {
            return Err(item);
        }
        self.slot(tail).store(item.as_ptr(), Ordering::Relaxed);
        self.tail.store(tail + 1, Ordering::Release); // proof, 1
        Ok(())
    }

    /// Takes the oldest address. Owner only.
    #[inline]
    pub(crate) fn pop(&self) -> Option<NonNull<T>> {
        let (position, _) = self.claim(|len| len.min(1))?;
        self.read(position)
    }

    /// Moves the older half (rounded up) to the end of `out`, oldest first. Owner only.
    pub(crate) fn take_half(&self, out: &mut Vec<NonNull<T>>) {
        out.reserve(self.len().div_ceil(2)); // an upper bound: stealers only take
        if let Some((first, count)) = self.claim(|len| len.div_ceil(2)) {
            out.extend((first..first + count).filter_map(|position| self.read(position)));
        }
    }

    /// Takes up to half (rounded up) of this queue's oldest addresses, at most `limit` and at most
    /// 32. Puts all but the oldest at the end of `dst`, and returns the oldest and how many it took in
    /// all. `None` if the queue was empty at some moment of the call, or `limit` is 0.
    ///
    /// The owner of `dst` calls this on any queue. It takes no more than fits into `dst`.
    pub(crate) fn steal_into(&self, dst: &Local<T>, limit: usize) -> Option<(NonNull<T>, usize)> {
        let dst_tail = dst.tail.load(Ordering::Relaxed);
        let dst_head = dst.head.load(Ordering::Acquire); // proof, 2
        let room = CAPACITY - (dst_tail - dst_head) as usize;
        let limit = limit.min(STEAL_MAX).min(room + 1);

        let mut head = self.head.load(Ordering::Acquire); // proof, 4
        loop {
            let tail = self.tail.load(Ordering::Acquire); // proof, 1
            let len = tail.saturating_sub(head) as usize;
            let count = len.div_ceil(2).min(limit) as u64;
            if count == 0 {
                return None;
            }
            let first = self.read(head);
            for i in 1..count {
                let item = self.slot(head + i).load(Ordering::Relaxed);
                dst.slot(dst_tail + i - 1).store(item, Ordering::Relaxed);
            }
            match self.move_head(head, head + count) {
                Ok(()) => {
                    if count > 1 {
                        dst.tail.store(dst_tail + count - 1, Ordering::Release); // proof, 1 and 5
                    }
                    return first.map(|item| (item, count as usize));
                }
                Err(now) => head = now,
            }
        }
    }

    /// The position of the oldest address: no address below it comes out any more.
    #[inline]
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }

    /// The position of the next push. Owner only.
    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Relaxed)
    }

    /// How many addresses are in the queue: a snapshot, for any thread.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Acquire);
        // Pushes and pops between the two loads can make the difference larger than the ring.
        (tail.saturating_sub(head) as usize).min(CAPACITY)
    }

    /// Whether the queue is empty: a snapshot, for any thread; `true` was true during the call.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves the head past `count(len)` of the `len` addresses there are, for the owner. `count`
    /// returns at least one if there are any. Returns the first position and how many were taken.
    ///
    /// Relaxed loads: the tail is the owner's own, and a head that is outdated fails the swap.
    #[inline]
    fn claim(&self, count: impl Fn(u64) -> u64) -> Option<(u64, u64)> {
        let tail = self.tail.load(Ordering::Relaxed);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let count = count(tail - head);
            if count == 0 {
                return None;
            }
            match self.move_head(head, head + count) {
                Ok(()) => return Some((head, count)),
                Err(now) => head = now,
            }
        }
    }

    /// Moves the head; on failure, returns where it is.
    ///
    /// Release: the taker's reads, and the tail that it knew, come before (proof, 2 and 4). Acquire on
    /// failure: the next round loads a tail that is at least as large as this head.
    #[inline]
    fn move_head(&self, from: u64, to: u64) -> Result<(), u64> {
        self.head
            .compare_exchange_weak(from, to, Ordering::Release, Ordering::Acquire)
            .map(drop)
    }

    #[inline]
    fn slot(&self, position: u64) -> &AtomicPtr<T> {
        &self.slots[position as usize % CAPACITY]
    }

    /// The address at a position that has been pushed, so it is not null.
    #[inline]
    fn read(&self, position: u64) -> Option<NonNull<T>> {
        let item = NonNull::new(self.slot(position).load(Ordering::Relaxed));
        debug_assert!(item.is_some(), "a position below the tail was never pushed");
        item
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// A number as an address, which the queue never follows.
    fn item(n: usize) -> NonNull<u8> {
        NonNull::new(std::ptr::without_provenance_mut(n + 1)).expect("not zero")
    }

    fn number(item: NonNull<u8>) -> usize {
        item.addr().get() - 1
    }

    fn drain(queue: &Local<u8>) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop()).map(number).collect()
    }

    fn filled(numbers: std::ops::Range<usize>) -> Local<u8> {
        let queue = Local::new();
        for n in numbers {
            queue.push(item(n)).expect("there is room");
        }
        queue
    }

    #[test]
    fn first_in_first_out_over_many_rounds() {
        let queue = Local::new();
        assert_eq!(queue.pop(), None);
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..10 * CAPACITY {
            for _ in 0..round % 7 {
                queue.push(item(pushed)).expect("there is room");
                pushed += 1;
            }
            for _ in 0..round % 7 {
                assert_eq!(queue.pop().map(number), Some(popped));
                popped += 1;
            }
        }
        assert!(queue.is_empty());
        assert!(pushed > 20 * CAPACITY, "the ring was gone around");
    }

    #[test]
    fn a_full_queue_gives_the_address_back_and_its_older_half_away() {
        let queue = filled(0..CAPACITY);
        assert_eq!(queue.len(), CAPACITY);
        assert!(!queue.is_empty());
        assert_eq!(queue.push(item(7)), Err(item(7)));

        let mut out = vec![item(9999)];
        queue.take_half(&mut out);
        let half = CAPACITY / 2;
        assert_eq!(out.len(), half + 1);
        assert!(out[1..].iter().map(|&i| number(i)).eq(0..half));

        queue.push(item(CAPACITY)).expect("there is room again");
        assert!(drain(&queue).into_iter().eq(half..=CAPACITY));
        queue.take_half(&mut out);
        assert_eq!(out.len(), half + 1, "an empty queue gives nothing");
    }

    #[test]
    fn a_steal_takes_half_from_the_front_up_to_its_limits() {
        for (len, limit, taken) in [
            (1, 32, 1),
            (2, 32, 1),
            (5, 32, 3),
            (5, 2, 2),
            (5, 1, 1),
            (63, 99, 32),
            (CAPACITY, usize::MAX, STEAL_MAX),
        ] {
            let (victim, thief) = (filled(0..len), filled(5000..5001));
            let (first, count) = victim.steal_into(&thief, limit).expect("not empty");
            assert_eq!((number(first), count), (0, taken), "{len}, {limit}");
            let rest: Vec<_> = std::iter::once(5000).chain(1..taken).collect();
            assert_eq!(drain(&thief), rest, "the rest goes to the end, in order");
            assert!(drain(&victim).into_iter().eq(taken..len));
        }
        assert_eq!(filled(0..0).steal_into(&Local::new(), 32), None);
        assert_eq!(filled(0..9).steal_into(&Local::new(), 0), None);
    }

    #[test]
    fn a_steal_takes_no_more_than_fits() {
        for room in [0, 1, 3] {
            let (victim, thief) = (filled(0..100), filled(0..CAPACITY - room));
            let (first, count) = victim.steal_into(&thief, 32).expect("not empty");
            assert_eq!((number(first), count), (0, room + 1));
            assert_eq!(thief.len(), CAPACITY);
            assert_eq!(victim.len(), 99 - room);
        }
    }

    #[test]
    fn everything_comes_out_exactly_once_from_many_threads() {
        const OWNERS: usize = 4;
        let each = if cfg!(miri) { 600 } else { 200_000 };
        let queues: Vec<Local<u8>> = (0..OWNERS).map(|_| Local::new()).collect();
        let begin = Barrier::new(OWNERS);
        let settled = Barrier::new(OWNERS);
        let (queues, begin, settled) = (&queues, &begin, &settled);

        let work = |me: usize| {
            let mine = &queues[me];
            let (mut got, mut overflow) = (Vec::new(), Vec::new());
            let mut random = me as u64 + 1;
            begin.wait();
            for n in me * each..(me + 1) * each {
                if mine.push(item(n)).is_err() {
                    mine.take_half(&mut overflow);
                    overflow.push(item(n));
                }
                random = random.wrapping_mul(6364136223846793005).wrapping_add(99);
                match random >> 60 {
                    0..=4 => got.extend(mine.pop()),
                    5..=7 => {
                        let victim = (me + 1 + (random >> 40) as usize % (OWNERS - 1)) % OWNERS;
                        let limit = (random >> 33) as usize % 40;
                        if let Some((first, _)) = queues[victim].steal_into(mine, limit) {
                            got.push(first);
                        }
                    }
                    _ => {}
                }
                assert!(mine.len() <= CAPACITY && queues[0].len() <= CAPACITY);
            }
            settled.wait(); // no thread steals after this
            got.extend(std::iter::from_fn(|| mine.pop()));
            got.append(&mut overflow);
            got.into_iter().map(number).collect::<Vec<_>>()
        };

        let mut all: Vec<usize> = thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = (0..OWNERS)
                .map(|me| scope.spawn(move || work(me)))
                .collect();
            let ended = threads.into_iter().map(|t| t.join().expect("no panic"));
            ended.flatten().collect()
        });
        all.sort_unstable();
        assert!(all.into_iter().eq(0..OWNERS * each));
    }
}
