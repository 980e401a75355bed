//! The trees, and what is done to them.

use crate::stopwatch::Stopwatch;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context as Cx, Poll, Waker};
use taskgrove::{Context, Handle, Manager, Runtime, service_fn};

/// What is measured, in nanoseconds a node.
pub(crate) const OPERATIONS: [&str; 4] = ["spawn", "finish", "cancel", "snapshot"];
pub(crate) type Nanos = [f64; 4];

/// Nodes measured in a round, at least: small trees are grown again and again.
const NODES: usize = 50_000;
/// Tasks of each service.
const IN_SERVICE: usize = 1_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Children of one service.
    Wide,
    /// Each the only child of the one before.
    Deep,
    /// Each shares out what is left, at random, among up to eight children.
    Random,
    /// Services of a thousand tasks each.
    Services,
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Wide => "wide",
            Form::Deep => "deep",
            Form::Random => "random",
            Form::Services => "services",
        }
    }
}

/// Nodes that have yet to get where they are to be, and who waits for that.
static LEFT: AtomicUsize = AtomicUsize::new(0);
static WAITS: Mutex<Option<Waker>> = Mutex::new(None);
/// The nodes' own wakers, where they are to end by themselves.
static WAKERS: Mutex<Vec<Waker>> = Mutex::new(Vec::new());

fn one_less() {
    if LEFT.fetch_sub(1, Ordering::AcqRel) == 1 {
        let waiting = WAITS.lock().expect("waits").take();
        waiting.inspect(Waker::wake_by_ref);
    }
}

async fn none_left() {
    poll_fn(|cx| {
        *WAITS.lock().expect("waits") = Some(cx.waker().clone());
        match LEFT.load(Ordering::Acquire) {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}

/// A node with so many below it: spawns them, and parks. Written by hand, since an async function
/// that spawns itself would have to be boxed.
struct Node {
    /// Only while there is something to spawn.
    ctx: Option<Context>,
    below: u32,
    random: u32,
    form: Form,
    /// Ends when it is polled again.
    ends: bool,
    polled: bool,
}

impl Node {
    fn spawn(&mut self, ctx: &Context, below: u32) {
        self.random = self.random.wrapping_mul(747_796_405).wrapping_add(1);
        let child = Node {
            ctx: (below > 0).then(|| ctx.clone()),
            below,
            random: self.random ^ below,
            form: self.form,
            ends: self.ends,
            polled: false,
        };
        drop(ctx.run_task(child).expect("it runs"));
    }

    fn spawn_all(&mut self, ctx: &Context) {
        match self.form {
            Form::Wide | Form::Services => (0..self.below).for_each(|_| self.spawn(ctx, 0)),
            Form::Deep => self.spawn(ctx, self.below - 1),
            Form::Random => {
                let (mut left, mut children) = (self.below, 1 + (self.random >> 16) % 8);
                while left > 0 {
                    // The last gets the rest, the others a part of it.
                    let part = match children {
                        1 => left,
                        _ => 1 + (self.random >> 8) % left,
                    };
                    self.spawn(ctx, part - 1);
                    left -= part;
                    children = children.max(2) - 1;
                }
            }
        }
    }
}

impl Future for Node {
    type Output = taskgrove::Result;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Self::Output> {
        if self.polled {
            return Poll::Ready(Ok(()));
        }
        self.polled = true;
        if let Some(ctx) = self.ctx.take() {
            self.spawn_all(&ctx);
        }
        if self.ends {
            WAKERS.lock().expect("wakers").push(cx.waker().clone());
        }
        one_less();
        Poll::Pending
    }
}

/// The service at the top, being run, with all its nodes parked.
async fn grow(form: Form, size: usize, ends: bool) -> Manager {
    LEFT.store(size, Ordering::Release);
    if ends {
        WAKERS.lock().expect("wakers").reserve(size);
    }
    let top = move |below| {
        service_fn("top", async move |ctx: Context| {
            let mut node = Node {
                ctx: None,
                below,
                random: 12_345,
                form,
                ends,
                polled: false,
            };
            node.spawn_all(&ctx);
            Ok(())
        })
    };
    let manager = match form {
        Form::Services => {
            let all = service_fn("all", async move |ctx: Context| {
                for _ in 0..size / IN_SERVICE {
                    let service = top(IN_SERVICE as u32);
                    let child = ctx.child_service(service);
                    drop(child.max_children(usize::MAX).spawn()?);
                }
                Ok(())
            });
            Manager::builder(all).max_children(usize::MAX).build()
        }
        _ => Manager::builder(top(size as u32))
            .max_children(usize::MAX)
            .build(),
    };
    let manager = manager.expect("a manager");
    let running = manager.clone();
    drop(Handle::current().spawn(async move { running.run().await.is_ok() }));
    none_left().await;
    manager
}

/// Does `work` as a task, so that no other thread has to be woken for it to go on.
fn on_worker<F>(runtime: &Runtime, work: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let (tx, rx) = mpsc::sync_channel(1);
    drop(runtime.spawn(async move {
        let _ = tx.send(work.await);
    }));
    rx.recv().expect("the work was lost")
}

/// Nanoseconds a node of each operation, as often as a round measures them.
pub(crate) fn measure(runtime: &Runtime, workers: usize, form: Form, size: usize) -> Vec<Nanos> {
    let once = |_| on_worker(runtime, repetition(workers, form, size));
    (0..NODES.div_ceil(size)).map(once).collect()
}

async fn repetition(workers: usize, form: Form, size: usize) -> Nanos {
    let watch = Stopwatch::start(workers);
    let manager = grow(form, size, false).await;
    let spawn = watch.nanos();

    let watch = Stopwatch::start(workers);
    let snapshot = manager.snapshot();
    let snapshots = watch.nanos();
    assert!(snapshot.len() > size, "{} of {size}", snapshot.len());
    drop(snapshot);
    // The allocator puts off joining what was freed until something large is asked for.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 16)));

    let watch = Stopwatch::start(workers);
    manager.stop().await.expect("it runs");
    let cancel = watch.nanos();
    assert!(manager.result().expect("an end").is_ok());

    // Nodes that end by themselves, the youngest first.
    let manager = grow(form, size, true).await;
    let mut wakers = std::mem::take(&mut *WAKERS.lock().expect("wakers"));
    let watch = Stopwatch::start(workers);
    while let Some(waker) = wakers.pop() {
        waker.wake();
        if wakers.len().is_multiple_of(500) {
            taskgrove::yield_now().await;
        }
    }
    manager.wait_finished().await;
    let finish = watch.nanos();
    assert!(manager.result().expect("an end").is_ok());
    [spawn, finish, cancel, snapshots].map(|nanos| nanos / size as f64)
}
