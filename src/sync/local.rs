//! Thread-locals: [`thread_local`] for values without a destructor, [`dropped_thread_local`] for
//! the others.

#[cfg(taskgrove_loom)]
pub(crate) use modelled::*;
#[cfg(not(taskgrove_loom))]
pub(crate) use plain::*;

#[cfg(not(taskgrove_loom))]
mod plain {
    #[cfg(not(taskgrove_malloc))]
    pub(crate) use std::thread_local as dropped_thread_local;

    /// Declares thread-locals that can be used for as long as the thread runs code.
    ///
    /// They have no destructor, which is checked at compile time, so they are still there while the
    /// destructors of other thread-locals run. A guard that puts a value into one, and takes it out
    /// again, wraps it in a `ManuallyDrop`. A value that needs its destructor is declared with
    /// `dropped_thread_local`, and reached with `try_with`.
    macro_rules! lasting_locals {
        ($($(#[$attr:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {
            $(const _: () = assert!(!std::mem::needs_drop::<$type>());)*
            std::thread_local! { $($(#[$attr])* static $name: $type = const { $value };)* }
        };
    }
    pub(crate) use lasting_locals as thread_local;
}

#[cfg(taskgrove_loom)]
mod modelled {
    use std::cell::Cell;

    /// loom's thread-locals are not initialised by a `const` block.
    macro_rules! locals {
        ($($(#[$attr:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {
            loom::thread_local! { $($(#[$attr])* static $name: $type = $value;)* }
        };
    }
    pub(crate) use locals as dropped_thread_local;
    pub(crate) use locals as thread_local;

    /// The methods that std's keys of cells have and loom's lack.
    pub(crate) trait CellKey<T> {
        fn get(&'static self) -> T
        where
            T: Copy;
        fn set(&'static self, value: T);
        fn replace(&'static self, value: T) -> T;
    }

    impl<T: 'static> CellKey<T> for loom::thread::LocalKey<Cell<T>> {
        fn get(&'static self) -> T
        where
            T: Copy,
        {
            self.with(Cell::get)
        }

        fn set(&'static self, value: T) {
            self.with(|cell| cell.set(value));
        }

        fn replace(&'static self, value: T) -> T {
            self.with(|cell| cell.replace(value))
        }
    }
}
