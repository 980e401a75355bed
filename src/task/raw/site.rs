//! [`Site`]: where a task was spawned, and how its cancellation was asked for.
//!
//! A task has one pointer for both. It points to the place where the task was spawned, which is a static.
//! A request for the task's cancellation replaces it, once, by a pointer to a [`Site`], which has that place
//! and the [`Origin`] of the request. All of these are places in the program's text, so there are few
//! different sites: each is made once and never freed, and a cancellation allocates nothing.

use crate::error::{How, Origin};
use crate::sync::atomic::{AtomicPtr, Ordering};
use std::collections::HashMap;
use std::panic::Location;
use std::ptr::{from_ref, null_mut};
use std::sync::{Mutex, PoisonError};

type Place = &'static Location<'static>;

/// A place where tasks are spawned, and the origin of requests for their cancellation.
#[derive(Clone, Copy)]
struct Site {
    spawned: Place,
    origin: Origin,
}

/// The number of sites that are found without a lock.
const RECENT: usize = 256;

/// The address in a [`SiteCell`] that is a site's, and no place's, has this bit.
const SITE: usize = 1;

const _: () = assert!(align_of::<Location<'static>>() > SITE && align_of::<Site>() > SITE);

// These are std's atomics and lock, not loom's: a static outlives a model's run, and no thread of a model
// stops while it holds the lock.
/// The latest site with each hash, or null. Written under the lock of [`ALL`] with Release, which pairs with
/// the Acquire loads in [`Site::find`], so that a thread that finds a site sees what is in it.
static LATEST: [std::sync::atomic::AtomicPtr<Site>; RECENT] =
    [const { std::sync::atomic::AtomicPtr::new(null_mut()) }; RECENT];
/// All sites, by the addresses of their two places.
static ALL: Mutex<Option<HashMap<Key, &'static Site>>> = Mutex::new(None);

type Key = (usize, usize, How);

impl Site {
    /// A number below [`RECENT`] that few sites share.
    #[inline]
    fn hash(&self) -> usize {
        let (spawned, place, how) = self.key();
        ((spawned >> 3) ^ (place >> 2) ^ how as usize) % RECENT
    }

    #[inline]
    fn key(&self) -> Key {
        let place = self.origin.location.map_or(0, |at| from_ref(at).addr());
        (from_ref(self.spawned).addr(), place, self.origin.how)
    }

    /// Returns the one site that is equal to this.
    #[inline]
    fn find(self) -> &'static Site {
        let latest = LATEST[self.hash()].load(Ordering::Acquire);
        // SAFETY: what was written there is never freed.
        match unsafe { latest.as_ref() } {
            Some(site) if site.key() == self.key() => site,
            _ => self.make(),
        }
    }

    #[cold]
    fn make(self) -> &'static Site {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        let site = *all
            .entry(self.key())
            .or_insert_with(|| Box::leak(Box::new(self)));
        LATEST[self.hash()].store(from_ref(site).cast_mut(), Ordering::Release);
        site
    }
}

/// A pointer to the place where a task was spawned, or to a site.
pub(super) struct SiteCell(
    /// The address of a place, or that of a site with the bit [`SITE`]. The one change releases the site,
    /// which the loads acquire. What either points to is never freed.
    AtomicPtr<()>,
);

impl SiteCell {
    #[inline]
    pub(super) fn new(spawned: Place) -> SiteCell {
        SiteCell(AtomicPtr::new(from_ref(spawned).cast_mut().cast()))
    }

    /// The site, if there is one.
    #[inline]
    fn site(at: *mut ()) -> Option<&'static Site> {
        let is_site = at.addr() & SITE != 0;
        // SAFETY: an address with the bit is that of a site, which is never freed.
        is_site.then(|| unsafe { &*at.map_addr(|address| address & !SITE).cast::<Site>() })
    }

    /// The place where the task was spawned.
    #[inline]
    pub(super) fn spawned(&self) -> Place {
        let at = self.0.load(Ordering::Acquire);
        match SiteCell::site(at) {
            Some(site) => site.spawned,
            // SAFETY: an address without the bit is that of a static place.
            None => unsafe { &*at.cast::<Location<'static>>() },
        }
    }

    /// The origin of the first request, if it was noted.
    pub(super) fn origin(&self) -> Option<Origin> {
        SiteCell::site(self.0.load(Ordering::Acquire)).map(|site| site.origin)
    }

    /// Notes the origin of a request, unless one was noted before.
    #[inline]
    pub(super) fn note(&self, origin: Origin) {
        let at = self.0.load(Ordering::Acquire);
        if SiteCell::site(at).is_some() {
            return;
        }
        // SAFETY: as in `spawned`.
        let spawned = unsafe { &*at.cast::<Location<'static>>() };
        let site = from_ref(Site { spawned, origin }.find());
        let tagged = site.map_addr(|address| address | SITE).cast_mut().cast();
        let _ = (self.0).compare_exchange(at, tagged, Ordering::Release, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn the_first_origin_stays_and_the_place_is_kept() {
        let spawned = Location::caller();
        let (first, second) = (
            Origin::at(How::Stop, Location::caller()),
            Origin::nowhere(How::Kill),
        );
        let cell = SiteCell::new(spawned);
        assert!(cell.origin().is_none() && std::ptr::eq(cell.spawned(), spawned));
        cell.note(first);
        cell.note(second);
        assert_eq!(cell.origin(), Some(first));
        assert!(std::ptr::eq(cell.spawned(), spawned));
        let other = SiteCell::new(spawned);
        other.note(second);
        assert_eq!(other.origin(), Some(second));
    }

    #[test]
    fn a_site_is_made_once_also_where_many_share_a_hash() {
        let places: Vec<_> = (0..2000)
            .map(|_| -> Place { Box::leak(Box::new(*Location::caller())) })
            .collect();
        let count = || ALL.lock().unwrap().as_ref().map_or(0, HashMap::len);
        let origin = Origin::nowhere(How::Cancel);
        let find = || {
            let sites = places
                .iter()
                .map(|&spawned| Site { spawned, origin }.find());
            sites.map(from_ref).collect::<Vec<_>>()
        };
        find();
        let before = count();
        find();
        assert!(count() < before + 1000, "other tests may add a few");
    }
}
