//! Destructors that block: each waits for something that only another thread can do. A destructor holds
//! up the tasks above its own, and nothing else.

use crate::common::{Event, OnDrop, watchdog};
use std::future::pending;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;
use taskgrove::{Context, Runtime, Task, service_fn, spawn};

const WORKERS: usize = 4;

/// An event that threads wait for.
#[derive(Clone, Default)]
pub(crate) struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no panic") = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let mut open = self.0.0.lock().expect("no panic");
        while !*open {
            open = self.0.1.wait(open).expect("no panic");
        }
    }
}

pub(crate) fn build(workers: usize) -> Runtime {
    let builder = Runtime::builder().workers(workers);
    builder.build().expect("a runtime")
}

/// How a tree is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Cancel,
    Drop,
    Grace,
}

const ENDS: [End; 3] = [End::Cancel, End::Drop, End::Grace];

/// Ends a service under which `children` has spawned tasks, all of which have suspended: `children`
/// gives the events that say so.
fn end(how: End, children: impl FnOnce(&Context) -> Vec<Event> + Send + 'static) {
    let runtime = build(WORKERS);
    let ready = Event::new();
    let set = ready.clone();
    let run = async move |ctx: Context| {
        for event in children(&ctx) {
            event.wait().await;
        }
        set.set();
        pending::<taskgrove::Result>().await
    };
    let service = taskgrove::Manager::builder(service_fn("service", run)).max_children(100_000);
    let service = match how {
        End::Grace => service.grace(Duration::from_millis(1)),
        _ => service,
    };
    let manager = service.build().expect("a manager");
    let main = {
        let manager = manager.clone();
        runtime.spawn(async move { manager.run().await })
    };
    runtime.block_on(ready.wait());
    match how {
        End::Drop => drop(runtime),
        _ => {
            runtime.block_on(manager.stop()).expect("started");
            runtime.block_on(main).expect("ended").expect("clean");
        }
    }
}

/// A task that has suspended when the event is set, and then runs `f` in its destructor.
fn sleeper(f: impl FnOnce() + Send + 'static) -> (Event, impl Future<Output = ()> + Send) {
    let there = Event::new();
    let set = there.clone();
    let guard = OnDrop::new(f);
    let task = async move {
        let _guard = guard;
        set.set();
        pending::<()>().await;
    };
    (there, task)
}

/// As many siblings as there are workers; none of their destructors returns before all have begun.
#[test]
fn siblings_are_dropped_side_by_side() {
    for how in ENDS {
        watchdog(move || {
            end(how, |ctx| {
                let all = Arc::new(Barrier::new(WORKERS));
                let child = |_| {
                    let all = all.clone();
                    let (there, task) = sleeper(move || {
                        all.wait();
                    });
                    drop(
                        ctx.run_task(async move {
                            task.await;
                            Ok(())
                        })
                        .expect("room"),
                    );
                    there
                };
                (0..WORKERS).map(child).collect()
            });
        });
    }
}

/// One sibling's destructor waits for that of any other, in whatever order they are swept.
#[test]
fn a_destructor_waits_for_any_siblings() {
    const SIBLINGS: usize = 5;
    for how in ENDS {
        for (waits, opens) in (0..SIBLINGS).flat_map(|a| (0..SIBLINGS).map(move |b| (a, b))) {
            if waits == opens {
                continue;
            }
            watchdog(move || {
                end(how, move |ctx| {
                    let latch = Latch::default();
                    let child = |at| {
                        let latch = latch.clone();
                        let (there, task) = sleeper(move || {
                            if at == waits {
                                latch.wait();
                            } else if at == opens {
                                latch.open();
                            }
                        });
                        drop(
                            ctx.run_task(async move {
                                task.await;
                                Ok(())
                            })
                            .expect("room"),
                        );
                        there
                    };
                    (0..SIBLINGS).map(child).collect()
                });
            });
        }
    }
}

