//! Moves batches of free slots out of the depots and back, and gives memory back that is no longer
//! needed.

use super::Depots;
use crate::arena::class::Class;

impl Depots {
    /// Moves free slots of a class into `out`, and returns how many: at least one. When memory is
    /// out, the process ends.
    pub(in crate::arena) fn take(&self, class: Class, out: &mut [u32]) -> usize {
        let taken = self.lock(class).take(out);
        taken.unwrap_or_else(|error| error.raise())
    }

    /// Moves free slots of a class into its depot, and gives memory back that is no longer needed.
    pub(in crate::arena) fn give(&self, class: Class, slots: impl Iterator<Item = u32>) {
        let mut retired = Vec::new();
        let trim = self.lock(class).give(slots, &mut retired);
        if !retired.is_empty() {
            self.pages.retire(&retired);
        }
        if trim {
            self.trim(class);
        }
    }

    #[cold]
    fn trim(&self, class: Class) {
        let mut cursor = 0;
        loop {
            let found = self.lock(class).begin_release(&mut cursor);
            if found.is_empty() {
                return;
            }
            for idle in &found {
                // SAFETY: the depot keeps the page and hands out none of its slots until the page
                // is put back below.
                unsafe { self.pages.release(idle.number, idle.units) }
            }
            let mut retired = Vec::new();
            self.lock(class).end_release(found, &mut retired);
            if !retired.is_empty() {
                self.pages.retire(&retired);
            }
        }
    }
}
