//! The arena of pages: magazines, depot, page directory. (In the other models each slot is an allocation of
//! its own.)
#![cfg(taskgrove_loom)]

use loom::thread;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use taskgrove::model::{LiveSlot, Slots};
use taskgrove_loom_tests::*;

/// Tracks which slots are live. loom does not see the map, but it sees the touches, and so checks that
/// the use of a slot by one owner is ordered with that by the next.
#[derive(Clone)]
struct Owners {
    slots: Slots,
    live: Arc<Mutex<HashMap<u32, (bool, Exclusive)>>>,
}

impl Owners {
    fn new() -> Owners {
        Owners {
            slots: Slots::new(),
            live: Arc::default(),
        }
    }

    /// Allocates a slot; also returns whether it was handed out before.
    fn alloc(&self) -> (LiveSlot, bool) {
        let held = self.slots.alloc();
        let mut live = self.live.lock().unwrap();
        let known = live.contains_key(&held.number());
        let (is_live, contents) = live
            .entry(held.number())
            .or_insert_with(|| (false, Exclusive::new()));
        assert!(!*is_live, "slot {} was handed out twice", held.number());
        *is_live = true;
        contents.touch();
        (held, known)
    }

    fn free(&self, held: LiveSlot) {
        {
            let mut live = self.live.lock().unwrap();
            let (is_live, contents) = live.get_mut(&held.number()).expect("it was allocated");
            contents.touch();
            *is_live = false;
        }
        self.slots.free(held);
    }

    /// Checks, when every slot is free and every magazine flushed, that at most one page is left.
    fn end(self) {
        self.slots.flush();
        assert!(
            self.slots.pages() <= 1,
            "{} pages are left",
            self.slots.pages()
        );
        self.slots.end();
    }
}

/// Two threads allocate and free, each through its own magazines, which go back to the depot when the
/// thread ends.
#[test]
fn two_threads_share_no_slot() {
    explore(&["fresh slots", "the other's slot"], |seen| {
        let owners = Owners::new();
        let other = thread::spawn({
            let owners = owners.clone();
            move || {
                let (held, known) = owners.alloc();
                owners.free(held);
                owners.slots.flush();
                known
            }
        });
        let (first, known) = owners.alloc();
        owners.free(first);
        owners.slots.flush();
        let others = other.join().unwrap() || known;
        seen.saw(if others {
            "the other's slot"
        } else {
            "fresh slots"
        });
        owners.end();
    });
}

/// One thread frees the slots that another allocated, more than a magazine holds, while the other goes
/// on allocating.
#[test]
fn a_slot_that_another_thread_freed_is_used_again_once() {
    explore(&["fresh", "used again"], |seen| {
        let owners = Owners::new();
        let held: Vec<_> = (0..5).map(|_| owners.alloc().0).collect();
        let other = thread::spawn({
            let owners = owners.clone();
            move || {
                for held in held {
                    owners.free(held);
                }
                owners.slots.flush();
            }
        });
        let more: Vec<_> = (0..3).map(|_| owners.alloc()).collect();
        let again = more.iter().any(|(_, known)| *known);
        seen.saw(if again { "used again" } else { "fresh" });
        for (held, _) in more {
            owners.free(held);
        }
        other.join().unwrap();
        owners.end();
    });
}

/// A page is given back while another thread needs one. Numbers, blocks and depot records change
/// owners, and a live slot is always found under its index.
#[test]
fn a_slot_is_found_while_pages_come_and_go() {
    explore(&["one page", "two pages"], |seen| {
        let owners = Owners::new();
        let held: Vec<_> = (0..Slots::PAGE + 1).map(|_| owners.alloc().0).collect();
        assert_eq!(owners.slots.pages(), 2);
        let other = thread::spawn({
            let owners = owners.clone();
            move || {
                let held: Vec<_> = (0..2).map(|_| owners.alloc().0).collect();
                for held in held {
                    owners.free(held);
                }
                owners.slots.flush();
            }
        });
        for held in held {
            owners.free(held);
        }
        owners.slots.flush();
        seen.saw(match owners.slots.pages() {
            1 => "one page",
            2 => "two pages",
            more => panic!("{more} pages"),
        });
        other.join().unwrap();
        owners.end();
    });
}

/// The owner frees all slots of a page but one, which another thread frees late. The thread that frees
/// the last slot gives the page back, once.
#[test]
fn a_page_goes_back_after_its_last_slot() {
    explore(&["it was the last", "it was not the last"], |seen| {
        let owners = Owners::new();
        let mut held: Vec<_> = (0..Slots::PAGE + 1).map(|_| owners.alloc().0).collect();
        assert_eq!(owners.slots.pages(), 2);
        let late = held.swap_remove(0);
        let other = thread::spawn({
            let owners = owners.clone();
            move || {
                owners.free(late);
                owners.slots.flush();
                owners.slots.pages()
            }
        });
        for held in held {
            owners.free(held);
        }
        owners.slots.flush();
        seen.saw(match other.join().unwrap() {
            1 => "it was the last",
            2 => "it was not the last",
            more => panic!("{more} pages"),
        });
        owners.end();
    });
}
