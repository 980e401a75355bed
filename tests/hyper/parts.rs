//! The executor and the timer by themselves, in virtual time.

use crate::common::{Event, OnDrop, on_workers, watchdog};
use futures_lite::{AsyncRead, AsyncWrite};
use hyper::rt::{Executor as _, Timer as _};
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use taskgrove::hyper::{Executor, Io, Timer};
use taskgrove::sim::Sim;

#[test]
fn what_hyper_spawns_is_a_child_and_ends_with_its_parent() {
    on_workers(2, async || {
        let (began, dropped) = (Event::new(), Event::new());
        let (begin, drops) = (began.clone(), dropped.clone());
        let guard = OnDrop::new(move || drops.set());
        let outer = taskgrove::spawn(async move {
            Executor.execute(async move {
                let _guard = guard;
                begin.set();
                pending::<()>().await;
            });
            pending::<()>().await;
        });
        began.wait().await;
        outer.cancel();
        outer.wait_done().await;
        assert!(
            dropped.is_set(),
            "the child is gone before its parent is done"
        );
    });
}

#[test]
fn sleeps_and_resets_are_exact_in_virtual_time() {
    let sim = Sim::new(3);
    let second = Duration::from_secs(1);
    sim.block_on(async {
        let began = Timer.now();
        Timer.sleep(5 * second).await;
        assert_eq!(Timer.now(), began + 5 * second);
        Timer.sleep_until(began + 6 * second).await;
        // Put off, and then brought forward, while it waits.
        let mut sleep = Timer.sleep(10 * second);
        assert!(futures_lite::future::poll_once(&mut sleep).await.is_none());
        Timer.reset(&mut sleep, began + 60 * second);
        assert!(futures_lite::future::poll_once(&mut sleep).await.is_none());
        Timer.reset(&mut sleep, began + 8 * second);
        sleep.await;
        assert_eq!(Timer.now(), began + 8 * second);
        // A sleep of another timer is replaced.
        struct Foreign;
        impl Future for Foreign {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                Poll::Pending
            }
        }
        impl hyper::rt::Sleep for Foreign {}
        let mut foreign: Pin<Box<dyn hyper::rt::Sleep>> = Box::pin(Foreign);
        Timer.reset(&mut foreign, began + 9 * second);
        foreign.await;
    });
    assert_eq!(sim.elapsed(), 9 * second);
}

/// One direction of a connection in memory.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    bytes: VecDeque<u8>,
    reader: Option<Waker>,
    closed: bool,
}

/// A connection in memory, for the simulator.
struct Duplex {
    from: Pipe,
    to: Pipe,
}

fn duplex() -> (Duplex, Duplex) {
    let (one, other) = (Pipe::default(), Pipe::default());
    let there = Duplex {
        from: other.clone(),
        to: one.clone(),
    };
    let here = Duplex {
        from: one,
        to: other,
    };
    (here, there)
}

impl AsyncRead for Duplex {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut pipe = self.from.0.lock().unwrap();
        if pipe.bytes.is_empty() && !pipe.closed {
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.len().min(pipe.bytes.len());
        for (to, from) in buffer.iter_mut().zip(pipe.bytes.drain(..count)) {
            *to = from;
        }
        Poll::Ready(Ok(count))
    }
}

impl Duplex {
    fn wake(&self) {
        let waker = self.to.0.lock().unwrap().reader.take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.to.0.lock().unwrap().bytes.extend(bytes);
        self.wake();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to.0.lock().unwrap().closed = true;
        self.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        self.to.0.lock().unwrap().closed = true;
        self.wake();
    }
}

#[test]
fn a_client_that_sends_half_a_head_is_given_up_after_the_timeout_of_virtual_time() {
    watchdog(|| {
        let sim = Sim::new(11);
        let patience = Duration::from_secs(30);
        sim.block_on(async {
            let (mut client, server) = duplex();
            let served = taskgrove::spawn(
                hyper::server::conn::http1::Builder::new()
                    .timer(Timer)
                    .header_read_timeout(patience)
                    .serve_connection(
                        Io::new(server),
                        hyper::service::service_fn(async |_| {
                            let answer = crate::body::Full::new("x");
                            Ok::<_, std::convert::Infallible>(hyper::Response::new(answer))
                        }),
                    ),
            );
            let mut client = Pin::new(&mut client);
            use futures_lite::AsyncWriteExt;
            client
                .write_all(b"GET / HTTP/1.1\r\nhost:")
                .await
                .expect("sent");
            let error = served.await.expect("no panic").expect_err("given up");
            assert!(
                error.is_timeout() || error.to_string().contains("timeout"),
                "{error:?}"
            );
        });
        assert_eq!(sim.elapsed(), patience);
    });
}
