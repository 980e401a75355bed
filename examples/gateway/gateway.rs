//! The root service: what is started in which order, the health probe and the metrics.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use taskgrove::{Context, Manager, Service, finally, time};

use crate::listener::Listener;
use crate::options::Options;
use crate::say::say;
use crate::state::State;
use crate::upstream::{self, Upstream};
use crate::wire::Wire;

/// Connections served at the same time; one more is turned away.
const MAX_CONNECTIONS: usize = 256;
/// How often the upstream is asked whether it is well.
const PROBE: Duration = Duration::from_millis(100);
/// An upstream that takes longer than this to answer a probe is given up.
const UNHEALTHY: Duration = Duration::from_secs(10);
/// How often the progress is looked at, and printed if there was any.
const TICK: Duration = Duration::from_millis(50);
/// The least time between two drawings of the tree.
const REDRAW: Duration = Duration::from_millis(500);

pub(crate) struct Gateway {
    addr: SocketAddr,
    grace: Duration,
    state: Arc<State>,
}

impl Gateway {
    pub(crate) fn new(options: &Options, state: Arc<State>) -> Gateway {
        Gateway {
            addr: options.addr,
            grace: options.grace,
            state,
        }
    }
}

impl Service for Gateway {
    fn name(&self) -> Cow<'static, str> {
        "gateway".into()
    }

    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        // A service is also an `Arc` of one, so its owner can keep a way to its own API: here, its
        // address.
        let upstream = Arc::new(Upstream::default());
        // A daemon has no business ending while the gateway runs: if it does, the gateway fails
        // with `DaemonExit`.
        let manager = ctx.child_service(upstream.clone()).daemon().spawn()?;
        // Nothing below makes sense before the upstream can be reached. If it fails first, that
        // failure is the gateway's already, and it is being cancelled: an error from here could
        // only bury the cause.
        let Ok(()) = manager.wait_ready().await else {
            return Ok(());
        };

        let probe = probe(upstream.addr());
        ctx.task(probe).name("probe").daemon().spawn()?;
        let metrics = metrics(ctx.manager().clone(), self.state.clone());
        ctx.task(metrics).name("metrics").daemon().spawn()?;

        let listener = Listener {
            addr: self.addr,
            upstream: upstream.addr(),
            state: self.state.clone(),
        };
        // Not a daemon: draining ends the listener on purpose, while the rest of the gateway goes
        // on. The grace is inherited by every connection, and counts from one moment for all of
        // them: a drain takes as long as the slowest connection, not as all of them in a row.
        let manager = ctx
            .child_service(listener)
            .grace(self.grace)
            .max_children(MAX_CONNECTIONS)
            .spawn()?;
        if manager.wait_ready().await.is_ok() {
            ctx.set_ready();
        }
        // The end of `run` is not the end of the service, which lasts as long as what it has
        // started.
        Ok(())
    }
}

/// Asks the upstream for an answer, for ever. Its error is the gateway's: without an upstream there
/// is nothing to serve.
async fn probe(upstream: SocketAddr) -> taskgrove::Result {
    let mut wire = Wire::connect(upstream).await?;
    let mut beat = time::interval(PROBE);
    loop {
        beat.tick().await;
        let reply = time::timeout(UNHEALTHY, wire.call(b"are you well?\n")).await??;
        if reply != upstream::reply(b"are you well?\n") {
            return Err("the upstream answers, but wrongly".into());
        }
    }
}

/// Prints the progress and draws the tree, each when it has changed.
async fn metrics(gateway: Manager, state: Arc<State>) -> taskgrove::Result {
    let ticker = async {
        let mut beat = time::interval(TICK);
        let mut printed = state.progress();
        let mut drawn: Option<(Instant, u64)> = None;
        loop {
            let now = beat.tick().await;
            let progress = state.progress();
            if progress != printed {
                say(&progress);
                printed = progress;
            }
            let open = state.open.load(Relaxed);
            let (due, before) = match drawn {
                Some((at, open)) => (now.duration_since(at) >= REDRAW, open),
                None => (true, 0),
            };
            if due && open != before {
                // A snapshot is taken parent by parent, while tasks go on.
                let tree = gateway.snapshot().to_string();
                say(format_args!("\n{}\n", tree.trim_end()));
                drawn = Some((now, open));
            }
        }
    };
    // The loop never returns; it is dropped. The last line is printed even so.
    finally(ticker, async { say(state.progress()) }).await
}
