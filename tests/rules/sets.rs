//! Protection inside sets of futures that poll only what was woken.

use crate::common::suspend_times;
use crate::set::Set;
use crate::util::*;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use taskgrove::{
    Context, Manager, background_service, defer, finally, service_fn, shielded, time, yield_now,
};

fn cleanup(log: &Log<&'static str>, name: &'static str) -> impl Future<Output = ()> + 'static {
    let log = log.clone();
    async move {
        suspend_times(3).await;
        yield_now().await;
        log.push(name);
    }
}

/// A body that waits for ever, says so, and says when it is dropped.
fn body(
    inside: &Event,
    log: &Log<&'static str>,
    name: &'static str,
) -> impl Future<Output = ()> + 'static {
    let (set, guard) = (inside.clone(), Writes(log.clone(), name));
    async move {
        let _guard = guard;
        set.set();
        pending::<()>().await
    }
}

/// At the turn each of many cleans up.
#[test]
fn every_finally_in_a_set_cleans_up() {
    everywhere(async |h| {
        let (log, inside) = (Log::new(), Event::new());
        let mut set = Set::new();
        for _ in 0..40 {
            set.push(finally(pending::<()>(), cleanup(&log, "cleanup")));
        }
        set.push(body(&inside, &log, "plain"));
        let task = h.spawn(set.all());
        inside.wait().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        let mut expected = vec!["cleanup"; 40];
        expected.push("plain");
        assert_eq!(log.take(), expected);
    });
}

/// Set in body in set: innermost first, each woken by itself.
#[test]
fn nested_sets_end_innermost_first() {
    everywhere(async |h| {
        let (log, inside) = (Log::new(), Event::new());
        let inner = finally(
            body(&inside, &log, "inner body"),
            cleanup(&log, "inner cleanup"),
        );
        let guard = Writes(log.clone(), "middle body");
        let middle = async move {
            let _guard = guard;
            Set::new().with(inner).with(pending()).all().await;
        };
        let middle = finally(middle, cleanup(&log, "middle cleanup"));
        let outer = Set::new().with(middle).with(pending()).all();
        let outer = finally(outer, cleanup(&log, "outer cleanup"));
        let task = h.spawn(Set::new().with(pending()).with(outer).all());
        inside.wait().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(
            log.take(),
            [
                "inner body",
                "inner cleanup",
                "middle body",
                "middle cleanup",
                "outer cleanup"
            ]
        );
    });
}

/// The turn may come while a shield beside them is active: then they clean up meanwhile.
#[test]
fn beside_a_shield_a_set_cleans_up() {
    everywhere(async |h| {
        let (log, inside, go, cleaned) = (Log::new(), Event::new(), Event::new(), Event::new());
        let (wait, set, write) = (go.wait(), cleaned.clone(), cleanup(&log, "cleanup"));
        let clean = async move {
            write.await;
            set.set();
        };
        let set = Set::new()
            .with(shielded(wait))
            .with(finally(body(&inside, &log, "body"), clean))
            .with(async {
                shielded(yield_now()).await;
                pending().await
            });
        let task = h.spawn(set.all());
        inside.wait().await;
        task.cancel();
        cleaned.wait().await;
        assert!(!task.is_done());
        go.set();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["body", "cleanup"]);
    });
}

