//! tokio-graceful-shutdown: nested subsystems. A node with others below it waits for them before it
//! returns (`wait_for_children`), which makes it leaves first.

use super::{Supervisor, brief};
use crate::nodes::{Form, Live, Park, Place, Placed, breathe, parked, registered, wait};
use crate::raw::Tokio;
use futures::channel::oneshot;
use std::future::pending;
use std::time::{Duration, Instant};
use taskgrove::BoxError;
use tokio::task::JoinHandle;
use tokio_graceful_shutdown::{
    FutureExt, IntoSubsystem, SubsystemBuilder, SubsystemHandle, Toplevel,
};
use tokio_util::sync::CancellationToken;

pub struct Graceful;

/// Longer than any run.
const LONG: Duration = Duration::from_secs(600);

struct Node {
    form: Form,
    place: Place,
}

fn below(subsys: &SubsystemHandle, form: Form, place: Place) {
    for place in form.children(place) {
        let node = Node { form, place };
        subsys.start(SubsystemBuilder::new("n", node.into_subsystem()));
    }
}

impl IntoSubsystem<BoxError> for Node {
    async fn run(self, subsys: &mut SubsystemHandle) -> Result<(), BoxError> {
        let _live = Placed::new(self.place);
        below(subsys, self.form, self.place);
        let _ = wait(self.form.park).cancel_on_shutdown(subsys).await;
        subsys.wait_for_children().await;
        Ok(())
    }
}

async fn children(subsys: &SubsystemHandle, form: Form) {
    for i in 0..form.fan_out() {
        match form.park {
            Park::Pending => subsys.start(SubsystemBuilder::new(
                "n",
                async |subsys: &mut SubsystemHandle| {
                    let _ = parked().cancel_on_shutdown(subsys).await;
                    Ok::<(), BoxError>(())
                },
            )),
            Park::Waker => subsys.start(SubsystemBuilder::new(
                "n",
                async |subsys: &mut SubsystemHandle| {
                    let _ = registered().cancel_on_shutdown(subsys).await;
                    Ok::<(), BoxError>(())
                },
            )),
        };
        breathe(i).await;
    }
}

impl Supervisor for Graceful {
    const NAME: &'static str = "tokio-graceful-shutdown";
    const LEAVES_FIRST: bool = true;
    type Host = Tokio;
    type Tree = (CancellationToken, JoinHandle<()>);

    async fn grow(form: Form) -> Self::Tree {
        let token = CancellationToken::new();
        let root = async move |subsys: &mut SubsystemHandle| {
            if form.is_wide() {
                children(subsys, form).await;
            } else {
                below(subsys, form, form.root());
            }
        };
        let root = Toplevel::new_with_shutdown_token(root, token.clone());
        let end = tokio::spawn(async {
            let end: Result<(), _> = root.handle_shutdown_requests(LONG).await;
            end.expect("a clean stop");
        });
        (token, end)
    }

    async fn end((token, end): Self::Tree) {
        token.cancel();
        end.await.expect("a clean stop");
    }

    async fn spawn(count: usize) {
        let root = Toplevel::<BoxError>::new(async move |subsys: &mut SubsystemHandle| {
            for _ in 0..count {
                subsys.start(SubsystemBuilder::new(
                    "n",
                    async |_: &mut SubsystemHandle| {
                        brief().await;
                        Ok::<(), BoxError>(())
                    },
                ));
            }
        });
        let end = root.handle_shutdown_requests(LONG).await;
        end.expect("no child fails");
    }

    async fn cycle(count: usize) -> Duration {
        let (tx, rx) = oneshot::channel();
        let root = Toplevel::<BoxError>::new(async move |subsys: &mut SubsystemHandle| {
            let began = Instant::now();
            for _ in 0..count {
                let live = Live::new();
                let child = async move |subsys: &mut SubsystemHandle| {
                    let _live = live;
                    let _ = pending::<()>().cancel_on_shutdown(subsys).await;
                    Ok::<(), BoxError>(())
                };
                let child = subsys.start(SubsystemBuilder::new("child", child));
                child.initiate_shutdown();
                child.join().await.expect("a clean stop");
            }
            let _ = tx.send(began.elapsed());
        });
        let end = root.handle_shutdown_requests(LONG).await;
        end.expect("a clean stop");
        rx.await.expect("a time")
    }
}
