//! The depots and the calling thread's magazines look themselves over; see
//! [`audit`](crate::arena::audit).

use super::{Arena, MAGAZINES};
use crate::arena::Class;
use std::cell::Cell;

impl Arena {
    /// Its live slots, and those in other threads' magazines. `thorough`: looks at each free slot.
    pub(in crate::arena) fn audit(&'static self, thorough: bool) -> usize {
        let audit = |class: Class| {
            let shelf = self.shelves[class.place()].0.lock();
            let Some(depot) = shelf.as_ref() else {
                return 0;
            };
            let in_magazine = MAGAZINES.try_with(|own| {
                let Some(magazine) = own.get(self, class) else {
                    return 0;
                };
                let slots = &magazine.slots[..magazine.len.get()];
                if thorough {
                    let slots: Vec<_> = slots.iter().map(Cell::get).collect();
                    depot.audit_magazine(&self.pages, &slots);
                }
                slots.len()
            });
            depot.audit(&self.pages, thorough) - in_magazine.unwrap_or(0)
        };
        Class::all().map(audit).sum()
    }
}
