//! What polls only what was woken, as a set of futures does.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
struct Flag {
    woken: AtomicBool,
    around: Mutex<Option<Waker>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            let around = self.around.lock().unwrap().clone();
            if let Some(around) = around {
                around.wake();
            }
        }
    }
}

/// A set of one.
pub(crate) struct OnlyWoken<F> {
    inner: Pin<Box<F>>,
    /// `None`: it is polled whenever this is.
    flag: Option<Arc<Flag>>,
}

impl<F> OnlyWoken<F> {
    pub(crate) fn new(inner: F, only: bool) -> Self {
        let flag = only.then(Arc::<Flag>::default);
        if let Some(flag) = &flag {
            flag.woken.store(true, Ordering::Release);
        }
        let inner = Box::pin(inner);
        OnlyWoken { inner, flag }
    }
}

impl<F: Future> Future for OnlyWoken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(flag) = self.flag.clone() else {
            return self.inner.as_mut().poll(cx);
        };
        *flag.around.lock().unwrap() = Some(cx.waker().clone());
        if !flag.woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let waker = Waker::from(flag);
        self.inner.as_mut().poll(&mut Context::from_waker(&waker))
    }
}
