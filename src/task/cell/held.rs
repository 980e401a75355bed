//! [`Held`]: a value that a builder or a service keeps for later, apart from itself.

use super::raw::fits;
use crate::arena::{ARENA, SlotIndex};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::ptr::NonNull;

/// Owns a value at an address of its own, so that moving the owner copies no large value: in a slot
/// of the arena if it fits a task's, else in a box. Made by [`held!`](crate::task::held).
pub(crate) struct Held<T> {
    value: NonNull<T>,
    /// The slot; `None` for a box.
    slot: Option<SlotIndex>,
    owned: PhantomData<T>,
}

// SAFETY: it owns the value as a `Box` does.
unsafe impl<T: Send> Send for Held<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Held<T> {}

impl<T> Held<T> {
    /// Of a value that fits.
    #[inline]
    pub(crate) fn in_slot(value: T) -> Self {
        assert!(fits::<T>(), "the caller boxes what does not fit");
        if size_of::<T>() == 0 {
            return Self::in_box(Box::new(value));
        }
        let slot = ARENA.alloc(size_of::<T>());
        let place = slot.ptr.cast::<T>();
        // SAFETY: the slot is ours, of that size, aligned to 8, which is enough for what fits.
        unsafe { place.write(value) };
        Held {
            value: place,
            slot: Some(slot.index),
            owned: PhantomData,
        }
    }

    /// Of a value that is boxed.
    #[inline]
    pub(crate) fn in_box(value: Box<T>) -> Self {
        Held {
            value: NonNull::from(Box::leak(value)),
            slot: None,
            owned: PhantomData,
        }
    }

    /// The value, for a place of its own.
    #[inline]
    pub(crate) fn take(self) -> T {
        let held = ManuallyDrop::new(self);
        // SAFETY: we own the value, and do not use its place again: the slot is freed once, and the
        // box dropped once.
        unsafe {
            match held.slot {
                Some(index) => {
                    let value = held.value.read();
                    ARENA.free(index);
                    value
                }
                None => *Box::from_raw(held.value.as_ptr()),
            }
        }
    }

    /// The box of a value that does not fit a slot.
    #[inline]
    pub(crate) fn into_box(self) -> Box<T> {
        let held = ManuallyDrop::new(self);
        assert!(held.slot.is_none(), "what fits a slot is not boxed");
        // SAFETY: it came from a box, whose owner this was.
        unsafe { Box::from_raw(held.value.as_ptr()) }
    }

    /// As `into_box`, pinned for ever.
    #[inline]
    pub(crate) fn into_pin(self) -> Pin<Box<T>> {
        Box::into_pin(self.into_box())
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: we own the value, which is there as long as this is.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and nobody else has a reference.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        /// Frees the slot also when the value's drop panics.
        struct Free(SlotIndex);
        impl Drop for Free {
            fn drop(&mut self) {
                // SAFETY: the slot was ours, and the value in it is gone.
                unsafe { ARENA.free(self.0) }
            }
        }
        // SAFETY: we own the value; it is dropped once, and then its place.
        unsafe {
            match self.slot {
                Some(index) => {
                    let _free = Free(index);
                    self.value.drop_in_place();
                }
                None => drop(Box::from_raw(self.value.as_ptr())),
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::{Held, fits};
    use std::sync::Arc;

    fn held<T>(value: T) -> Held<T> {
        if fits::<T>() {
            Held::in_slot(value)
        } else {
            Held::in_box(Box::new(value))
        }
    }

    /// Whatever its size, a value is moved out or dropped, once.
    fn once<const SIZE: usize>() {
        let probe = Arc::new(());
        drop(held((probe.clone(), [7_u8; SIZE])));
        assert_eq!(Arc::strong_count(&probe), 1);
        let (moved, bytes) = held((probe.clone(), [7_u8; SIZE])).take();
        assert!(Arc::ptr_eq(&moved, &probe) && bytes.iter().all(|byte| *byte == 7));
        assert_eq!(Arc::strong_count(&probe), 2);
    }

    #[test]
    fn a_held_value_is_moved_out_or_dropped_once() {
        once::<0>();
        once::<300>();
        once::<5000>();
        held(()).take();
    }

    #[test]
    fn a_large_held_value_stays_where_it_is() {
        let held = held([7_u8; 5000]);
        let address = held.value.as_ptr();
        assert_eq!((&raw const *held.into_box()).cast_mut(), address.cast());
    }
}
