//! ractor: a supervisor and actors linked to it (`spawn_linked`). An actor is parked on its ports,
//! so its waker is registered in any case. Stopping a supervisor kills what is linked to it and
//! waits for nobody.

use super::{Counts, Supervisor, brief};
use crate::nodes::{Form, Live, Place, Placed, breathe};
use crate::raw::Tokio;
use ractor::concurrency::JoinHandle;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::time::{Duration, Instant};

pub struct Ractor;

/// Starts what is below it; does nothing about the ends of what it supervises.
struct Node {
    form: Form,
    place: Place,
}

impl Actor for Node {
    type Msg = ();
    type State = Option<Placed>;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        Ok(None)
    }

    async fn post_start(
        &self,
        myself: ActorRef<()>,
        live: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let form = self.form;
        for (i, place) in form.children(self.place).enumerate() {
            let child = Node { form, place };
            Node::spawn_linked(None, child, (), myself.get_cell()).await?;
            breathe(i).await;
        }
        *live = (!self.place.is_root()).then(|| Placed::new(self.place));
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        _: SupervisionEvent,
        _: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Stops as soon as it has started.
struct Brief;

impl Actor for Brief {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn post_start(
        &self,
        myself: ActorRef<()>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        brief().await;
        myself.stop(None);
        Ok(())
    }
}

/// Starts that many [`Brief`]s; stops when all have ended.
struct Crowd(usize);

impl Actor for Crowd {
    type Msg = ();
    /// How many have ended.
    type State = usize;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<usize, ActorProcessingErr> {
        Ok(0)
    }

    async fn post_start(
        &self,
        myself: ActorRef<()>,
        _: &mut usize,
    ) -> Result<(), ActorProcessingErr> {
        for _ in 0..self.0 {
            Brief::spawn_linked(None, Brief, (), myself.get_cell()).await?;
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        ended: &mut usize,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorTerminated(..) = event {
            *ended += 1;
            if *ended == self.0 {
                myself.stop(None);
            }
        }
        Ok(())
    }
}

/// An actor of a service cycle.
struct Child;

impl Actor for Child {
    type Msg = ();
    type State = Live;
    type Arguments = Live;

    async fn pre_start(&self, _: ActorRef<()>, live: Live) -> Result<Live, ActorProcessingErr> {
        Ok(live)
    }
}

impl Supervisor for Ractor {
    const NAME: &'static str = "ractor";
    const LEAVES_FIRST: bool = false;
    type Host = Tokio;
    type Tree = (ActorRef<()>, JoinHandle<()>);

    async fn grow(form: Form) -> Self::Tree {
        let place = form.root();
        let root = Node::spawn(None, Node { form, place }, ()).await;
        root.expect("the supervisor starts")
    }

    async fn end((root, end): Self::Tree) {
        root.stop(None);
        end.await.expect("the supervisor ends");
    }

    async fn spawn(count: usize) {
        let (_, end) = Crowd::spawn(None, Crowd(count), ())
            .await
            .expect("the supervisor starts");
        end.await.expect("the supervisor ends");
    }

    async fn cycle(count: usize) -> Duration {
        let (root, end) = Ractor::grow(Form::wide(0, crate::nodes::Park::Waker)).await;
        let began = Instant::now();
        for _ in 0..count {
            let (child, _) = Child::spawn_linked(None, Child, Live::new(), root.get_cell())
                .await
                .expect("the actor starts");
            child.stop_and_wait(None, None).await.expect("it stops");
        }
        let elapsed = began.elapsed();
        Ractor::end((root, end)).await;
        elapsed
    }
}

impl Counts for Ractor {
    const LOOKS: usize = 20;

    fn count((root, _): &Self::Tree) -> usize {
        root.get_children().len()
    }
}
