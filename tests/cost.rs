//! A refused spawn costs little: counted in allocations of the thread that is refused.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::pending;
use std::sync::mpsc;
use taskgrove::{Context, Manager, Runtime, SpawnError, service_fn};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of one refused spawn beside so many children, each with a name of its own if `named`.
fn allocations(children: usize, named: bool) -> u64 {
    let (tx, rx) = mpsc::channel();
    let full = service_fn("full", async move |ctx: Context| {
        for child in 0..children {
            let task = ctx.task(pending::<taskgrove::Result>());
            let task = if named {
                task.name(format!("task-{child:06}"))
            } else {
                task
            };
            drop(task.spawn()?);
        }
        let before = ALLOCATIONS.get();
        let refused = ctx.run_task(pending());
        let allocations = ALLOCATIONS.get() - before;
        let Err(SpawnError::TooManyChildren(error)) = refused else {
            panic!("{refused:?}");
        };
        let (names, of_the_first) = if named { (10, 1) } else { (1, children) };
        assert_eq!(error.limit, children);
        assert_eq!(error.most_common.len(), names);
        assert_eq!(error.most_common[0].1, of_the_first);
        tx.send(allocations).expect("it is waited for");
        ctx.set_ready();
        pending().await
    });
    let manager = Manager::builder(full).max_children(children).build();
    let manager = manager.expect("a new service");
    let runtime = Runtime::builder().workers(0).build().expect("no threads");
    let running = manager.clone();
    let task = runtime.spawn(async move { running.run().await.is_ok() });
    runtime.block_on(async {
        manager.wait_ready().await.expect("it gets there");
        task.cancel();
        assert!(task.await.is_err());
    });
    rx.recv().expect("it was sent")
}

#[test]
fn a_refusal_allocates_the_same_beside_any_number_of_children() {
    for named in [false, true] {
        let [few, many] = [100, 10_000].map(|children| allocations(children, named));
        // The vectors that grow with the children double.
        assert!(
            many <= few + 30,
            "named: {named}, {few} allocations, then {many}"
        );
    }
}
