//! A refused spawn and a `block_on` cost little: counted in allocations of the calling thread.
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

/// Only a thread's first call of `block_on` allocates what the thread sleeps with.
#[test]
fn a_block_on_of_a_ready_future_allocates_nothing() {
    for workers in [0, 2] {
        let runtime = Runtime::builder()
            .workers(workers)
            .build()
            .expect("a runtime");
        let call = || {
            let before = ALLOCATIONS.get();
            runtime.block_on(async {});
            ALLOCATIONS.get() - before
        };
        call();
        assert_eq!((call(), call()), (0, 0), "{workers} workers");
    }
}

/// A waker of an earlier call is woken during a later one, which only polls once more; and calls nest.
#[test]
fn a_waker_of_an_earlier_block_on_does_no_harm() {
    let runtimes = [(); 2].map(|()| Runtime::builder().workers(1).build().expect("a runtime"));
    let old = runtimes[0].block_on(std::future::poll_fn(|cx| {
        std::task::Poll::Ready(cx.waker().clone())
    }));
    let mut polls = 0;
    runtimes[0].block_on(async {
        let task = runtimes[0].spawn(async {
            for _ in 0..100 {
                taskgrove::yield_now().await;
            }
            7
        });
        let mut task = std::pin::pin!(task);
        let result = std::future::poll_fn(|cx| {
            polls += 1;
            if polls < 5 {
                old.wake_by_ref();
            }
            let nested = runtimes[1].block_on(async { runtimes[1].spawn(async { 1 }).await });
            assert_eq!(nested.expect("it ends"), 1);
            task.as_mut().poll(cx)
        });
        assert_eq!(result.await.expect("it ends"), 7);
    });
}
