//! kameo: a supervisor and supervised actors, which are not restarted. An actor is parked on its
//! mailbox, so its waker is registered in any case. A supervisor that stops shuts its actors down
//! and waits until their mailboxes are closed, which is a little before they are dropped.

use super::{Supervisor, brief};
use crate::nodes::{Form, Live, Park, Place, Placed, breathe};
use crate::raw::Tokio;
use kameo::Actor;
use kameo::actor::{ActorId, ActorRef, Spawn, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible};
use kameo::supervision::RestartPolicy::Never;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

pub struct Kameo;

/// Starts what is below it.
pub struct Node {
    _live: Option<Placed>,
}

impl Actor for Node {
    type Args = (Form, Place);
    type Error = Infallible;

    async fn on_start((form, place): Self::Args, me: ActorRef<Self>) -> Result<Self, Self::Error> {
        for (i, child) in form.children(place).enumerate() {
            let child = Node::supervise(&me, (form, child));
            child.restart_policy(Never).spawn().await;
            breathe(i).await;
        }
        Ok(Node {
            _live: (!place.is_root()).then(|| Placed::new(place)),
        })
    }
}

/// Stops as soon as it has started.
struct Brief;

impl Actor for Brief {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), me: ActorRef<Self>) -> Result<Self, Self::Error> {
        brief().await;
        me.stop_gracefully().await.expect("it runs");
        Ok(Brief)
    }
}

/// Stops when that many have ended.
struct Crowd(usize);

impl Actor for Crowd {
    type Args = usize;
    type Error = Infallible;

    async fn on_start(left: usize, _: ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(Crowd(left))
    }

    async fn on_link_died(
        &mut self,
        _: WeakActorRef<Self>,
        _: ActorId,
        reason: ActorStopReason,
    ) -> Result<ControlFlow<ActorStopReason>, Self::Error> {
        assert!(reason.is_normal());
        self.0 -= 1;
        Ok(if self.0 == 0 {
            ControlFlow::Break(ActorStopReason::Normal)
        } else {
            ControlFlow::Continue(())
        })
    }
}

/// An actor of a service cycle.
struct Child {
    _live: Live,
}

impl Actor for Child {
    type Args = Live;
    type Error = Infallible;

    async fn on_start(_live: Live, _: ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(Child { _live })
    }
}

async fn stop<A: Actor>(actor: ActorRef<A>) {
    actor.stop_gracefully().await.expect("it runs");
    actor.wait_for_shutdown().await;
}

impl Supervisor for Kameo {
    const NAME: &'static str = "kameo";
    const LEAVES_FIRST: bool = false;
    type Host = Tokio;
    type Tree = ActorRef<Node>;

    async fn grow(form: Form) -> ActorRef<Node> {
        Node::spawn((form, form.root()))
    }

    async fn end(root: ActorRef<Node>) {
        stop(root).await;
    }

    async fn spawn(count: usize) {
        let crowd = Crowd::spawn(count);
        for _ in 0..count {
            let child = Brief::supervise(&crowd, ());
            child.restart_policy(Never).spawn().await;
        }
        crowd.wait_for_shutdown().await;
    }

    async fn cycle(count: usize) -> Duration {
        let form = Form::wide(0, Park::Waker);
        let root = Kameo::grow(form).await;
        let began = Instant::now();
        for _ in 0..count {
            let child = Child::supervise_with(&root, Live::new);
            stop(child.restart_policy(Never).spawn().await).await;
        }
        let elapsed = began.elapsed();
        stop(root).await;
        elapsed
    }
}
