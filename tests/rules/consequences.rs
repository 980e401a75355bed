//! What a cancellation breaks is no failure, in the body of a `finally` and in a poll that saw it.

use crate::common::suspend;
use crate::util::*;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taskgrove::{
    CancelHandle, Context, FailureKind, JoinError, Manager, Node, NodeState, TaskId, finally,
    service_fn, shielded, spawn, time, yield_now,
};

/// How a service's failures read.
async fn outcomes(m: &Manager) -> Vec<String> {
    m.wait_finished().await;
    let Err(error) = m.result().unwrap() else {
        return Vec::new();
    };
    let texts = error.failures().iter().map(|failure| match failure.kind() {
        FailureKind::Error(error) => error.to_string(),
        other => format!("{other:?}"),
    });
    texts.collect()
}

/// Siblings that follow each other's channels, each in a `finally`: a stop is clean.
#[test]
fn a_stop_of_siblings_on_channels_is_clean() {
    everywhere(async |h| {
        for _ in 0..5 {
            let m = h
                .start(service_fn("app", |ctx: Context| async move {
                    let ends: Vec<_> = (0..300).map(|_| Event::new()).collect();
                    for n in 0..ends.len() {
                        let guard = Falls(ends[n].clone());
                        let neighbour = ends[(n + 1) % ends.len()].wait();
                        let body = async move {
                            let _guard = guard;
                            neighbour.await;
                            Err("the neighbour is gone")?
                        };
                        ctx.run_task(finally(body, suspend()))?;
                    }
                    ctx.set_ready();
                    pending().await
                }))
                .unwrap();
            m.wait_ready().await.unwrap();
            // No task is in a poll when the stop is requested: an error of such a poll would count.
            let is_busy = |node: &Node| node.state != NodeState::Parked;
            while m.snapshot().nodes().iter().any(is_busy) {
                for _ in 0..1_000 {
                    yield_now().await;
                }
            }
            m.stop().await.unwrap();
            assert!(m.result().unwrap().is_ok(), "{:?}", m.result());
        }
    });
}

fn state_of(service: &Manager, task: TaskId) -> Option<NodeState> {
    let snapshot = service.snapshot();
    let node = snapshot.nodes().iter().find(|node| node.id == task)?;
    Some(node.state)
}

/// A connection that is cancelled by hand, and sees its reader end, does not fail its server.
#[test]
fn a_task_cancelled_by_hand_fails_nothing() {
    everywhere(async |h| {
        for _ in 0..20 {
            let (m, ctx) = app(&h).await;
            let (ready, gone) = (Event::new(), Event::new());
            let (set, hear, guard) = (ready.clone(), gone.wait(), Falls(gone));
            let connection = ctx
                .run_task(finally(
                    async move {
                        spawn(async move {
                            let _guard = guard;
                            set.set();
                            pending::<()>().await
                        });
                        hear.await;
                        Err("the reader is gone")?
                    },
                    suspend(),
                ))
                .unwrap();
            ready.wait().await;
            // The poll that has spawned the reader is over: an error that the connection returns from
            // now on comes from a poll that begins after the request.
            while state_of(&m, connection.id()) != Some(NodeState::Parked) {
                yield_now().await;
            }
            connection.cancel();
            assert!(matches!(connection.await, Err(JoinError::Cancelled)));
            assert!(m.is_running() && !m.did_error());
            m.stop().await.unwrap();
        }
    });
}

/// What protection a body's error comes from: a shield inside, or around it, and grace.
#[test]
fn a_body_counts_from_inside_protection() {
    everywhere(async |h| {
        for place in ["inside", "around", "grace"] {
            let (m, ctx) = app(&h).await;
            let (inside, inner) = (Event::new(), ctx.clone());
            let set = inside.clone();
            let wait = async move {
                set.set();
                inner.cancelled().await;
                suspend().await;
            };
            let fails = async || -> taskgrove::Result { Err("failed")? };
            match place {
                "inside" => ctx.run_task(finally(
                    async move {
                        shielded(wait).await;
                        fails().await
                    },
                    suspend(),
                )),
                "around" => ctx.run_task(shielded(finally(
                    async move {
                        wait.await;
                        fails().await
                    },
                    suspend(),
                ))),
                _ => ctx
                    .task(finally(
                        async move {
                            wait.await;
                            fails().await
                        },
                        suspend(),
                    ))
                    .grace(Duration::from_secs(3600))
                    .spawn(),
            }
            .unwrap();
            inside.wait().await;
            m.cancel().unwrap();
            assert_eq!(outcomes(&m).await, ["failed"], "{place}");
        }
    });
}

