//! Readiness that must be kept, because a transfer stopped short while there was more; and readiness that must
//! not be believed for ever, because somebody else has taken what was there.

use crate::peers::{on_each, pair};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWriteExt, future};
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use taskgrove::net::{Polled, UnixStream};

/// More slices than the system takes in one call.
const SLICES: usize = 3_000;

#[test]
fn more_slices_than_one_call_takes_are_all_written() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, _theirs) = pair().await;
            let mut left = SLICES;
            while left > 0 {
                // The system has room for all of them, and nothing comes in that would be an event.
                let slices = vec![IoSlice::new(b"x"); left];
                left -= (&ours).write_vectored(&slices).await.expect("sent");
            }
        });
    });
}

#[test]
fn more_slices_than_one_call_takes_are_all_read() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            theirs.write_all(&[7; SLICES]).expect("sent");
            while ours.peek(&mut [0; SLICES]).await.expect("open") < SLICES {}
            let mut left = SLICES;
            while left > 0 {
                let mut bytes = vec![0; left];
                let mut slices: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
                left -= (&ours).read_vectored(&mut slices).await.expect("read");
            }
        });
    });
}

/// Makes a new waker for each poll of a future, as some combinators do.
struct EachPoll(Waker);

impl Wake for EachPoll {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

#[test]
fn a_task_that_polls_with_a_new_waker_each_time_sleeps_in_between() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = pair().await;
            let polls = Arc::new(AtomicUsize::new(0));
            let counted = polls.clone();
            let reads = taskgrove::spawn(poll_fn(move |cx| {
                if counted.fetch_add(1, Ordering::Relaxed) < 100 {
                    // It has other things to do, too.
                    cx.waker().wake_by_ref();
                }
                let waker = Waker::from(Arc::new(EachPoll(cx.waker().clone())));
                let mut cx = Context::from_waker(&waker);
                Pin::new(&mut &ours)
                    .poll_read(&mut cx, &mut [0; 8])
                    .map(|read| read.expect("read"))
            }));
            for _ in 0..1_000 {
                taskgrove::yield_now().await;
            }
            let so_far = polls.load(Ordering::Relaxed);
            assert!(so_far < 200, "{so_far} polls while nothing came");
            theirs.write_all(b"x").expect("sent");
            assert_eq!(reads.await.expect("no panic"), 1);
        });
    });
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker's panic");
    }
}

#[test]
fn the_panic_of_a_waker_is_not_that_of_another_that_takes_its_place() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, _theirs) = pair().await;
            for _ in 0..100 {
                let waker = Waker::from(Arc::new(Panics));
                let mut cx = Context::from_waker(&waker);
                let polled = Pin::new(&mut &ours).poll_read(&mut cx, &mut [0; 8]);
                assert!(polled.is_pending());
            }
        });
    });
}

/// Sends a byte, and a descriptor with it.
fn send_with_descriptor(to: &std::os::unix::net::UnixStream) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [to.as_fd()];
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let sent = sendmsg(
        to,
        &[IoSlice::new(b"d")],
        &mut ancillary,
        SendFlags::empty(),
    );
    assert_eq!(sent, Ok(1));
}

#[test]
fn a_read_that_stops_at_a_descriptor_leaves_what_is_behind_it() {
    on_each(|rt| {
        rt.block_on(async {
            let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
            send_with_descriptor(&theirs);
            theirs.write_all(b"rest").expect("sent");
            let mut ours = UnixStream::from_std(ours).expect("registered");
            let mut got = [0; 64];
            let mut read = 0;
            while read < 5 {
                read += ours.read(&mut got[read..]).await.expect("read");
            }
            assert_eq!(&got[..5], b"drest");
        });
    });
}

#[test]
fn transfers_of_nothing_do_not_wait() {
    on_each(|rt| {
        rt.block_on(async {
            let (mut ours, _theirs) = UnixStream::pair().expect("a pair");
            assert_eq!(ours.read(&mut []).await.expect("nothing"), 0);
            while ours.try_write(&[7; 1 << 16]).is_ok() {}
            assert_eq!(ours.write(&[]).await.expect("nothing"), 0);
            let (mut ours, _theirs) = pair().await;
            assert_eq!(ours.read(&mut []).await.expect("nothing"), 0);
        });
    });
}

#[test]
fn what_was_read_past_the_crate_is_not_taken_for_ready_for_ever() {
    on_each(|rt| {
        rt.block_on(async {
            let (reader, mut writer) = io::pipe().expect("a pipe");
            let reader = Polled::new(reader).expect("registered");
            writer.write_all(b"x").expect("sent");
            reader.readable().await.expect("open");
            let read = rustix::io::read(reader.as_fd(), &mut [0; 8]);
            assert_eq!(read, Ok(1));
            let mut waits = std::pin::pin!(reader.readable());
            for _ in 0..100 {
                assert!(future::poll_once(waits.as_mut()).await.is_none());
                taskgrove::yield_now().await;
            }
            writer.write_all(b"y").expect("sent");
            waits.await.expect("open");
        });
    });
}
