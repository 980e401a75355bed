//! [`Slot`]: a registration's readiness, and the wakers of the code that waits for it.

use super::readiness::{Bits, Direction, Seen, Spent, Word};
use super::wakers::{Taken, Waiter, Wakers};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicWord, Ordering};
use crate::wait_list::KeptWaker;
use std::task::Waker;

/// A registration's readiness, and the wakers of the code that waits for it. Slots are used again, for one
/// registration after another.
// Two sockets are served by two workers, so no two slots share a cache line.
#[repr(align(64))]
pub(super) struct Slot {
    /// A [`Word`]. All changes are read-modify-writes with AcqRel: events, by the thread that got them from
    /// the system; what is presumed, by the thread that registers; clears, by the threads that use the socket; its release, by the thread that drops the
    /// socket; the end, by the thread that ends the runtime. Loads are Acquire. What a thread did before it
    /// released the slot is so seen by the next registration in it. That no event is missed by a wait
    /// is due to the lock, see [`super`](super#the-interleavings-that-would-fail).
    word: AtomicWord,
    waits: Mutex<Waits>,
}

#[derive(Default)]
struct Waits {
    read: Wakers,
    write: Wakers,
}

impl Waits {
    fn of(&mut self, direction: Direction) -> &mut Wakers {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }
}

impl Slot {
    pub(super) fn new() -> Self {
        Slot {
            word: AtomicWord::new(Word::NEW.raw()),
            waits: Mutex::new(Waits::default()),
        }
    }

    #[inline]
    pub(super) fn word(&self) -> Word {
        Word::from_raw(self.word.load(Ordering::Acquire))
    }

    /// Changes the word, unless `to` refuses. Returns whether it did.
    #[inline]
    fn change(&self, to: impl Fn(Word) -> Option<Word>) -> bool {
        let mut now = self.word();
        while let Some(new) = to(now) {
            let changed = self.word.compare_exchange_weak(
                now.raw(),
                new.raw(),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match changed {
                Ok(_) => return true,
                Err(other) => now = Word::from_raw(other),
            }
        }
        false
    }

    /// A new registration takes these bits for granted.
    pub(super) fn presume(&self, bits: Bits) {
        self.change(|word| Some(word.presume(bits)));
    }

    /// An event has come for the registration with this generation. Gives the wakers of the waits that are
    /// over to `wake`.
    pub(super) fn event(&self, generation: u32, bits: Bits, wake: &mut impl FnMut(Waker)) {
        if !self.change(|word| word.event(generation, bits)) {
            return;
        }
        let taken = self.take(|direction| bits.ends(direction));
        taken.into_iter().for_each(|taken| taken.each(wake));
    }

    /// Enters a waker, and then returns the word: the caller must not wait if that is ready by now. Gives
    /// wakers that it replaces to `wake`.
    pub(super) fn enter(
        &self,
        direction: Direction,
        waiter: Waiter,
        waker: &Waker,
        mut wake: impl FnMut(Waker),
    ) -> Word {
        let kept = KeptWaker::new(waker);
        let replaced = self.waits.lock().of(direction).enter(waiter, kept, waker);
        if waiter.most > 1 {
            // They may be other tasks', which then look, and enter themselves again.
            replaced.each_but(waker, &mut wake);
        }
        self.word()
    }

    /// Takes a waiter's wakers out. They are dropped.
    pub(super) fn leave(&self, direction: Direction, number: u64) {
        let theirs = self.waits.lock().of(direction).leave(number);
        drop(theirs);
    }

    /// Clears readiness that was `seen`, unless an event has come since.
    #[inline]
    pub(super) fn clear(&self, seen: Seen, direction: Direction, why: Spent) {
        self.change(|word| word.clear(seen, direction, why));
    }

    /// The runtime has ended. Gives all wakers to `wake`.
    pub(super) fn close(&self, wake: &mut impl FnMut(Waker)) {
        self.change(|word| Some(word.close()));
        let taken = self.take(|_| true);
        taken.into_iter().for_each(|taken| taken.each(wake));
    }

    /// The socket is gone: no event for it counts from now on. The wakers that are left are dropped.
    pub(super) fn release(&self, generations: u32) {
        self.change(|word| Some(word.release(generations)));
        drop(self.take(|_| true));
    }

    /// Takes the wakers out of the directions that `is_over` tells.
    #[inline]
    fn take(&self, is_over: impl Fn(Direction) -> bool) -> [Taken; 2] {
        let mut waits = self.waits.lock();
        [Direction::Read, Direction::Write].map(|direction| match is_over(direction) {
            true => waits.of(direction).take(),
            false => Taken::default(),
        })
    }
}
