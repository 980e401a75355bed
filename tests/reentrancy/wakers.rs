//! From wakers.

use super::*;

/// A waker that runs code when it is woken, and when its last clone is dropped.
struct Busy(Everything, Event);

impl Wake for Busy {
    fn wake(self: Arc<Self>) {
        self.0.wreck();
        self.1.set();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.look();
    }
}

/// Polls each with a waker of its own; all of them pend.
fn poll_all(all: &Everything, waits: &mut [Pin<Box<dyn Future<Output = ()> + '_>>]) -> Vec<Event> {
    waits
        .iter_mut()
        .map(|wait| {
            let woken = Event::new();
            let waker = Waker::from(Arc::new(Busy(all.clone(), woken.clone())));
            assert!(wait.as_mut().poll(&mut Cx::from_waker(&waker)).is_pending());
            // Again with another waker: the first is swapped out and dropped.
            let waker = Waker::from(Arc::new(Busy(all.clone(), woken.clone())));
            assert!(wait.as_mut().poll(&mut Cx::from_waker(&waker)).is_pending());
            woken
        })
        .collect()
}

/// Wakers in every wait that there is: woken by the end of the service, which the first of them causes once more.
#[test]
fn from_a_waker() {
    everywhere(async || {
        let all = everything().await;
        let go = Event::new();
        let wait = go.wait();
        let mut handle = all.handle.spawn(wait);
        let task = all.context.run_task(pending()).unwrap();
        let mut own = all.context.run_task(pending()).unwrap();
        let (manager, context) = (all.manager.clone(), all.context.clone());
        let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = vec![
            Box::pin(async { drop((&mut handle).await) }),
            Box::pin(async { drop((&mut own).await) }),
            Box::pin(task.wait_done()),
            Box::pin(manager.wait_finished()),
            Box::pin(async { drop(manager.wait_ready().await) }),
            Box::pin(context.cancelled()),
            Box::pin(async { drop(manager.external_api(pending::<()>()).await) }),
        ];
        let woken = poll_all(&all, &mut waits);
        go.set();
        for event in &woken {
            event.wait().await;
        }
        drop(waits);
        manager.wait_finished().await;
        assert!(all.calls.get() >= woken.len());
    });
}

/// Wakers that are dropped with their waits, unwoken.
#[test]
fn from_the_drop_of_a_waker() {
    everywhere(async || {
        let all = everything().await;
        let mut handle = all.handle.spawn(pending::<()>());
        let task = all.context.run_task(pending()).unwrap();
        let (manager, context) = (all.manager.clone(), all.context.clone());
        {
            let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = vec![
                Box::pin(async { drop((&mut handle).await) }),
                Box::pin(task.wait_done()),
                Box::pin(manager.wait_finished()),
                Box::pin(async { drop(manager.wait_ready().await) }),
                Box::pin(context.cancelled()),
                Box::pin(taskgrove::time::sleep(std::time::Duration::MAX)),
            ];
            poll_all(&all, &mut waits);
        }
        drop(handle);
        manager.stop().await.unwrap();
        assert!(all.calls.get() >= 6);
    });
}

/// A timer's waker is no task's code, whatever the worker that calls it ran before.
#[test]
fn a_timers_waker_runs_in_no_task() {
    struct Asks(Mutex<Option<Option<TaskId>>>, Event);
    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() = Some(TaskId::current());
            self.1.set();
        }
    }
    for workers in [0, 1] {
        on_workers(workers, async || {
            let asks = Arc::new(Asks(Mutex::new(None), Event::new()));
            let waker = Waker::from(asks.clone());
            let mut sleep = taskgrove::time::sleep(std::time::Duration::from_millis(2));
            let polled = Pin::new(&mut sleep).poll(&mut Cx::from_waker(&waker));
            assert!(polled.is_pending());
            let woken = asks.1.clone();
            let busy = spawn(async move {
                while !woken.is_set() {
                    taskgrove::yield_now().await;
                }
            });
            busy.await.unwrap();
            let seen = asks.0.lock().unwrap().take();
            assert_eq!(seen, Some(None), "woken as no task");
        });
    }
}
