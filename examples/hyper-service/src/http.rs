//! The port: accepting connections, and the order of a drain.

use crate::connection;
use crate::options::Options;
use crate::state::State;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::{Context, Service, time};

/// How long to wait when the system can accept nothing, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Http {
    listen: SocketAddr,
    linger: Duration,
    state: Arc<State>,
}

impl Http {
    pub(crate) fn new(options: &Options, state: Arc<State>) -> Http {
        let (listen, linger) = (options.listen, options.linger);
        Http {
            listen,
            linger,
            state,
        }
    }

    /// Makes a connection a task of the tree.
    fn take(&self, ctx: &Context, stream: TcpStream) {
        let number = 1 + self.state.counts.connections.fetch_add(1, Relaxed);
        let state = self.state.clone();
        let serve = connection::serve(stream, ctx.clone(), state, self.linger);
        // A client that misbehaves must not end the others, so the error of a connection is not a failure of
        // this service (`isolated`). Its grace is that of the service.
        let task = ctx.task(serve).name(format!("conn-{number}")).isolated();
        if let Err(error) = task.spawn() {
            // More connections than `max_children` allows: the client sees its connection closed.
            eprintln!("conn-{number} was turned away: {error}");
        }
    }
}

impl Service for Http {
    fn name(&self) -> Cow<'static, str> {
        "http".into()
    }

    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", self.listen))?;
        println!("listening on http://{}", listener.local_addr()?);
        ctx.set_ready();
        // With a grace, a cancellation does not drop this future at its next suspension: it is asked to end.
        while let Some(accepted) = ctx.until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => self.take(&ctx, stream),
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    time::sleep(PAUSE).await;
                }
            }
        }
        // The drain. Clients whose connections the system has accepted already, and this loop has not, believe
        // that they are connected, and have sent their requests: they are served, too. The listener does not
        // block, so the first error is the end of the queue.
        let listener = listener.into_std()?;
        while let Ok((stream, _)) = listener.accept() {
            self.take(&ctx, TcpStream::from_std(stream)?);
        }
        // Now the port is closed, and new clients are refused by the system. Only then are those who are in
        // asked to leave, so that none of them comes back into a queue that nobody looks at any more.
        drop(listener);
        self.state.drain();
        println!("draining");
        // The end of `run` is not the end of the service, which lasts as long as its connections.
        Ok(())
    }
}
