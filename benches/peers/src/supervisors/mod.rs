//! Parents and their children: taskgrove's services, what is put beside the other executors for it,
//! and libraries whose purpose it is. One file each; the workloads are written here, once.

mod boxes;
mod graceful;
mod grove;
mod joinset;
mod kameo;
mod ractor;
mod tasks;
mod tracker;

pub use boxes::Boxes;
pub use graceful::Graceful;
pub use grove::Grove;
pub use joinset::Set;
pub use kameo::Kameo;
pub use ractor::Ractor;
pub use tasks::Tasks;
pub use tracker::Tracker;

use crate::harness::per;
use crate::nodes::{Form, Live, Park, clear_post};
use crate::raw::Raw;
use std::collections::BTreeMap;
use std::future::Future;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Children of one parent.
pub const WIDE: usize = 10_000;
const CYCLES: usize = 1_000;

/// Something that keeps children under a parent.
pub trait Supervisor: 'static {
    const NAME: &'static str;
    /// Promised: whoever waits for the end waits for all of it, and children go before parents.
    const LEAVES_FIRST: bool;
    /// What it runs on.
    type Host: Raw;
    /// A parent with everything below it.
    type Tree: Send + 'static;

    /// Starts a parent and, below it, nodes of that form, which park.
    fn grow(form: Form) -> impl Future<Output = Self::Tree> + Send;

    /// Asks for the end of all of it, and waits as far as that is offered.
    fn end(tree: Self::Tree) -> impl Future<Output = ()> + Send;

    /// A parent with `count` children, each of which is [`brief`], from its start to its end.
    fn spawn(count: usize) -> impl Future<Output = ()> + Send;

    /// The time of `count` times: start a child that waits, stop it, wait for its end. Each owns a
    /// [`Live`].
    fn cycle(count: usize) -> impl Future<Output = Duration> + Send;
}

/// A supervisor that can say how many children there are.
pub trait Counts: Supervisor {
    /// How often it is asked in one round.
    const LOOKS: usize;
    fn count(tree: &Self::Tree) -> usize;
}

static RAN: AtomicUsize = AtomicUsize::new(0);

/// Rounds with more than one level, and those of them in which every child went before its parent.
static ORDER: Mutex<BTreeMap<&str, (usize, usize)>> = Mutex::new(BTreeMap::new());

/// In how many rounds each let children go before their parents, in words; empty if none was run.
pub fn order() -> String {
    let seen = ORDER.lock().expect("order");
    let lines = seen
        .iter()
        .map(|(who, (rounds, in_order))| format!("{who} {in_order} of {rounds}"));
    lines.collect::<Vec<_>>().join(", ")
}

/// A child that ends at once.
async fn brief() {
    RAN.fetch_add(1, Ordering::Relaxed);
}

/// ns a node from the call that ends a parent to the drop of the last future below it, and the
/// parent's own end where it can be waited for.
pub fn cancel<S: Supervisor>(form: Form) -> f64 {
    S::Host::drive(async move {
        Live::reset(form.nodes());
        let tree = S::grow(form).await;
        Live::all_parked().await;
        let began = Instant::now();
        S::end(tree).await;
        let at_end = Live::dropped();
        Live::all_dropped().await;
        let elapsed = began.elapsed();
        assert_eq!(Live::dropped(), form.nodes(), "{}", S::NAME);
        if !form.is_wide() {
            let mut seen = ORDER.lock().expect("order");
            let (rounds, in_order) = seen.entry(S::NAME).or_default();
            *rounds += 1;
            *in_order += usize::from(Live::leaves_went_first());
        }
        if S::LEAVES_FIRST {
            assert_eq!(at_end, form.nodes(), "{} ended too early", S::NAME);
            let in_order = Live::leaves_went_first();
            assert!(in_order, "{}: a parent went before its child", S::NAME);
        }
        clear_post();
        per(elapsed, form.nodes())
    })
}

/// ns a child: 10,000 that end at once, and the wait for all.
pub fn spawn<S: Supervisor>() -> f64 {
    S::Host::drive(async {
        RAN.store(0, Ordering::SeqCst);
        let began = Instant::now();
        S::spawn(WIDE).await;
        let elapsed = began.elapsed();
        assert_eq!(RAN.load(Ordering::SeqCst), WIDE, "{}", S::NAME);
        per(elapsed, WIDE)
    })
}

/// ns a cycle: start a child service that waits, stop it, wait for its end; one after another.
pub fn cycle<S: Supervisor>() -> f64 {
    S::Host::drive(async {
        Live::reset(CYCLES);
        let elapsed = S::cycle(CYCLES).await;
        Live::all_dropped().await;
        assert_eq!(Live::dropped(), CYCLES, "{}", S::NAME);
        per(elapsed, CYCLES)
    })
}

/// ns to ask how many children there are, of 10,000.
pub fn stats<S: Counts>() -> f64 {
    S::Host::drive(async {
        Live::reset(WIDE);
        let tree = S::grow(Form::wide(WIDE, Park::Pending)).await;
        Live::all_parked().await;
        let began = Instant::now();
        for _ in 0..S::LOOKS {
            assert_eq!(black_box(S::count(black_box(&tree))), WIDE);
        }
        let elapsed = began.elapsed();
        S::end(tree).await;
        Live::all_dropped().await;
        per(elapsed, S::LOOKS)
    })
}

/// Leaves `count` parked children of one parent behind.
pub fn hold<S: Supervisor>(count: usize) {
    S::Host::drive(async move {
        Live::reset(count);
        let tree = S::grow(Form::wide(count, Park::Pending)).await;
        Live::all_parked().await;
        std::mem::forget(tree);
    });
}