/// One body's cleanup does not protect the body beside it.
#[test]
fn a_cleanup_beside_a_body_is_no_protection_of_it() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, cleaning, first, second) =
            (Event::new(), Event::new(), Event::new(), Event::new());
        let (set, clean, a, b) = (
            inside.clone(),
            cleaning.clone(),
            first.wait(),
            second.wait(),
        );
        let (done, wait) = (Event::new(), Event::new());
        let (gone, held) = (done.clone(), wait.wait());
        ctx.run_task(async move {
            spawn(shielded(async move {
                set.set();
                held.await;
            }));
            let one = finally(
                async move {
                    a.await;
                    Err::<(), _>(boom("one"))
                },
                async move {
                    clean.set();
                    gone.wait().await;
                },
            );
            let two = finally(
                async move {
                    b.await;
                    Err::<(), _>(boom("two"))
                },
                async {},
            );
            let (mut first, mut second) = (Ok(()), Ok(()));
            both(async { first = one.await }, async { second = two.await }).await;
            second.and(first)
        })
        .unwrap();
        inside.wait().await;
        m.cancel().unwrap();
        the_turn_has_come().await;
        first.set();
        cleaning.wait().await;
        second.set();
        the_turn_has_come().await;
        done.set();
        wait.set();
        assert_eq!(outcomes(&m).await, [""; 0]);
    });
}

/// What a poll may see end.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Seen {
    Handle,
    Done,
    Finished,
    External,
    Cancelled,
}

/// How many failures there are of a poll that began before cancellation was asked for, on one of two
/// workers, and that returns an error after an own await has told it of an end.
fn failures_of_a_poll_that_sees(seen: Seen, by_hand: bool) -> usize {
    let result = std::sync::Arc::new(AtomicUsize::new(usize::MAX));
    let give = result.clone();
    on(2, async move |h| {
        let (m, ctx) = app(&h).await;
        let child = ctx.run_task(pending()).unwrap();
        let service = ctx
            .run_child_service(service_fn("child", |_| pending()))
            .unwrap();
        let (inner, inside, ended, go) = (ctx.clone(), Event::new(), Event::new(), Event::new());
        let (set, guard, wait) = (inside.clone(), Falls(ended.clone()), go.wait());
        ctx.run_task(async move {
            let _guard = guard;
            let held = Event::new();
            let holds = held.clone();
            // As long as this is there, the task's own turn does not come.
            spawn(shielded(async move {
                holds.set();
                wait.await;
            }));
            held.wait().await;
            set.set();
            if by_hand {
                child.cancel();
                service.cancel()?;
            }
            while !child.is_done() || !service.is_finished() {
                std::thread::yield_now();
            }
            if by_hand {
                inner.cancel()?;
            }
            match seen {
                Seen::Handle => child.await?,
                Seen::Done => child.wait_done().await,
                Seen::Finished => service.wait_finished().await,
                Seen::External => service.external_api(async {}).await?,
                Seen::Cancelled => inner.cancelled().await,
            }
            Err("seen")?
        })
        .unwrap();
        inside.wait().await;
        if !by_hand {
            m.cancel().unwrap();
        }
        ended.wait().await;
        go.set();
        give.store(outcomes(&m).await.len(), Ordering::Relaxed);
    });
    result.load(Ordering::Relaxed)
}