/// What is not to start any more, in a set beside a shield, is not asked again and again.
#[test]
fn what_does_not_start_sleeps() {
    on(0, async |h| {
        let (inside, go) = (Event::new(), Event::new());
        let (set, wait, later) = (inside.clone(), go.wait(), Event::new());
        let late = later.wait();
        let (started, polls) = (Event::new(), Arc::new(Mutex::new(0)));
        let (tell, count) = (started.clone(), polls.clone());
        let mut all = Box::pin(
            Set::new()
                .with(async move {
                    set.set();
                    shielded(wait).await;
                })
                .with(async move {
                    late.await;
                    shielded(async move { tell.set() }).await;
                })
                .all(),
        );
        let task = h.spawn(poll_fn(move |cx| {
            *count.lock().unwrap() += 1;
            all.as_mut().poll(cx)
        }));
        inside.wait().await;
        task.cancel();
        the_turn_has_come().await;
        later.set();
        the_turn_has_come().await;
        let before = *polls.lock().unwrap();
        the_turn_has_come().await;
        assert_eq!(*polls.lock().unwrap(), before);
        assert!(!started.is_set());
        go.set();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

type Shared = Arc<Mutex<Set<()>>>;

/// Polls the set once.
async fn try_next(set: Shared) {
    poll_fn(|cx| {
        let _ = set.lock().unwrap().poll_next(cx);
        Poll::Ready(())
    })
    .await;
}

async fn drive(set: Shared) {
    poll_fn(|cx| set.lock().unwrap().poll_next(cx).map(|_| ())).await;
}

/// A set that was polled by one task and goes on in another holds up the first only until it hears of its turn; what is in it
/// goes on in the second, and cleans up at that one's.
#[test]
fn a_set_moves_to_another_task() {
    everywhere(async |h| {
        let (log, inside) = (Log::new(), Event::new());
        let protected = finally(body(&inside, &log, "body"), cleanup(&log, "cleanup"));
        let (hold, over) = (Event::new(), Event::new());
        let (held, end) = (hold.wait(), over.clone());
        let shield = async move {
            shielded(held).await;
            end.set();
            pending().await
        };
        let set = Set::new().with(protected).with(shield).with(pending());
        let set = Arc::new(Mutex::new(set));
        let (given, taken) = (Event::new(), Event::new());
        let (gives, gave, took) = (set.clone(), given.clone(), taken.clone());
        let first = h.spawn(async move {
            try_next(gives).await;
            gave.set();
            pending::<()>().await
        });
        given.wait().await;
        let second = h.spawn(async move {
            try_next(set.clone()).await;
            took.set();
            drive(set).await;
        });
        taken.wait().await;
        first.cancel();
        assert!(first.await.unwrap_err().is_cancelled());
        assert!(log.take().is_empty());
        second.cancel();
        suspend_times(20).await;
        assert!(!second.is_done());
        hold.set();
        assert!(second.await.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["body", "cleanup"]);
    });
}

/// An own await that was suspended for the turn of one task goes on in another that has the set, too.
#[test]
fn a_wait_in_a_shared_set_is_not_forgotten() {
    on(0, async |h| {
        let (m, _) = app(&h).await;
        let (inside, go) = (Event::new(), Event::new());
        let (set_inside, wait) = (inside.clone(), go.wait());
        let ended = m.clone();
        let shared = Arc::new(Mutex::new(
            Set::new().with(async move { ended.wait_finished().await }),
        ));
        let (first, second) = (shared.clone(), shared);
        let turn = Event::new();
        let first = h.spawn(async move {
            shielded(async {
                set_inside.set();
                wait.await;
            })
            .await;
            // The turn has come: this looks at the set for the last time.
            drive(first).await;
        });
        inside.wait().await;
        first.cancel();
        the_turn_has_come().await;
        let (seen, tell) = (turn.wait(), turn.clone());
        let second = h.spawn(async move {
            seen.await;
            drive(second).await;
        });
        m.stop().await.unwrap();
        go.set();
        first.wait_done().await;
        tell.set();
        second.await.unwrap();
    });
}

/// The body of a `background_service` in a set ends at the turn, before what is beside it does.
#[test]
fn a_background_body_in_a_set_ends_at_the_turn() {
    everywhere(async |h| {
        let (log, inside, go) = (Log::new(), Event::new(), Event::new());
        let (wait, ended) = (go.wait(), Event::new());
        let (waits, falls) = (body(&inside, &log, "body"), Falls(ended.clone()));
        let background = async move {
            let service = service_fn("stays", |_| pending());
            let _ = background_service(service, async move |_| {
                let _falls = falls;
                waits.await
            })
            .await;
        };
        let task = h.spawn(Set::new().with(shielded(wait)).with(background).all());
        inside.wait().await;
        task.cancel();
        ended.wait().await;
        assert!(!task.is_done());
        go.set();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

/// When the service fails, what is in a set in the body hears of it, in a task and outside of one.
#[test]
fn a_failed_service_ends_a_set_in_the_body() {
    everywhere(async |h| {
        let run = |log: Log<&'static str>| async move {
            let inside = Event::new();
            let fails = inside.wait();
            let service = service_fn("fails", |_: Context| async move {
                fails.await;
                Err(boom("it failed"))
            });
            let inner = finally(body(&inside, &log, "body"), cleanup(&log, "cleanup"));
            let middle = finally(
                Set::new().with(pending()).with(inner).all(),
                cleanup(&log, "outer"),
            );
            let body = async move |_: Manager| Set::new().with(pending()).with(middle).all().await;
            let result = background_service(service, body).await;
            assert!(result.unwrap_err().to_string().contains("it failed"));
        };
        let log = Log::new();
        run(log.clone()).await;
        assert_eq!(log.take(), ["body", "cleanup", "outer"]);
        h.spawn(Set::new().with(run(log.clone())).all())
            .await
            .unwrap();
        assert_eq!(log.take(), ["body", "cleanup", "outer"]);
    });
}

/// A shield that is moved out of a body and ends elsewhere lets the body end.
#[test]
fn a_shield_that_ends_elsewhere_lets_the_body_go() {
    everywhere(async |h| {
        let (log, inside, gift) = (Log::new(), Event::new(), Gift::new());
        let (give, set, guard) = (gift.clone(), inside.clone(), Writes(log.clone(), "body"));
        let hands_out = async move {
            let _guard = guard;
            let mut shield = Box::pin(shielded(pending::<()>()));
            assert!(poll_once(&mut shield).await.is_none());
            give.put(shield);
            set.set();
            pending::<()>().await
        };
        let task = h.spawn(finally(hands_out, cleanup(&log, "cleanup")));
        inside.wait().await;
        let shield = gift.take().await;
        task.cancel();
        suspend_times(20).await;
        assert!(log.take().is_empty());
        drop(shield);
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["body", "cleanup"]);
    });
}

/// `cancelled` in a set, in a cleanup that runs beside the future of a task without children.
#[test]
fn a_cleanup_in_a_set_hears_of_the_cancellation() {
    everywhere(async |h| {
        let (_m, ctx) = app(&h).await;
        let (inside, heard) = (Event::new(), Event::new());
        let (set, tell) = (inside.clone(), heard.clone());
        let task = h.spawn(async move {
            let hears = async move {
                set.set();
                ctx.cancelled().await;
                tell.set();
            };
            drop(defer(Set::new().with(hears).all()));
            pending::<()>().await
        });
        inside.wait().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(heard.is_set());
    });
}

/// Stopping a service whose task has its connections in a set.
#[test]
fn a_service_with_a_set_of_connections_stops() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (log, inside) = (Log::new(), Event::new());
        let mut set = Set::new();
        for _ in 0..3 {
            set.push(finally(pending(), cleanup(&log, "closed")));
        }
        set.push(body(&inside, &log, "listener"));
        ctx.run_task(async move {
            set.all().await;
            Ok(())
        })
        .unwrap();
        inside.wait().await;
        m.stop_timeout(Duration::from_secs(20)).await.unwrap();
        assert_eq!(log.take(), ["closed", "closed", "closed", "listener"]);
        time::sleep(Duration::ZERO).await;
    });
}

/// The check itself: such a set polls what was woken, and only that.
#[test]
fn a_set_polls_what_was_woken() {
    on(0, async |_| {
        let polls = Arc::new(Mutex::new([0; 2]));
        let counted = |index: usize, event: Event| {
            let polls = polls.clone();
            let mut wait = event.wait();
            poll_fn(move |cx| {
                polls.lock().unwrap()[index] += 1;
                std::pin::Pin::new(&mut wait).poll(cx)
            })
        };
        let (first, second) = (Event::new(), Event::new());
        let mut set = Set::new();
        set.push(counted(0, first.clone()));
        set.push(counted(1, second.clone()));
        let next = |set: &mut Set<()>| {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            set.poll_next(&mut cx)
        };
        assert!(next(&mut set).is_pending());
        assert!(next(&mut set).is_pending());
        assert_eq!(*polls.lock().unwrap(), [1, 1]);
        second.set();
        assert_eq!(next(&mut set), Poll::Ready(Some(())));
        first.set();
        assert_eq!(next(&mut set), Poll::Ready(Some(())));
        assert_eq!(next(&mut set), Poll::Ready(None));
        assert_eq!(*polls.lock().unwrap(), [2, 2]);
    });
}
