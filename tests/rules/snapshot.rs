//! Snapshots: what is in them, and the states of the tasks. On one thread they are exact.

use crate::util::*;
use std::future::pending;
use std::time::Duration;
use taskgrove::{
    Node, NodeKind, NodeState, Snapshot, TaskId, defer, finally, service_fn, shielded, spawn,
    time::sleep,
};

fn node(tree: &Snapshot, id: TaskId) -> &Node {
    tree.nodes().iter().find(|n| n.id == id).unwrap()
}

/// Nothing alive: empty, and it can still be drawn.
#[test]
fn an_empty_one() {
    everywhere(async |h| {
        let tree = h.snapshot();
        assert!(tree.is_empty() && tree.nodes().is_empty());
        let _ = tree.to_string();
        assert!(tree.to_dot().contains('{'));
    });
}

/// The nodes are in tree order: each after its parent, a subtree in one piece.
#[test]
fn tree_order() {
    everywhere(async |h| {
        let inside = Event::new();
        let set = inside.clone();
        h.task(async move {
            let mut children = Vec::new();
            for _ in 0..3 {
                let ready = Event::new();
                let tell = ready.clone();
                let child = async move {
                    spawn(pending::<()>());
                    spawn(pending::<()>());
                    tell.set();
                    pending::<()>().await
                };
                children.push(spawn(child));
                ready.wait().await;
            }
            set.set();
            pending::<()>().await
        })
        .name("top")
        .spawn();
        inside.wait().await;
        let tree = h.snapshot();
        assert_eq!(tree.nodes().len(), 10);
        let mut above: Vec<TaskId> = Vec::new();
        for node in tree.nodes() {
            while above.last().copied() != node.parent {
                assert!(above.pop().is_some(), "{tree}");
            }
            above.push(node.id);
        }
        let text = tree.to_string();
        assert!(text.lines().count() >= 10, "{text}");
        assert!(text.contains("top"));
        let dot = tree.to_dot();
        assert!(dot.starts_with("digraph") && dot.contains("top"), "{dot}");
        assert_eq!(dot.matches("->").count(), 9);
    });
}

/// Kinds, daemons and names.
#[test]
fn kinds() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let task = ctx.run_task(pending()).unwrap();
        let daemon = ctx.run_daemon_task(pending()).unwrap();
        let child = service_fn("child", |_| pending());
        let child = ctx.run_daemon_child_service(child).unwrap();
        let tree = m.snapshot();
        let kind = |id| {
            let node = node(&tree, id);
            (node.kind, node.daemon)
        };
        assert_eq!(kind(m.id().unwrap()), (NodeKind::Service, false));
        assert_eq!(kind(task.id()), (NodeKind::Task, false));
        assert_eq!(kind(daemon.id()), (NodeKind::Task, true));
        assert_eq!(kind(child.id().unwrap()), (NodeKind::Service, true));
        assert_eq!(tree.nodes()[0].name, "app");
        assert_eq!(node(&tree, task.id()).parent, m.id());
    });
}

/// A service's snapshot is its subtree; the paths are from the root.
#[test]
fn of_a_service() {
    everywhere(async |h| {
        let (_m, ctx) = app(&h).await;
        ctx.run_task(pending()).unwrap();
        let child = ctx
            .run_child_service(service_fn("child", |_| pending()))
            .unwrap();
        let tree = child.snapshot();
        assert_eq!(tree.nodes().len(), 1);
        assert_eq!(tree.nodes()[0].path, "app/child");
        assert_eq!(tree.nodes()[0].parent, ctx.id());
        assert_eq!(ctx.snapshot().nodes()[0].parent, None);
        child.stop().await.unwrap();
        assert!(child.snapshot().is_empty());
        assert_eq!(h.snapshot().nodes().len(), 2);
    });
}

/// Queued before its first poll, parked while it waits, running in its own eyes.
#[test]
fn queued_parked_running() {
    on(0, async |h| {
        let (own, inside) = (Gift::new(), Event::new());
        let (give, handle, set) = (own.clone(), h.clone(), inside.clone());
        let task = h.spawn(async move {
            let me = TaskId::current().unwrap();
            give.put(node(&handle.snapshot(), me).state);
            set.set();
            pending::<()>().await
        });
        let before = h.snapshot();
        assert_eq!(node(&before, task.id()).state, NodeState::Queued);
        assert_eq!(node(&before, task.id()).polls, 0);
        inside.wait().await;
        let after = h.snapshot();
        assert_eq!(node(&after, task.id()).state, NodeState::Parked);
        assert_eq!(node(&after, task.id()).polls, 1);
        assert_eq!(own.take().await, NodeState::Running);
    });
}

/// A task whose future has ended waits for its children.
#[test]
fn waiting_for_children() {
    on(0, async |h| {
        let inside = Event::new();
        let set = inside.clone();
        let task = h.spawn(async move {
            spawn(async move {
                set.set();
                pending::<()>().await
            });
        });
        inside.wait().await;
        let tree = h.snapshot();
        let state = node(&tree, task.id()).state;
        assert_eq!(state, NodeState::WaitingForChildren);
    });
}

