//! [`Counted`]: a shared value in a slot of the arena.

use super::ARENA;
use super::class::MAX_SLOT;
use super::slot::SlotIndex;
use crate::sync::atomic::{AtomicU32, Ordering};
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of, size_of};
use std::ops::Deref;
use std::ptr::NonNull;

/// One count of a shared value, as an `Arc`'s: that of a service's record. Unlike an `Arc` it knows
/// no weak counts, costs no malloc, begins with as many counts as its maker needs, and the last
/// owner, who is nobody's rival, drops it without a read-modify-write.
pub(crate) struct Counted<T>(NonNull<Inner<T>>, PhantomData<T>);

#[repr(C)]
struct Inner<T> {
    count: AtomicU32,
    /// The slot; `None` for a value that fits none, which is boxed.
    index: Option<SlotIndex>,
    value: T,
}

// SAFETY: as an `Arc`: the value is shared, and dropped on the thread of the last count.
unsafe impl<T: Send + Sync> Send for Counted<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Counted<T> {}

impl<T> Counted<T> {
    const FITS: bool = size_of::<Inner<T>>() <= MAX_SLOT && align_of::<Inner<T>>() <= 8;

    /// Shares a value, with `N` counts to begin with.
    #[inline]
    pub(crate) fn several<const N: usize>(value: T) -> [Self; N] {
        const { assert!(N > 0 && N < 1 << 8) };
        let inner = |index| Inner {
            count: AtomicU32::new(N as u32),
            index,
            value,
        };
        let pointer = if Self::FITS {
            let slot = ARENA.alloc(size_of::<Inner<T>>());
            let pointer = slot.ptr.cast::<Inner<T>>();
            // SAFETY: the slot is ours, of that size, and aligned to 8, which is enough.
            unsafe { pointer.write(inner(Some(slot.index))) };
            pointer
        } else {
            NonNull::from(Box::leak(Box::new(inner(None))))
        };
        std::array::from_fn(|_| Counted(pointer, PhantomData))
    }

    #[inline]
    fn inner(&self) -> &Inner<T> {
        // SAFETY: there until the last count goes, and this is one.
        unsafe { self.0.as_ref() }
    }

    /// The value's address, as long as there are counts.
    pub(crate) fn as_ptr(this: &Self) -> *const T {
        // SAFETY: it is there, see above; no reference is made.
        unsafe { &raw const (*this.0.as_ptr()).value }
    }

    /// Keeps the count, as the value's address.
    pub(crate) fn into_raw(this: Self) -> *const T {
        Self::as_ptr(&ManuallyDrop::new(this))
    }

    /// The count that was kept.
    ///
    /// # Safety
    ///
    /// The address is from [`Counted::into_raw`], and comes back once.
    pub(crate) unsafe fn from_raw(value: *const T) -> Self {
        let offset = offset_of!(Inner<T>, value);
        // SAFETY: the address points into an `Inner`, from whose own address it was made.
        let inner = unsafe { value.byte_sub(offset) }.cast_mut().cast();
        // SAFETY: it is not null.
        Counted(unsafe { NonNull::new_unchecked(inner) }, PhantomData)
    }

    #[inline(never)]
    fn free(&mut self) {
        /// Also when the value's drop panics.
        struct FreeSlot(SlotIndex);
        impl Drop for FreeSlot {
            fn drop(&mut self) {
                // SAFETY: the value is gone, or what is left of it after a panic is never used.
                unsafe { ARENA.free(self.0) }
            }
        }
        let pointer = self.0.as_ptr();
        // SAFETY: the last count is gone: it is dropped once, and its slot or box freed once.
        unsafe {
            match (*pointer).index {
                Some(index) => {
                    let _free = FreeSlot(index);
                    std::ptr::drop_in_place(pointer);
                }
                None => drop(Box::from_raw(pointer)),
            }
        }
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        // Relaxed: whoever has a count may make more; the new one is handed on by other means.
        if self.inner().count.fetch_add(1, Ordering::Relaxed) > u32::MAX / 2 {
            std::process::abort();
        }
        Counted(self.0, PhantomData)
    }
}

impl<T> Drop for Counted<T> {
    #[inline]
    fn drop(&mut self) {
        let count = &self.inner().count;
        // Ours is the only one: nobody else can make another, no need to write. Acquire, here and
        // below: with the Release of those who went before.
        if count.load(Ordering::Acquire) == 1 || count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.free();
        }
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner().value
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::Counted;
    use std::sync::Arc;

    /// Whatever its size and the way its counts go, a value is there to the last and dropped once.
    fn dropped_once<const SIZE: usize>() {
        let probe = Arc::new(());
        let [a, b, c] = Counted::several((probe.clone(), [7_u8; SIZE]));
        let d = c.clone();
        drop((a, c));
        let raw = Counted::into_raw(b);
        assert_eq!(Counted::as_ptr(&d), raw);
        drop(d);
        assert_eq!(Arc::strong_count(&probe), 2);
        // SAFETY: from `into_raw` above, once.
        let last = unsafe { Counted::from_raw(raw) };
        assert!((*last).1.iter().all(|byte| *byte == 7));
        drop(last);
        assert_eq!(Arc::strong_count(&probe), 1);
    }

    /// Its memory comes back also when the value's drop panics: it is the next to be given out.
    #[cfg(not(taskgrove_malloc))]
    #[test]
    fn a_slot_is_free_after_a_drop_that_panics() {
        struct Bad([u8; 10]);
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("intended {}", self.0[0]);
            }
        }
        let [bad] = Counted::several(Bad([7; 10]));
        let address = Counted::as_ptr(&bad).addr();
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(bad)));
        assert!(dropped.is_err());
        let [next] = Counted::several([0_u8; 10]);
        assert_eq!(Counted::as_ptr(&next).addr(), address);
    }

    #[test]
    fn a_value_is_dropped_with_its_last_count() {
        dropped_once::<10>();
        dropped_once::<400>();
        dropped_once::<5000>();
    }
}
