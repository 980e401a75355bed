//! Cancelling what is below a parent as a whole, in several forms; by taskgrove's services and by
//! what is put beside the other executors for it.

use crate::harness::per;
use crate::raw::{AsyncExecutor, GroveRoots, Raw, Tokio, grove};
use crate::raw_work::{Live, parked};
use crate::supervise::WIDE;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use taskgrove::{Context, Manager, service_fn};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub const DEEP: usize = 1_000;
/// Nodes of a tree of four levels, each node with ten below it.
pub const TREE: usize = 10 + 100 + 1_000 + 10_000;

/// The form of the tree that is cancelled.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    /// Parked children of one parent, on nothing.
    Wide,
    /// The same, each waiting for a message: its waker is registered.
    Registered,
    /// A chain.
    Deep,
    Tree,
}

impl Form {
    pub fn nodes(self) -> usize {
        match self {
            Form::Wide | Form::Registered => WIDE,
            Form::Deep => DEEP,
            Form::Tree => TREE,
        }
    }

    /// Children of a node that has `depth` levels below it.
    fn fan_out(self) -> usize {
        if self == Form::Tree { 10 } else { 1 }
    }

    /// Levels below the root of a tree or chain.
    fn depth(self) -> usize {
        match self {
            Form::Tree => 4,
            Form::Deep => DEEP,
            _ => 1,
        }
    }
}

/// Drops of a chain that came before the drop of what is below.
static OUT_OF_ORDER: AtomicUsize = AtomicUsize::new(0);

/// Whoever promises leaves first keeps the promise.
fn assert_order() {
    assert_eq!(
        OUT_OF_ORDER.load(Ordering::SeqCst),
        0,
        "a parent went before its child"
    );
}

/// In a chain: says at its drop whether what is below is gone.
struct Ordered(Option<usize>, Live);

impl Ordered {
    fn new(form: Form, below: usize) -> Ordered {
        Ordered((form == Form::Deep).then_some(below), Live::new())
    }
}

impl Drop for Ordered {
    fn drop(&mut self) {
        let below = self.0.unwrap_or(0);
        if Live::dropped() < below {
            OUT_OF_ORDER.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Messages that are never sent: their receivers wait.
fn mailboxes(count: usize) -> (Vec<oneshot::Sender<()>>, Vec<oneshot::Receiver<()>>) {
    (0..count).map(|_| oneshot::channel()).unzip()
}

async fn waiting(mail: oneshot::Receiver<()>) {
    let _live = Live::new();
    let _ = mail.await;
}

fn grove_below(ctx: &Context, form: Form, depth: usize) {
    fn node(ctx: Context, form: Form, depth: usize) -> BoxFuture<'static, taskgrove::Result> {
        Box::pin(async move {
            let _live = Ordered::new(form, depth);
            grove_below(&ctx, form, depth);
            pending().await
        })
    }
    if depth > 0 {
        for _ in 0..form.fan_out() {
            let child = ctx.run_task(node(ctx.clone(), form, depth - 1));
            child.expect("a child is spawned");
        }
    }
}

/// ns a node from `cancel()` of a service to the drop of its last future, and the service's end.
pub fn grove_cancel(form: Form) -> f64 {
    GroveRoots::drive(async move {
        Live::reset(form.nodes());
        OUT_OF_ORDER.store(0, Ordering::SeqCst);
        let (post, mail) = mailboxes(if form == Form::Registered { WIDE } else { 0 });
        let service = service_fn("app", move |ctx| async move {
            match form {
                Form::Wide => {
                    for _ in 0..WIDE {
                        ctx.run_task(async {
                            parked().await;
                            Ok(())
                        })?;
                    }
                }
                Form::Registered => {
                    for mail in mail {
                        ctx.run_task(async {
                            waiting(mail).await;
                            Ok(())
                        })?;
                    }
                }
                Form::Deep | Form::Tree => grove_below(&ctx, form, form.depth()),
            }
            pending().await
        });
        let manager = Manager::builder(service).max_children(WIDE);
        let manager = manager.build().expect("a manager");
        let running = manager.clone();
        let run = grove().spawn(async move { running.run().await });
        Live::all_parked().await;
        let began = Instant::now();
        manager.stop().await.expect("it runs");
        let elapsed = began.elapsed();
        assert_eq!(Live::dropped(), form.nodes());
        assert_order();
        run.await.expect("not cancelled").expect("a clean stop");
        drop(post);
        per(elapsed, form.nodes())
    })
}

fn set_below(form: Form, depth: usize) -> JoinSet<()> {
    fn node(form: Form, depth: usize) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _live = Ordered::new(form, depth);
            let _below = set_below(form, depth);
            pending().await
        })
    }
    let mut set = JoinSet::new();
    if depth > 0 {
        for _ in 0..form.fan_out() {
            set.spawn(node(form, depth - 1));
        }
    }
    set
}

