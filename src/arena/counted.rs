//! [`Counted`]: a shared value in a slot of the arena.

use super::slot::SlotIndex;
use super::slot_box::SlotBox;
use crate::sync::atomic::{AtomicU32, Ordering};
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of};
use std::ops::Deref;
use std::ptr::NonNull;

/// A reference-counted pointer, like `Arc`, to a value in a slot: that of a service's record.
///
/// In contrast to `Arc` there are no weak references, the value is created with as many references
/// as its creator needs, and a sole owner skips the atomic decrement.
pub(crate) struct Counted<T>(NonNull<Inner<T>>, PhantomData<T>);

#[repr(C)]
struct Inner<T> {
    /// The number of references. Every owner reads and writes it.
    ///
    /// A decrement is `AcqRel`, and the load before it `Acquire`: the owner that finds itself to be
    /// the last one acquires what the others released with their decrements, and then drops the
    /// value.
    count: AtomicU32,
    /// The slot; `None` for a value that does not fit one and is in a `Box`.
    slot: Option<SlotIndex>,
    value: T,
}

// SAFETY: as for an `Arc`: the value is shared, and dropped on the thread of the last owner.
unsafe impl<T: Send + Sync> Send for Counted<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Counted<T> {}

impl<T> Counted<T> {
    /// Shares the value that `make` returns, with `N` references to begin with. Memory is allocated before
    /// it is made: so it is written there and not copied. A panic of `make` leaks that memory.
    #[inline(always)]
    pub(crate) fn several<const N: usize>(make: impl FnOnce() -> T) -> [Self; N] {
        const { assert!(N > 0 && N < 1 << 8) };
        let inner = SlotBox::made(|| Inner {
            count: AtomicU32::new(N as u32),
            slot: None,
            value: make(),
        });
        let (mut pointer, slot) = inner.into_raw();
        // SAFETY: no other reference to the value exists yet.
        unsafe { pointer.as_mut() }.slot = slot;
        std::array::from_fn(|_| Counted(pointer, PhantomData))
    }

    #[inline]
    fn inner(&self) -> &Inner<T> {
        // SAFETY: the value lives until the last reference is dropped, and this is one.
        unsafe { self.0.as_ref() }
    }

    /// The value's address, which is valid as long as there are references.
    pub(crate) fn as_ptr(this: &Self) -> *const T {
        // SAFETY: the value lives, as above. This makes no reference to it, so that the address may
        // be used for all of `Inner` in `from_raw`.
        unsafe { &raw const (*this.0.as_ptr()).value }
    }

    /// Turns a reference into the value's address. [`Counted::from_raw`] turns it back.
    pub(crate) fn into_raw(this: Self) -> *const T {
        Self::as_ptr(&ManuallyDrop::new(this))
    }

    /// Turns the value's address back into a reference.
    ///
    /// # Safety
    ///
    /// The address is the result of one call of [`Counted::into_raw`], and comes back once.
    pub(crate) unsafe fn from_raw(value: *const T) -> Self {
        let offset = offset_of!(Inner<T>, value);
        // SAFETY: the address points into an `Inner`, and was derived from the pointer to it.
        let inner = unsafe { value.byte_sub(offset) }.cast_mut().cast();
        // SAFETY: the address of a value is not null.
        Counted(unsafe { NonNull::new_unchecked(inner) }, PhantomData)
    }

    #[inline(never)]
    fn free(&mut self) {
        // SAFETY: the last reference is gone, so the value is dropped once. It came from a
        // `SlotBox` with this slot.
        drop(unsafe { SlotBox::from_raw(self.0, self.inner().slot) });
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        // Relaxed: an owner may create further references, and passes them on by other means.
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
        // If this is the only reference, no one else can create another one, and there is nothing
        // to write.
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

    /// Whatever its size and the order of the drops, a value lives until the last reference and is
    /// dropped once.
    fn dropped_once<const SIZE: usize>() {
        let probe = Arc::new(());
        let [a, b, c] = Counted::several(|| (probe.clone(), [7_u8; SIZE]));
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

    /// The slot that is freed last is the next to be handed out.
    #[cfg(not(taskgrove_malloc))]
    #[test]
    fn a_slot_is_free_after_a_drop_that_panics() {
        struct Bad([u8; 10]);
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("intended {}", self.0[0]);
            }
        }
        let [bad] = Counted::several(|| Bad([7; 10]));
        let address = Counted::as_ptr(&bad).addr();
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(bad)));
        assert!(dropped.is_err());
        let [next] = Counted::several(|| [0_u8; 10]);
        assert_eq!(Counted::as_ptr(&next).addr(), address);
    }

    #[test]
    fn a_value_is_dropped_with_its_last_reference() {
        dropped_once::<10>();
        dropped_once::<400>();
        dropped_once::<5000>();
    }
}
