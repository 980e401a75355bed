//! [`SlotBox`]: a box whose memory is a slot of the arena, where the value fits one.

use super::ARENA;
use super::class::MAX_SLOT;
use super::slot::SlotIndex;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::ptr::NonNull;

/// Owns a value at an address of its own, so that moving the owner copies no large value: in a slot
/// of the arena or, if the value does not fit one, in a `Box`.
pub(crate) struct SlotBox<T> {
    value: NonNull<T>,
    /// The slot; `None` for a `Box`.
    slot: Option<SlotIndex>,
    owned: PhantomData<T>,
}

// SAFETY: it owns the value as a `Box` does.
unsafe impl<T: Send> Send for SlotBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for SlotBox<T> {}

impl<T> SlotBox<T> {
    /// Whether the value fits a slot.
    pub(crate) const FITS: bool = size_of::<T>() <= MAX_SLOT && align_of::<T>() <= 8;

    /// Moves a value into a slot if it fits one, else into a `Box`.
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        Self::made(|| value)
    }

    /// As [`SlotBox::new`], of the value that `make` returns; a slot is allocated before that is made. A panic of
    /// `make` leaks the slot.
    #[inline(always)]
    pub(super) fn made(make: impl FnOnce() -> T) -> Self {
        if const { Self::FITS } {
            Self::made_in_slot(make)
        } else {
            Self::in_box(Box::new(make()))
        }
    }

    /// Moves a value into a slot.
    ///
    /// # Panics
    ///
    /// If the value does not fit.
    #[inline]
    pub(crate) fn in_slot(value: T) -> Self {
        Self::made_in_slot(|| value)
    }

    #[inline(always)]
    fn made_in_slot(make: impl FnOnce() -> T) -> Self {
        assert!(Self::FITS, "the caller boxes what does not fit");
        if size_of::<T>() == 0 {
            return Self::in_box(Box::new(make()));
        }
        let slot = ARENA.alloc(size_of::<T>());
        let address = slot.ptr.cast::<T>();
        // SAFETY: the slot was allocated just now, has that size, and is aligned to 8, which is
        // enough for a value that fits.
        unsafe { address.write(make()) };
        SlotBox {
            value: address,
            slot: Some(slot.index),
            owned: PhantomData,
        }
    }

    /// Takes over a value that is already in a `Box`.
    #[inline]
    pub(crate) fn in_box(value: Box<T>) -> Self {
        SlotBox {
            value: NonNull::from(Box::leak(value)),
            slot: None,
            owned: PhantomData,
        }
    }

    /// Moves the value out, and frees its memory.
    #[inline]
    pub(crate) fn take(self) -> T {
        let (value, slot) = self.into_raw();
        // SAFETY: this owned the value, and does not use its memory again; the slot is freed once,
        // and the `Box` dropped once.
        unsafe {
            match slot {
                Some(index) => {
                    let value = value.read();
                    ARENA.free(index);
                    value
                }
                None => *Box::from_raw(value.as_ptr()),
            }
        }
    }

    /// The `Box` that the value came in.
    ///
    /// # Panics
    ///
    /// If the value is in a slot.
    #[inline]
    pub(crate) fn into_box(self) -> Box<T> {
        let (value, slot) = self.into_raw();
        assert!(slot.is_none(), "what fits a slot is not boxed");
        // SAFETY: the value came from a `Box`, which this owned.
        unsafe { Box::from_raw(value.as_ptr()) }
    }

    /// As [`SlotBox::into_box`], and pins the `Box`.
    #[inline]
    pub(crate) fn into_pin(self) -> Pin<Box<T>> {
        Box::into_pin(self.into_box())
    }

    /// Gives up the ownership. The pointer is valid until [`SlotBox::from_raw`] takes it back, with
    /// the slot.
    #[inline]
    pub(super) fn into_raw(self) -> (NonNull<T>, Option<SlotIndex>) {
        let this = ManuallyDrop::new(self);
        (this.value, this.slot)
    }

    /// Takes the ownership of a value back.
    ///
    /// # Safety
    ///
    /// The arguments are the result of one call of [`SlotBox::into_raw`], and come back once.
    #[inline]
    pub(super) unsafe fn from_raw(value: NonNull<T>, slot: Option<SlotIndex>) -> Self {
        SlotBox {
            value,
            slot,
            owned: PhantomData,
        }
    }
}

impl<T> Deref for SlotBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this owns the value, which lives as long as this does.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for SlotBox<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `&mut self` is the only reference.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for SlotBox<T> {
    fn drop(&mut self) {
        /// Frees the slot also when the value's drop panics.
        struct FreeSlot(SlotIndex);
        impl Drop for FreeSlot {
            fn drop(&mut self) {
                // SAFETY: this owned the slot. The value in it is dropped, or what a panic left of
                // it is never used.
                unsafe { ARENA.free(self.0) }
            }
        }
        // SAFETY: this owns the value, which is dropped once, and its memory is freed once after
        // that.
        unsafe {
            match self.slot {
                Some(index) => {
                    let _free = FreeSlot(index);
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
    use super::*;
    use std::sync::Arc;

    /// Whatever its size, a value is moved out or dropped, once.
    fn once<const SIZE: usize>() {
        let probe = Arc::new(());
        drop(SlotBox::new((probe.clone(), [7_u8; SIZE])));
        assert_eq!(Arc::strong_count(&probe), 1);
        let (moved, bytes) = SlotBox::new((probe.clone(), [7_u8; SIZE])).take();
        assert!(Arc::ptr_eq(&moved, &probe) && bytes.iter().all(|byte| *byte == 7));
        assert_eq!(Arc::strong_count(&probe), 2);
    }

    #[test]
    fn a_value_is_moved_out_or_dropped_once() {
        once::<0>();
        once::<300>();
        once::<5000>();
        SlotBox::new(()).take();
    }

    #[test]
    fn a_large_value_stays_where_it_is() {
        let large = SlotBox::new([7_u8; 5000]);
        let address = large.value.as_ptr();
        assert_eq!((&raw const *large.into_box()).cast_mut(), address.cast());
    }
}
