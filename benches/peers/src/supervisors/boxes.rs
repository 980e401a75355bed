//! A floor: boxed futures on the calling thread, polled and dropped one after another. Nothing is
//! scheduled, nothing can be woken, there is no tree.

use super::{WIDE, brief};
use crate::harness::per;
use crate::nodes::{Live, Park, clear_post, parked, registered};
use futures::future::BoxFuture;
use std::task::{Context, Waker};
use std::time::Instant;

pub struct Boxes;

impl Boxes {
    pub const NAME: &'static str = "floor: boxed futures";

    fn grow(count: usize, park: Park) -> Vec<BoxFuture<'static, ()>> {
        let mut cx = Context::from_waker(Waker::noop());
        Live::reset(count);
        let mut boxes: Vec<BoxFuture<'static, ()>> = Vec::with_capacity(count);
        boxes.extend((0..count).map(|_| match park {
            Park::Pending => Box::pin(parked()) as _,
            Park::Waker => Box::pin(registered()) as BoxFuture<'static, ()>,
        }));
        for future in &mut boxes {
            assert!(future.as_mut().poll(&mut cx).is_pending());
        }
        boxes
    }

    /// ns a future: 10,000 that are parked are dropped.
    pub fn cancel(park: Park) -> f64 {
        let boxes = Boxes::grow(WIDE, park);
        let began = Instant::now();
        drop(boxes);
        let elapsed = began.elapsed();
        assert_eq!(Live::dropped(), WIDE);
        clear_post();
        per(elapsed, WIDE)
    }

    /// ns a future: 10,000 are made, kept, polled to their end and dropped.
    pub fn spawn() -> f64 {
        super::RAN.store(0, std::sync::atomic::Ordering::SeqCst);
        let mut cx = Context::from_waker(Waker::noop());
        let began = Instant::now();
        let mut boxes: Vec<BoxFuture<'static, ()>> = Vec::new();
        boxes.extend((0..WIDE).map(|_| Box::pin(brief()) as _));
        for future in &mut boxes {
            assert!(future.as_mut().poll(&mut cx).is_ready());
        }
        drop(boxes);
        let elapsed = began.elapsed();
        assert_eq!(super::RAN.load(std::sync::atomic::Ordering::SeqCst), WIDE);
        per(elapsed, WIDE)
    }

    /// Leaves `count` parked futures behind.
    pub fn hold(count: usize) {
        std::mem::forget(Boxes::grow(count, Park::Pending));
    }
}