#[test]
fn a_poll_that_has_seen_an_end_of_this_cancellation_gives_a_consequence() {
    use Seen::{Cancelled, Done, External, Finished, Handle};
    for seen in [Handle, Done, Finished, External, Cancelled] {
        assert_eq!(failures_of_a_poll_that_sees(seen, false), 0, "{seen:?}");
    }
}

/// Not so with the end of what was cancelled by hand before.
#[test]
fn a_poll_that_has_seen_another_end_does_not() {
    use Seen::{Done, Finished, Handle};
    for seen in [Handle, Done, Finished] {
        assert_eq!(failures_of_a_poll_that_sees(seen, true), 1, "{seen:?}");
    }
}

/// A shield that its owner gives up on, since it takes too long, has failed.
#[test]
fn a_shield_that_takes_too_long_may_fail() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let inside = Event::new();
        let set = inside.clone();
        ctx.run_task(async move {
            let flush = shielded(async move {
                set.set();
                pending::<()>().await
            });
            time::timeout(Duration::from_millis(5), flush).await?;
            Ok(())
        })
        .unwrap();
        inside.wait().await;
        m.cancel().unwrap();
        assert_eq!(outcomes(&m).await.len(), 1);
    });
}

/// A shield ends after a cancellation above was asked for, and before its walk has come. What the shield has left is
/// within the cancellation from then on, also if a thread has looked before.
#[test]
fn what_a_shield_has_left_gives_consequences_before_the_walk_comes() {
    crate::virtual_time::simulated(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(10_000)).await;
        let [inside, asked, left, over] = [(); 4].map(|()| Event::new());
        let (set, wait, seen, last) = (inside.clone(), asked.clone(), left.clone(), over.clone());
        let outer = ctx.clone();
        let covered = async move {
            // The end of this service is where the thread looks.
            let service = service_fn("looks", move |_| {
                let asked = wait.clone();
                async move {
                    asked.wait().await;
                    Ok(())
                }
            });
            let looks = outer.run_child_service(service)?;
            set.set();
            looks.wait_finished().await;
            seen.set();
            last.wait().await;
            Err("it was cancelled by then")?
        };
        let middle = ctx.clone();
        let shields = async move {
            shielded(async {
                middle.run_task(covered).unwrap();
                left.wait().await;
            })
            .await;
            over.set();
            pending().await
        };
        // The walk goes through the siblings of the task above first.
        let above = ctx.clone();
        let above = async move {
            above.run_task(shields)?;
            pending().await
        };
        ctx.run_task(above).unwrap();
        for _ in 0..9_000 {
            ctx.run_task(pending()).unwrap();
        }
        inside.wait().await;
        m.cancel().unwrap();
        asked.set();
        assert_eq!(outcomes(&m).await, [""; 0]);
    });
}

/// A daemon inside protection ends after a cancellation above its service was asked for, and before its walk has
/// come: that is no failure of the service.
#[test]
fn a_covered_daemon_may_end_before_the_walk_comes() {
    everywhere(async |h| {
        for is_service in [false, true] {
            let (give, own) = (Gift::<Manager>::new(), Gift::<CancelHandle>::new());
            let (send, outer) = (give.clone(), own.clone());
            let service = service_fn("shields", move |ctx: Context| async move {
                send.put(ctx.manager().clone());
                let outer = outer.take().await;
                shielded(async move {
                    if is_service {
                        let daemon = service_fn("daemon", move |_| {
                            outer.cancel();
                            std::future::ready(Ok(()))
                        });
                        let daemon = ctx.run_daemon_child_service(daemon)?;
                        daemon.wait_finished().await;
                    } else {
                        let daemon = ctx.run_daemon_task(async move {
                            outer.cancel();
                            Ok(())
                        })?;
                        daemon.wait_done().await;
                    }
                    Ok(())
                })
                .await
            });
            let manager = Manager::new(service).unwrap();
            let task = h.spawn(async move { manager.run().await });
            own.put(task.cancel_handle());
            let manager = give.take().await;
            manager.wait_finished().await;
            assert!(manager.result().unwrap().is_ok(), "{is_service}");
        }
    });
}