/// A cancelled task that is still there is cancelling; in a cleanup it is cleaning up.
#[test]
fn cancelling_and_cleaning_up() {
    on(0, async |h| {
        let (m, ctx) = app(&h).await;
        let (shield, cleanup, deferred) = (Event::new(), Event::new(), Event::new());
        let (a, b, c) = (shield.clone(), cleanup.clone(), deferred.clone());
        let (parked, inner) = ([(); 3].map(|()| Event::new()), ctx.clone());
        let [x, y, z] = parked.clone();
        let first = ctx.run_task(shielded(async move {
            x.set();
            inner.cancelled().await;
            a.set();
            pending().await
        }));
        let body = async move {
            y.set();
            pending().await
        };
        let second = ctx.run_task(finally(body, async move {
            b.set();
            pending().await
        }));
        let third = ctx.run_task(async move {
            let _cleanup = defer(async move {
                c.set();
                pending().await
            });
            z.set();
            pending().await
        });
        for parked in parked {
            parked.wait().await;
        }
        m.cancel().unwrap();
        shield.wait().await;
        cleanup.wait().await;
        deferred.wait().await;
        let tree = m.snapshot();
        let state = |id| node(&tree, id).state;
        // Its future is there, and waits for its turn, that is, for its children.
        assert_eq!(state(m.id().unwrap()), NodeState::WaitingForChildren);
        assert_eq!(state(first.unwrap().id()), NodeState::CleaningUp);
        assert_eq!(state(second.unwrap().id()), NodeState::CleaningUp);
        assert_eq!(state(third.unwrap().id()), NodeState::CleaningUp);
    });
}

/// In its grace a task is cancelling, waits for its children, or cleans up, as it has them or not.
#[test]
fn in_grace() {
    on(0, async |h| {
        const HOUR: Duration = Duration::from_secs(3600);
        let (m, ctx) = app_with(&h, |b| b.grace(HOUR)).await;
        let started = [(); 3].map(|()| Event::new());
        let [a, b, c] = started.clone();
        let alone = ctx.run_task(async move {
            a.set();
            pending().await
        });
        let parent = ctx.run_task(async move {
            spawn(pending::<()>());
            b.set();
            pending().await
        });
        let cleaning = ctx.run_task(async move {
            drop(defer(pending()));
            c.set();
            pending().await
        });
        for started in started {
            started.wait().await;
        }
        m.cancel().unwrap();
        the_turn_has_come().await;
        let tree = m.snapshot();
        let state = |id| node(&tree, id).state;
        assert_eq!(state(alone.unwrap().id()), NodeState::Cancelling);
        assert_eq!(state(parent.unwrap().id()), NodeState::WaitingForChildren);
        assert_eq!(state(cleaning.unwrap().id()), NodeState::CleaningUp);
    });
}

/// Polls are counted, ages grow.
#[test]
fn polls_and_ages() {
    on(0, async |h| {
        let inside = Event::new();
        let set = inside.clone();
        let task = h.spawn(async move {
            crate::common::suspend_times(9).await;
            set.set();
            pending::<()>().await
        });
        inside.wait().await;
        sleep(Duration::from_millis(20)).await;
        let tree = h.snapshot();
        assert_eq!(node(&tree, task.id()).polls, 10);
        assert!(node(&tree, task.id()).age >= Duration::from_millis(10));
    });
}

/// Busy time is there if it was asked for.
#[test]
fn busy_time() {
    watchdog(|| {
        for asked in [false, true] {
            let rt = taskgrove::Runtime::builder()
                .workers(0)
                .track_busy_time(asked)
                .build()
                .unwrap();
            rt.block_on(async {
                let inside = Event::new();
                let set = inside.clone();
                let task = spawn(async move {
                    let start = std::time::Instant::now();
                    while start.elapsed() < Duration::from_millis(2) {
                        std::hint::spin_loop();
                    }
                    set.set();
                    pending::<()>().await
                });
                inside.wait().await;
                let tree = taskgrove::Handle::current().snapshot();
                let busy = node(&tree, task.id()).busy;
                assert_eq!(busy.is_some(), asked);
                assert!(busy.is_none_or(|b| b >= Duration::from_millis(1)));
            });
        }
    });
}

/// What is there throughout appears exactly once, while others come and go.
#[test]
fn what_stays_appears_once() {
    on(2, async |h| {
        let (m, ctx) = app(&h).await;
        let stay: Vec<_> = (0..40)
            .map(|_| ctx.run_task(pending()).unwrap().id())
            .collect();
        let churn: Vec<_> = (0..2)
            .map(|_| {
                let ctx = ctx.clone();
                h.spawn(async move {
                    for _ in 0..500 {
                        ctx.run_task(async { Ok(()) }).unwrap().await.unwrap();
                    }
                })
            })
            .collect();
        while !churn.iter().all(|t| t.is_done()) {
            let tree = m.snapshot();
            for id in &stay {
                assert_eq!(tree.nodes().iter().filter(|n| n.id == *id).count(), 1);
            }
            crate::common::suspend().await;
        }
        assert_eq!(m.snapshot().nodes().len(), 41);
    });
}
