//! The ordered end: the listener first, with time for its clients, then everything else.

use std::time::{Duration, Instant};

use taskgrove::{Manager, NodeKind, StopError};

use crate::say::say;
use crate::state::State;

/// Stops the gateway; connections that are still open after `patience` are named.
///
/// Within a subtree taskgrove orders the end itself: children before parents. Siblings, however,
/// are cancelled side by side, and connections that drain need the upstream, which is no ancestor
/// of theirs. So the listener is stopped on its own first, while upstream and probe go on, and only
/// then the gateway.
pub(crate) async fn drain(
    gateway: &Manager,
    state: &State,
    patience: Duration,
) -> taskgrove::Result {
    say("draining");
    let began = Instant::now();
    let listener = state.listener.get()?;
    match listener.stop_timeout(patience).await {
        Ok(()) => {}
        // Stopping has not failed, it is only not over. The report is a snapshot of what is left
        // below the listener.
        Err(StopError::Timeout(report)) => {
            for node in report.remaining.nodes() {
                if node.kind == NodeKind::Task {
                    say(format_args!("still open: {} ({:?})", node.path, node.state));
                }
            }
            say(format_args!(
                "\n{}\n",
                report.remaining.to_string().trim_end()
            ));
            // What neither ends by itself nor within its grace is dropped when that is over, so
            // this wait is bounded.
            listener.wait_finished().await;
        }
        Err(error) => return Err(error.into()),
    }
    say(format_args!(
        "drained in {} ms",
        began.elapsed().as_millis()
    ));
    // Nothing here has a grace any more; what is left is dropped, leaves first.
    gateway.stop().await?;
    Ok(())
}
