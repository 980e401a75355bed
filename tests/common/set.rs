//! A set of futures that polls only those of them that were woken, as `FuturesUnordered`, `buffer_unordered` and `join_all` do.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

type Child<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Such a set. Its owner may change: the latest that polled it is woken.
pub(crate) struct Set<T> {
    children: Vec<Option<Child<T>>>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Those that were woken; `None` once the set is gone, since each of them keeps this.
    ready: Mutex<Option<VecDeque<Arc<One>>>>,
    owner: Mutex<Option<Waker>>,
}

/// The waker of one.
struct One {
    index: usize,
    queued: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for One {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let shared = self.shared.clone();
            if let Some(ready) = &mut *shared.ready.lock().unwrap() {
                ready.push_back(self);
            }
            let owner = shared.owner.lock().unwrap().clone();
            if let Some(owner) = owner {
                owner.wake();
            }
        }
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Set {
            children: Vec::new(),
            shared: Arc::new(Shared {
                ready: Mutex::new(Some(VecDeque::new())),
                owner: Mutex::new(None),
            }),
        }
    }
}

impl<T> Drop for Set<T> {
    fn drop(&mut self) {
        let left = self.shared.ready.lock().unwrap().take();
        drop(left);
    }
}

impl<T> Set<T> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&mut self, child: impl Future<Output = T> + Send + 'static) {
        let index = self.children.len();
        self.children.push(Some(Box::pin(child)));
        let (queued, shared) = (AtomicBool::new(false), self.shared.clone());
        Arc::new(One {
            index,
            queued,
            shared,
        })
        .wake();
    }

    pub(crate) fn with(mut self, child: impl Future<Output = T> + Send + 'static) -> Self {
        self.push(child);
        self
    }

    /// The next that is ready; `None` when none is left. Gives way once two have woken themselves.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        *self.shared.owner.lock().unwrap() = Some(cx.waker().clone());
        let mut yielded = 0;
        while self.children.iter().any(Option::is_some) {
            let next = {
                let mut ready = self.shared.ready.lock().unwrap();
                ready.as_mut().and_then(VecDeque::pop_front)
            };
            let Some(one) = next else {
                return Poll::Pending;
            };
            one.queued.store(false, Ordering::Release);
            let Some(child) = &mut self.children[one.index] else {
                continue;
            };
            let waker = Waker::from(one.clone());
            if let Poll::Ready(value) = child.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.children[one.index] = None;
                return Poll::Ready(Some(value));
            }
            yielded += usize::from(one.queued.load(Ordering::Acquire));
            if yielded == 2 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(None)
    }

    pub(crate) async fn next(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// All of them, side by side.
    pub(crate) async fn all(mut self) {
        while self.next().await.is_some() {}
    }
}
