//! Cancellation is leaves first, on random trees: raw and supervised tasks and child services; idle, queued, running, blocked
//! in a poll, shielded, cleaning up, in their grace period.
//!
//! In every round each future is dropped exactly once; a future is dropped after every future and every cleanup below it; what is
//! not below a cancelled task is left alone; cleanups run once, to their end, while the futures above them are there and answer.

mod common;
#[path = "order/node.rs"]
mod node;
#[path = "order/world.rs"]
mod world;

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier, mpsc};

use common::{Rng, poll_once, suspend, watchdog};
use taskgrove::Runtime;
use world::{Form, Held, Mail, World};

const SEEDS: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Root,
    WhileBuilding,
    Subtree,
    Stop,
    DropRuntime,
    Overlapping,
    Twice,
    FromInside,
}

/// What the rounds of a test have met; a test that met nothing proves nothing.
#[derive(Debug, Default)]
struct Met {
    blocked: usize,
    answers: usize,
    outside: usize,
    shields: usize,
    unbuilt: usize,
}

fn rounds(how: How, root: Form) -> Met {
    watchdog(move || {
        let mut met = Met::default();
        for seed in 0..SEEDS {
            Round::new(seed, how, root, &mut met).run();
        }
        met
    })
}

struct Round<'a> {
    what: String,
    how: How,
    rng: Rng,
    rt: Runtime,
    workers: usize,
    world: Arc<World>,
    met: &'a mut Met,
}

impl Round<'_> {
    fn new(seed: u64, how: How, root: Form, met: &mut Met) -> Round<'_> {
        let workers = [2, 1, 3, 0][seed as usize % 4];
        let mut rng = Rng::new(seed << 8 | how as u64);
        let world = Arc::new(World::random(&mut rng, root));
        let rt = Runtime::builder()
            .workers(workers)
            .build()
            .expect("a runtime");
        let what = format!("seed {seed}, {how:?}, {root:?}, {workers} workers");
        Round {
            what,
            how,
            rng,
            rt,
            workers,
            world,
            met,
        }
    }

    fn run(mut self) {
        let world = self.world.clone();
        world.plant(&self.rt);
        if self.how == How::WhileBuilding {
            let enough = self.rng.below(world.nodes.len() + 1);
            self.rt.block_on(async {
                while world.started() < enough {
                    suspend().await;
                }
            });
            self.met.unbuilt += usize::from(world.started() < world.nodes.len());
        } else {
            self.rt.block_on(world.built.wait());
        }
        if self.how == How::DropRuntime {
            return self.drop_runtime();
        }
        let top = match self.how {
            How::Subtree | How::Overlapping | How::FromInside | How::Twice => {
                self.rng.below(world.nodes.len())
            }
            _ => 0,
        };
        world.target(top);
        let blocked = self.block();
        match self.how {
            How::Overlapping => self.cancel_overlapping(top, &blocked),
            How::FromInside => self.cancel_from_inside(top, &blocked),
            How::Stop => self.stop(&blocked),
            _ => {
                world.cancel(top);
                if self.how == How::Twice {
                    world.cancel(top);
                }
                self.release(&blocked);
                if self.how == How::Twice {
                    world.cancel(top);
                }
            }
        }
        self.rt.block_on(world.wait_done(top));
        world.check_cancelled();
        self.check_root(top);
        world.killed.store(true, SeqCst);
        drop(self.rt);
        world.check_gone(&self.what);

        let targeted = |n: &&world::Node| n.targeted.load(SeqCst);
        let inside = world.nodes.iter().filter(targeted);
        self.met.shields += inside
            .filter(|n| n.scopes[world::SHIELD].ended.load(SeqCst) != 0)
            .count();
        self.met.outside += world.nodes.iter().filter(|n| !targeted(n)).count();
        self.met.answers += world.answers.load(SeqCst);
        self.met.blocked += blocked.len();
    }

    /// Has some tasks stay in their polls, at most one on each worker.
    fn block(&mut self) -> Vec<usize> {
        let mut blocked = Vec::new();
        if self.how != How::WhileBuilding {
            for _ in 0..self.rng.below(self.workers + 1) {
                let one = self.world.pick(&mut self.rng, 0).expect("the root stays");
                if !blocked.contains(&one) {
                    self.world.tell(one, Mail::Block);
                    blocked.push(one);
                }
            }
        }
        self.world.gate.wait_for(blocked.len());
        blocked
    }

    /// Cancellation has been asked for: what is blocked in a poll, and all above it, is still there. Lets it go.
    fn release(&self, blocked: &[usize]) {
        let world = &self.world;
        for &i in blocked {
            world.check_above(i, "was blocked in a poll");
            if world.nodes[i].drop_begun.load(SeqCst) != 0 {
                world.wrong(format!("{i} was dropped during its poll"));
            }
        }
        world.go.set();
        world.gate.open();
    }

    fn cancel_overlapping(&mut self, top: usize, blocked: &[usize]) {
        let world = &self.world;
        let inner = world.pick(&mut self.rng, top).unwrap_or(top);
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            let threads = [top, inner].map(|target| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    world.cancel(target);
                })
            });
            // The end of the scope waits for them, too, but not in a way that the thread sanitizer sees.
            for thread in threads {
                thread.join().unwrap();
            }
        });
        self.release(blocked);
    }

    fn cancel_from_inside(&mut self, top: usize, blocked: &[usize]) {
        match self.world.pick(&mut self.rng, top) {
            Some(inner) => {
                self.world.tell(inner, Mail::Cancel(top));
                // It may itself be blocked, or wait for a blocked worker.
                self.world.gate.open();
                self.rt.block_on(self.world.go.wait());
            }
            None => {
                self.world.cancel(top);
                self.release(blocked);
            }
        }
    }

    fn stop(&self, blocked: &[usize]) {
        let Some(Held::Service(manager)) = self.world.nodes[0].held.get() else {
            panic!("the root is a service");
        };
        self.rt.block_on(async {
            let mut stop = pin!(manager.stop());
            let early = poll_once(&mut stop).await;
            self.release(blocked);
            match early {
                Some(stopped) => stopped,
                None => stop.await,
            }
            .expect("a started service stops");
        });
    }

    /// A root service that was stopped by hand has no failures, and everything it counted has finished.
    fn check_root(&self, top: usize) {
        let Some(Held::Service(manager)) = self.world.nodes[0].held.get() else {
            return;
        };
        let result = manager.result();
        let stats = manager.stats().tasks;
        if top != 0 {
            if result.is_some() || !manager.is_running() {
                self.world.wrong(format!("the root ended: {result:?}"));
            }
        } else if !matches!(result, Some(Ok(()))) || stats.pending_count() != 0 {
            self.world
                .wrong(format!("not clean: {result:?}, {stats:?}"));
        }
    }

    fn drop_runtime(mut self) {
        let blocked = self.block();
        self.world.killed.store(true, SeqCst);
        let rt = self.rt;
        let (tx, rx) = mpsc::channel();
        let dropping = std::thread::spawn(move || {
            tx.send(()).expect("the test waits");
            drop(rt);
        });
        rx.recv().expect("the thread has started");
        for &i in &blocked {
            self.world.check_above(i, "was blocked in a poll");
        }
        self.world.gate.open();
        dropping.join().expect("the drop does not panic");
        self.world.check_gone(&self.what);
        self.met.blocked += blocked.len();
    }
}