/// A destructor deep in one branch waits for one that is nearer to the root in another, and the other way
/// round; and for one as deep in the next.
#[test]
fn a_destructor_waits_for_one_in_another_branch() {
    const DEPTH: usize = 4;
    fn chain(
        at: usize,
        down: usize,
        latch: Latch,
        waits: usize,
        opens: usize,
        all: Arc<Mutex<Vec<Event>>>,
    ) -> Task<()> {
        let (there, task) = sleeper({
            let latch = latch.clone();
            move || {
                let me = at * DEPTH + down;
                if me == waits {
                    latch.wait();
                } else if me == opens {
                    latch.open();
                }
            }
        });
        all.lock().expect("no panic").push(there);
        spawn(async move {
            if down + 1 < DEPTH {
                drop(chain(at, down + 1, latch, waits, opens, all));
            }
            task.await;
        })
    }
    for how in [End::Cancel, End::Drop] {
        for (waits, opens) in (0..DEPTH).flat_map(|a| (0..DEPTH).map(move |b| (a, DEPTH + b))) {
            watchdog(move || {
                let runtime = build(2);
                let latch = Latch::default();
                let all = Arc::new(Mutex::new(Vec::new()));
                let root = {
                    let (latch, all) = (latch.clone(), all.clone());
                    runtime.spawn(async move {
                        for at in 0..2 {
                            drop(chain(at, 0, latch.clone(), waits, opens, all.clone()));
                        }
                        pending::<()>().await;
                    })
                };
                runtime.block_on(async {
                    while all.lock().expect("no panic").len() < 2 * DEPTH {
                        taskgrove::yield_now().await;
                    }
                    let all = std::mem::take(&mut *all.lock().expect("no panic"));
                    for event in all {
                        event.wait().await;
                    }
                });
                match how {
                    End::Drop => drop(runtime),
                    _ => {
                        root.cancel();
                        assert!(
                            runtime
                                .block_on(root)
                                .expect_err("cancelled")
                                .is_cancelled()
                        );
                    }
                }
            });
        }
    }
}

/// One destructor blocks until everything is gone that is not above it: 3,000 siblings, and the subtrees
/// below some of them. The parent is dropped after that.
#[test]
fn a_blocked_destructor_holds_up_only_what_is_above_it() {
    const CHILDREN: usize = 3_000;
    for blocks in [0, 1, CHILDREN / 2, CHILDREN - 1] {
        watchdog(move || {
            let runtime = build(2);
            let left = Arc::new(Mutex::new(CHILDREN + CHILDREN / 10 - 1));
            let rest_is_gone = Latch::default();
            let order = Arc::new(Mutex::new(Vec::new()));
            let ready = Event::new();
            let root = {
                let (left, latch, order, ready) =
                    (left.clone(), rest_is_gone, order.clone(), ready.clone());
                runtime.spawn(async move {
                    let in_order = order.clone();
                    let _last =
                        OnDrop::new(move || in_order.lock().expect("no panic").push("parent"));
                    let mut all = Vec::new();
                    for at in 0..CHILDREN {
                        let (latch, left, order) = (latch.clone(), left.clone(), order.clone());
                        let opens = latch.clone();
                        let gone = move || {
                            let mut left = left.lock().expect("no panic");
                            *left -= 1;
                            if *left == 0 {
                                opens.open();
                            }
                        };
                        let below = gone.clone();
                        let (there, task) = sleeper(move || {
                            if at == blocks {
                                latch.wait();
                                order.lock().expect("no panic").push("blocked");
                            } else {
                                gone();
                            }
                        });
                        all.push(there);
                        let inner = (at % 10 == 0).then(|| sleeper(below));
                        let inner = inner.map(|(there, task)| {
                            all.push(there);
                            task
                        });
                        drop(spawn(async move {
                            if let Some(inner) = inner {
                                drop(spawn(inner));
                            }
                            task.await;
                        }));
                    }
                    for event in all {
                        event.wait().await;
                    }
                    ready.set();
                    pending::<()>().await;
                })
            };
            runtime.block_on(ready.wait());
            root.cancel();
            assert!(
                runtime
                    .block_on(root)
                    .expect_err("cancelled")
                    .is_cancelled()
            );
            assert_eq!(*order.lock().expect("no panic"), ["blocked", "parent"]);
        });
    }
}