/// ns a node from the drop of a tokio `JoinSet` to the drop of the last future in it.
pub fn set_cancel(form: Form) -> f64 {
    Tokio::drive(async move {
        Live::reset(form.nodes());
        OUT_OF_ORDER.store(0, Ordering::SeqCst);
        let (post, mail) = mailboxes(if form == Form::Registered { WIDE } else { 0 });
        let mut set = JoinSet::new();
        match form {
            Form::Wide => (0..WIDE).for_each(|_| drop(set.spawn(parked()))),
            Form::Registered => mail.into_iter().for_each(|m| drop(set.spawn(waiting(m)))),
            Form::Deep | Form::Tree => set = set_below(form, form.depth()),
        }
        Live::all_parked().await;
        let began = Instant::now();
        drop(set);
        Live::all_dropped().await;
        let elapsed = began.elapsed();
        drop(post);
        per(elapsed, form.nodes())
    })
}

fn tracker_below(token: &CancellationToken, form: Form, depth: usize) -> TaskTracker {
    fn node(token: CancellationToken, form: Form, depth: usize) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _live = Ordered::new(form, depth);
            let below = tracker_below(&token, form, depth);
            token.cancelled().await;
            below.close();
            below.wait().await;
        })
    }
    let tracker = TaskTracker::new();
    if depth > 0 {
        for _ in 0..form.fan_out() {
            tracker.spawn(node(token.child_token(), form, depth - 1));
        }
    }
    tracker
}

/// ns a node from `cancel()` of a token to the end of everybody who watches it, or one below it.
pub fn tracker_cancel(form: Form) -> f64 {
    Tokio::drive(async move {
        Live::reset(form.nodes());
        OUT_OF_ORDER.store(0, Ordering::SeqCst);
        let (post, mail) = mailboxes(if form == Form::Registered { WIDE } else { 0 });
        let token = CancellationToken::new();
        let mut tracker = TaskTracker::new();
        match form {
            Form::Wide => {
                for _ in 0..WIDE {
                    let token = token.clone();
                    tracker.spawn(async move {
                        tokio::select! { () = token.cancelled() => {}, () = parked() => {} }
                    });
                }
            }
            Form::Registered => {
                for mail in mail {
                    let token = token.clone();
                    tracker.spawn(async move {
                        tokio::select! { () = token.cancelled() => {}, () = waiting(mail) => {} }
                    });
                }
            }
            Form::Deep | Form::Tree => tracker = tracker_below(&token, form, form.depth()),
        }
        Live::all_parked().await;
        let began = Instant::now();
        token.cancel();
        tracker.close();
        tracker.wait().await;
        let elapsed = began.elapsed();
        assert_eq!(Live::dropped(), form.nodes());
        assert_order();
        drop(post);
        per(elapsed, form.nodes())
    })
}

type Handles = Vec<async_executor::Task<()>>;

fn tasks_below(form: Form, depth: usize) -> Handles {
    fn node(form: Form, depth: usize) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _live = Ordered::new(form, depth);
            let _below = tasks_below(form, depth);
            pending().await
        })
    }
    if depth == 0 {
        return Vec::new();
    }
    let children = 0..form.fan_out();
    children
        .map(|_| AsyncExecutor::spawn(node(form, depth - 1)))
        .collect()
}

/// ns a node from the drop of a `Vec` of async-executor's tasks to the drop of the last future.
pub fn tasks_cancel(form: Form) -> f64 {
    AsyncExecutor::drive(async move {
        Live::reset(form.nodes());
        OUT_OF_ORDER.store(0, Ordering::SeqCst);
        let (post, mail) = mailboxes(if form == Form::Registered { WIDE } else { 0 });
        let tasks: Handles = match form {
            Form::Wide => (0..WIDE).map(|_| AsyncExecutor::spawn(parked())).collect(),
            Form::Registered => mail
                .into_iter()
                .map(|m| AsyncExecutor::spawn(waiting(m)))
                .collect(),
            Form::Deep | Form::Tree => tasks_below(form, form.depth()),
        };
        Live::all_parked().await;
        let began = Instant::now();
        drop(tasks);
        Live::all_dropped().await;
        let elapsed = began.elapsed();
        drop(post);
        per(elapsed, form.nodes())
    })
}

/// A floor: parked boxed futures, dropped one after another on one thread.
pub fn boxes_cancel() -> f64 {
    Live::reset(WIDE);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut boxes: Vec<BoxFuture<'static, ()>> =
        (0..WIDE).map(|_| Box::pin(parked()) as _).collect();
    for future in &mut boxes {
        assert!(future.as_mut().poll(&mut cx).is_pending());
    }
    let began = Instant::now();
    drop(boxes);
    let elapsed = began.elapsed();
    assert_eq!(Live::dropped(), WIDE);
    per(elapsed, WIDE)
}