#[test]
fn cancelling_a_raw_root_is_leaves_first() {
    let met = rounds(How::Root, Form::Raw);
    assert!(
        met.blocked > 0 && met.answers > 0 && met.shields > 0,
        "{met:?}"
    );
}

#[test]
fn cancelling_a_root_service_is_leaves_first() {
    let met = rounds(How::Root, Form::Service);
    assert!(
        met.blocked > 0 && met.answers > 0 && met.shields > 0,
        "{met:?}"
    );
}

#[test]
fn cancelling_while_the_tree_grows_loses_no_child() {
    // Without workers, `block_on` is sure to return in the middle of the building.
    let raw = rounds(How::WhileBuilding, Form::Raw);
    let service = rounds(How::WhileBuilding, Form::Service);
    assert!(raw.unbuilt + service.unbuilt > 0, "{raw:?}, {service:?}");
}

#[test]
fn cancelling_a_subtree_leaves_the_rest_alone() {
    for root in [Form::Raw, Form::Service] {
        let met = rounds(How::Subtree, root);
        assert!(met.outside > 0 && met.answers > 0, "{met:?}");
    }
}

#[test]
fn stopping_a_service_is_leaves_first_and_clean() {
    let met = rounds(How::Stop, Form::Service);
    assert!(
        met.blocked > 0 && met.answers > 0 && met.shields > 0,
        "{met:?}"
    );
}

#[test]
fn dropping_the_runtime_is_leaves_first() {
    for root in [Form::Raw, Form::Service] {
        let met = rounds(How::DropRuntime, root);
        assert!(met.blocked > 0, "{met:?}");
    }
}

#[test]
fn overlapping_cancellations_are_leaves_first() {
    for root in [Form::Raw, Form::Service] {
        let met = rounds(How::Overlapping, root);
        assert!(met.blocked > 0 && met.outside > 0, "{met:?}");
    }
}

#[test]
fn cancelling_again_changes_nothing() {
    for root in [Form::Raw, Form::Service] {
        let met = rounds(How::Twice, root);
        assert!(met.blocked > 0 && met.outside > 0, "{met:?}");
    }
}

#[test]
fn a_descendant_can_cancel_what_is_above_it() {
    for root in [Form::Raw, Form::Service] {
        let met = rounds(How::FromInside, root);
        assert!(met.blocked > 0 && met.outside > 0, "{met:?}");
    }
}
