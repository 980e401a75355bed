//! The port: accepting connections, and the order of a drain.

use crate::connection;
use crate::options::Options;
use crate::say;
use crate::state::State;
use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::{Context, Service, TaskBuilder, time};

/// How long to wait when the system can accept nothing, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Http {
    options: Options,
    state: Arc<State>,
}

impl Http {
    pub(crate) fn new(options: &Options, state: Arc<State>) -> Http {
        let options = options.clone();
        Http { options, state }
    }

    /// Describes the task that serves a connection.
    fn task<'a>(
        &self,
        ctx: &'a Context,
        stream: TcpStream,
    ) -> TaskBuilder<'a, impl Future<Output = taskgrove::Result> + use<>> {
        let number = 1 + self.state.counts.connections.fetch_add(1, Relaxed);
        let (linger, idle) = (self.options.linger, self.options.idle);
        let serve = connection::serve(stream, ctx.clone(), self.state.clone(), linger, idle);
        // A client that misbehaves must not end the others, so the error of a connection is not a failure of
        // this service (`isolated`). Its grace is that of the service.
        ctx.task(serve).name(format!("conn-{number}")).isolated()
    }
}

impl Service for Http {
    fn name(&self) -> Cow<'static, str> {
        "http".into()
    }

    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        let listen = self.options.listen;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        say::out(format_args!(
            "listening on http://{}",
            listener.local_addr()?
        ));
        ctx.set_ready();
        // With a grace, a cancellation does not drop this future at its next suspension: it is asked to end.
        while let Some(accepted) = ctx.until_cancelled(listener.accept()).await {
            match accepted {
                // With as many connections as `max_children` allows, nothing more is accepted until one has ended:
                // the next clients wait in the system's queue. An idle connection ends by itself, so the wait does.
                Ok((stream, _)) => drop(self.task(&ctx, stream).spawn_when_room().await?),
                Err(error) => {
                    say::err(format_args!("cannot accept: {error}"));
                    time::sleep(PAUSE).await;
                }
            }
        }
        // The drain. Clients whose connections the system has accepted already, and this loop has not, believe
        // that they are connected, and have sent their requests: they are served, too, as many as there is room
        // for. The bound is needed, since new clients may come as quickly as they are taken from the queue.
        let listener = listener.into_std()?;
        for _ in 0..self.options.connections {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                // The listener does not block: this is the end of the queue.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A client that has left while it was in the queue.
                Err(_) => continue,
            };
            let task = self.task(&ctx, TcpStream::from_std(stream)?);
            if task.spawn().is_err() {
                break;
            }
        }
        // Now the port is closed, and new clients are refused by the system. Only then are those who are in
        // asked to leave, so that none of them comes back into a queue that nobody looks at any more.
        drop(listener);
        self.state.drain();
        say::out("draining");
        // The end of `run` is not the end of the service, which lasts as long as its connections.
        Ok(())
    }
}
