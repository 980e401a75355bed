//! The listener service: accepts clients, limits them, and lets them finish when it is stopped.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_lite::future;
use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::{Context, ManagerSlot, Service, SpawnError, time};

use crate::connection;
use crate::say::say;
use crate::state::State;

pub(crate) struct Listener {
    pub(crate) addr: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) state: Arc<State>,
}

impl Service for Listener {
    fn name(&self) -> Cow<'static, str> {
        "listener".into()
    }

    /// Where the manager is put, so that others can reach the listener while it runs: see `drain`.
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.state.listener)
    }

    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        // An error here fails the listener, hence the gateway, and is the root cause that `main`
        // prints.
        let socket = TcpListener::bind(self.addr)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", self.addr))?;
        self.state.set_addr(socket.local_addr()?);
        ctx.set_ready();

        let mut cancelled = pin!(ctx.cancelled());
        let mut number = 0_u64;
        loop {
            // With a grace, cancellation does not drop this future at its next suspension: it is
            // asked to end, and does.
            let draining = async {
                cancelled.as_mut().await;
                None
            };
            let accepting = async { Some(socket.accept().await) };
            match future::or(draining, accepting).await {
                // The socket closes with `run`, at the start of the drain: from now on new clients
                // are refused by the system, while those who are in are served to the end of their
                // request.
                None => return Ok(()),
                Some(Ok((stream, _))) => {
                    number += 1;
                    self.admit(&ctx, number, stream)?;
                }
                // Out of file descriptors, or a client that left while it was queued: no reason to
                // stop for the others.
                Some(Err(error)) => {
                    say(format_args!("cannot accept: {error}"));
                    time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

impl Listener {
    /// Gives a client a task of its own, or turns it away.
    fn admit(&self, ctx: &Context, number: u64, stream: TcpStream) -> taskgrove::Result {
        let name = format!("conn-{number}");
        let (upstream, state) = (self.upstream, self.state.clone());
        let connection = connection::serve(name.clone(), stream, upstream, ctx.clone(), state);
        // Scheduled from `run`, the task is a child of the service: its path is
        // `gateway/listener/conn-N`.
        match ctx.task(connection).name(name.clone()).spawn() {
            // The handle is dropped: that detaches the task and cancels nothing. The tree still
            // owns it.
            Ok(_) => self.state.accepted.fetch_add(1, Relaxed),
            // `max_children` is a limit that holds without a counter here. The refused future has
            // been dropped, and the client's socket with it.
            Err(SpawnError::TooManyChildren(limit)) => {
                say(format_args!("{name} turned away: {limit}"));
                self.state.refused.fetch_add(1, Relaxed)
            }
            Err(error) => return Err(error.into()),
        };
        Ok(())
    }
}
