//! The parked nodes that workloads about supervision and cancellation are made of: what form they
//! have, what they wait for, and the record of when each was dropped.

use crate::harness::Gate;
use crate::raw_work::yield_once;
use futures::channel::oneshot;
use std::future::pending;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a parked node waits for.
#[derive(Clone, Copy, PartialEq)]
pub enum Park {
    /// Nothing: no waker of it is anywhere.
    Pending,
    /// A message that never comes: its waker is registered in the channel.
    Waker,
}

/// Nodes below a root: at each of `depth` levels, `fan_out` below each.
#[derive(Clone, Copy)]
pub struct Form {
    fan_out: usize,
    depth: usize,
    pub park: Park,
}

/// A node: its number, breadth first (the root is 0), how many levels are below it, and how many
/// children each node has that has any.
#[derive(Clone, Copy)]
pub struct Place {
    index: usize,
    below: u32,
    fan_out: u32,
}

impl Place {
    pub fn is_root(self) -> bool {
        self.index == 0
    }

    /// The numbers of its children.
    fn children(self) -> Range<usize> {
        let count = if self.below == 0 {
            0
        } else {
            self.fan_out as usize
        };
        let first = self.index * self.fan_out as usize + 1;
        first..first + count
    }
}

impl Form {
    pub const fn wide(count: usize, park: Park) -> Form {
        Form {
            fan_out: count,
            depth: 1,
            park,
        }
    }

    pub const fn deep(park: Park) -> Form {
        Form {
            fan_out: 1,
            depth: 1_000,
            park,
        }
    }

    pub const fn tree(park: Park) -> Form {
        Form {
            fan_out: 10,
            depth: 4,
            park,
        }
    }

    /// All nodes are children of the root.
    pub fn is_wide(self) -> bool {
        self.depth == 1
    }

    pub fn fan_out(self) -> usize {
        self.fan_out
    }

    /// How many nodes are below the root.
    pub fn nodes(self) -> usize {
        let levels = 1..=self.depth as u32;
        levels.map(|level| self.fan_out.pow(level)).sum()
    }

    pub fn root(self) -> Place {
        Place {
            index: 0,
            below: self.depth as u32,
            fan_out: self.fan_out as u32,
        }
    }

    pub fn children(self, of: Place) -> impl Iterator<Item = Place> + Send {
        of.children().map(move |index| Place {
            index,
            below: of.below - 1,
            ..of
        })
    }
}

static MADE: Gate = Gate::new();
static DROPPED: Gate = Gate::new();
/// Which nodes of a tree or chain have been dropped, by number.
static GONE: [AtomicBool; 16_384] = [const { AtomicBool::new(false) }; 16_384];
/// A node was dropped before a child of its own.
static OUT_OF_ORDER: AtomicBool = AtomicBool::new(false);

/// Lives as long as the future of a parked node: counted when made and when dropped.
pub struct Live(());

impl Live {
    pub fn new() -> Live {
        MADE.hit();
        Live(())
    }

    /// Starts a workload of `count` nodes.
    pub fn reset(count: usize) {
        MADE.reset(count);
        DROPPED.reset(count);
        OUT_OF_ORDER.store(false, Ordering::SeqCst);
        GONE.iter()
            .for_each(|gone| gone.store(false, Ordering::SeqCst));
    }

    /// All of them have run, to the place where they park.
    pub async fn all_parked() {
        MADE.reached().await;
        assert_eq!(DROPPED.count(), 0);
    }

    pub async fn all_dropped() {
        DROPPED.reached().await;
    }

    pub fn dropped() -> usize {
        DROPPED.count()
    }

    /// Whether every [`Placed`] node was dropped after all its children.
    pub fn leaves_went_first() -> bool {
        !OUT_OF_ORDER.load(Ordering::SeqCst)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        DROPPED.hit();
    }
}

/// The same for a node that sees, when it is dropped, whether its children are gone. Where they went
/// first, their drops happened before, so plain loads see them; and whoever has seen the count of
/// all drops sees what they have found.
pub struct Placed(Place);

impl Placed {
    pub fn new(place: Place) -> Placed {
        MADE.hit();
        Placed(place)
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        let gone = |index| {
            GONE.get(index)
                .is_none_or(|gone: &AtomicBool| gone.load(Ordering::Relaxed))
        };
        if !self.0.children().all(gone) && !OUT_OF_ORDER.load(Ordering::Relaxed) {
            OUT_OF_ORDER.store(true, Ordering::Relaxed);
        }
        if let Some(gone) = GONE.get(self.0.index) {
            gone.store(true, Ordering::Relaxed);
        }
        DROPPED.hit();
    }
}

/// The senders of the messages that never come.
static POST: Mutex<Vec<oneshot::Sender<()>>> = Mutex::new(Vec::new());

/// Drops what waiting nodes left here.
pub fn clear_post() {
    let post = std::mem::take(&mut *POST.lock().expect("post"));
    drop(post);
}

/// Waits for ever.
pub async fn wait(park: Park) {
    match park {
        Park::Pending => pending().await,
        Park::Waker => {
            let (post, mail) = oneshot::channel();
            POST.lock().expect("post").push(post);
            let _ = mail.await;
        }
    }
}

/// Counts itself and parks for ever, on nothing.
pub async fn parked() {
    let _live = Live::new();
    pending::<()>().await;
}

/// Counts itself and parks for ever, on a registered waker.
pub async fn registered() {
    let _live = Live::new();
    wait(Park::Waker).await;
}

/// Now and then, lets those run that were spawned: no queue grows to the size of the workload.
pub async fn breathe(spawned: usize) {
    if spawned.is_multiple_of(64) {
        yield_once().await;
    }
}
