//! With more than one runtime, and with the end of one.

use super::*;

/// `block_on` of another runtime, from a poll and from a drop.
#[test]
fn another_runtimes_block_on() {
    for workers in [0, 1, 2] {
        watchdog(move || {
            let other = Arc::new(Runtime::builder().workers(1).build().unwrap());
            let rt = Runtime::builder().workers(workers).build().unwrap();
            let (seen, inside) = (Log::new(), Event::new());
            let (log, set, inner) = (seen.clone(), inside.clone(), other.clone());
            rt.block_on(async {
                let task = spawn(async move {
                    let again = inner.clone();
                    let _here = OnDrop::new(move || log.push(again.block_on(async { 2 })));
                    let task = inner.spawn(async { TaskId::current().is_some() });
                    assert!(inner.block_on(task).unwrap());
                    assert!(TaskId::current().is_some());
                    set.set();
                    pending::<()>().await
                });
                inside.wait().await;
                task.cancel();
                task.wait_done().await;
            });
            assert_eq!(seen.take(), [2]);
            drop(rt);
        });
    }
}

/// The runtime is dropped by the drop of one of its futures.
#[test]
fn the_runtime_dropped_in_a_drop() {
    for workers in [1, 2] {
        watchdog(move || {
            let rt = Runtime::builder().workers(workers).build().unwrap();
            let handle = rt.handle().clone();
            let (tx, rx) = std::sync::mpsc::channel::<()>();
            let (other, inside) = (tx.clone(), Event::new());
            let (set, wait) = (inside.clone(), inside.wait());
            handle.spawn(async move {
                let _other = other;
                set.set();
                pending::<()>().await
            });
            rt.block_on(wait);
            let task = handle.spawn(async move {
                let _rt = rt;
                let _tx = tx;
                pending::<()>().await
            });
            task.cancel();
            assert!(rx.recv().is_err());
        });
    }
}

/// A waker that drops the runtime that wakes it.
struct DropsRuntime(Mutex<Option<Runtime>>, Mutex<Option<Event>>);

impl Wake for DropsRuntime {
    fn wake(self: Arc<Self>) {
        let rt = self.0.lock().unwrap().take();
        drop(rt);
        let told = self.1.lock().unwrap().take();
        told.into_iter().for_each(|event| event.set());
    }
}

/// The runtime is dropped by a waker that one of its workers wakes.
#[test]
fn the_runtime_dropped_by_a_waker() {
    watchdog(|| {
        let rt = Runtime::builder().workers(2).build().unwrap();
        let (go, woken) = (Event::new(), Event::new());
        let mut task = rt.spawn(go.wait());
        let last = rt.spawn(pending::<()>());
        let waker = Arc::new(DropsRuntime(
            Mutex::new(Some(rt)),
            Mutex::new(Some(woken.clone())),
        ));
        let waker = Waker::from(waker);
        let poll = pin!(&mut task).poll(&mut Cx::from_waker(&waker));
        assert!(poll.is_pending());
        go.set();
        let other = Runtime::builder().workers(0).build().unwrap();
        other.block_on(woken.wait());
        other.block_on(last.wait_done());
        assert!(other.block_on(task).is_ok());
    });
}
