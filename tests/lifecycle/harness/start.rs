//! What is started, in the model and for real: where it goes, and what of it is certain.

use super::count::{Seen, seen};
use super::drive::{DEEPEST, Driver, MOST_NODES, choose, length};
use super::interp::Launch;
use super::model::Scheduled;
use super::node::CleanupState;
use super::ops::{Kind, Start};
use super::supervisor::Plan;

impl Driver<'_> {
    /// Makes a node for what is to be started, if that is possible and what comes of it is certain.
    pub(super) fn start(&mut self, from: Option<usize>, start: Start) -> Option<Launch> {
        let Start { kind, grace, .. } = start;
        let full = self.full(from, start);
        let via = match (kind, start.via, from) {
            (Kind::Raw | Kind::Run, ..) => None,
            // To have room is nothing special.
            (_, via, _) if !full.is_empty() => Some(choose(&full, via.unwrap_or(0))?),
            (_, Some(via), _) => Some(choose(&self.contexts(), via)?),
            (_, None, Some(from)) => {
                let own = self.model.service_of(from);
                Some(own.filter(|own| self.model.nodes[*own].has_context)?)
            }
            (_, None, None) => Some(choose(&self.contexts(), 0)?),
        };
        let own = from.and_then(|from| self.model.service_of(from));
        if kind == Kind::Run && from.is_none() || self.model.nodes.len() >= MOST_NODES {
            return None;
        }
        if kind == Kind::Raw && from.is_none() {
            return None;
        }
        if let (Some(from), Some(poll)) = (from, &self.model.poll)
            && !poll.cancels.is_empty()
            && kind != Kind::Raw
        {
            // How far a cancellation of this very poll has come is not said; `spawn` is certain.
            let near = |n: &usize| *n == from || Some(*n) == own;
            let grace = self.model.in_grace(from);
            if kind == Kind::Run || via != own || grace || !poll.cancels.iter().all(near) {
                let kind = Kind::Raw;
                let beside = false;
                return self.start(
                    Some(from),
                    Start {
                        kind,
                        beside,
                        ..start
                    },
                );
            }
        }
        let beside = start.beside && from.is_some_and(|from| !self.model.turn_in_here(from));
        let opts_out = grace == Some(0) && kind != Kind::Raw && !beside;
        let mut place = self.model.place(from, kind, via, opts_out);
        // Cancelled by this very poll, from above: the mark may still be on its way.
        let late = kind == Kind::Raw
            && place == Scheduled::BornDone
            && from.is_some_and(|from| self.marked_late(from));
        if late {
            place = Scheduled::Under(from);
        }
        if let Scheduled::Under(Some(parent)) = place
            && self.model.depth(parent) >= DEEPEST
        {
            return None;
        }
        if beside && place == Scheduled::BornDone {
            // The body does not run.
            place = Scheduled::NotRunning;
        }
        let grace = grace.filter(|_| !beside);
        let limit = start
            .limit
            .filter(|_| !beside)
            .filter(|_| kind.is_service())
            .map(usize::from);
        let grace = grace.filter(|_| kind != Kind::Raw);
        let when_room = from.is_none_or(|from| self.may_wait_for_room(from, via, own, grace));
        let when_room = when_room && start.when_room && kind != Kind::Raw;
        let node = self.new_node(kind, grace, limit.unwrap_or(1000));
        self.model.nodes[node].isolated = start.isolated && kind != Kind::Raw;
        if when_room {
            seen(Seen::WhenRoom);
            place = self.model.when_room(node, from, via?, opts_out, place);
        }
        self.place(node, place, from);
        if let (Some(byte), Scheduled::Under(_)) = (start.supervisor, place) {
            self.supervise(node, Plan::decode(byte));
        }
        if via.is_some() && own.is_some() && via != own {
            seen(Seen::ViaOther);
        }
        self.count_start(start, node, place, late);
        self.note(format!(
            "{node} = {kind:?} from {from:?} via {via:?}, grace {grace:?}, limit {limit:?}, beside {beside}{}{}: {place:?}",
            if start.isolated { ", isolated" } else { "" },
            if when_room { ", when room" } else { "" }
        ));
        Some(Launch {
            node,
            kind,
            via,
            grace: grace.map(length),
            limit,
            beside,
            isolated: start.isolated,
            when_room,
        })
    }

    /// Whether what comes of a wait for room is said: whether a task's turn comes in a poll that has cancelled is
    /// not, nor is it whether a task hears of the end of another service before the same failure has reached the
    /// task itself, whose grace then lets the wait go on. Nor is it whether the room for what a deferred cleanup starts
    /// under its own task comes before the turn of that, or whether room for a task with a grace comes before that of
    /// its parent begins. Nor is it whether what a supervisor runs hears of the end of a service elsewhere before the
    /// same cancellation has made the supervisor stop it.
    fn may_wait_for_room(
        &self,
        from: usize,
        via: Option<usize>,
        own: Option<usize>,
        grace: Option<u8>,
    ) -> bool {
        let poll = self.model.poll.as_ref();
        let cancels = poll.is_some_and(|poll| !poll.cancels.is_empty());
        let in_grace = self.model.effective_grace(from) > 0;
        let own_grace = grace.is_some_and(|grace| grace > 0);
        let own_deferred = self.model.deferred.is_some() && via == own;
        let (model, nodes) = (&self.model, 0..self.model.nodes.len());
        let mut supervisors = nodes.filter(|n| model.nodes[*n].supervisor.is_some());
        let apart = supervisors
            .any(|n| model.is_below(from, n) && via.is_some_and(|via| !model.is_below(via, n)));
        !cancels && !own_deferred && !apart && (via == own && !own_grace || !in_grace)
    }

    /// The services through which a call would wait for room.
    fn full(&self, from: Option<usize>, start: Start) -> Vec<usize> {
        let mut contexts = self.contexts();
        let waits = |via: &usize| {
            let place = self.model.place(from, start.kind, Some(*via), false);
            start.when_room && place == Scheduled::TooMany
        };
        contexts.retain(waits);
        contexts
    }

    /// Makes what was started a supervisor, if there is room for its children.
    fn supervise(&mut self, node: usize, plan: Plan) {
        let (children, incarnations) = (plan.children.len(), plan.incarnations());
        // Whether one that is born in a grace begins at all is not said, nor is it whether one does that is born in
        // a poll at the end of which a panic counts.
        let it = &self.model.nodes[node];
        let panics = self.model.poll.as_ref().map_or(0, |poll| poll.panics);
        let serves = it.kind == Kind::Service && it.closing.is_none() && panics == 0;
        if !serves || self.model.nodes.len() + children * incarnations > MOST_NODES {
            return;
        }
        seen(Seen::StartSupervisor);
        self.note(format!("{plan:?}"));
        let nodes = (0..children).map(|_| (0..incarnations).map(|_| self.new_child()).collect());
        let nodes: Vec<Vec<usize>> = nodes.collect();
        self.world.plan(node, plan.clone(), nodes.clone());
        self.model.supervise(node, plan, nodes);
        if let Some(poll) = &mut self.model.poll {
            poll.is_over = true;
        }
    }

    fn new_child(&mut self) -> usize {
        let node = self.new_node(Kind::Child, None, 1000);
        self.places.push(Scheduled::NotRunning);
        node
    }

    /// Whether only a cancellation, or a kill, of something above in this very poll makes it refuse.
    fn marked_late(&self, from: usize) -> bool {
        let Some(poll) = &self.model.poll else {
            return false;
        };
        let (it, now) = (&self.model.nodes[from], Some(self.model.now));
        let in_grace = it.closing.is_some() && self.model.now < it.grace_end;
        let goes_on = in_grace || !self.model.refuses_in_cancel(Some(from), from);
        let kill = it.killed == now && goes_on;
        it.closing == now && !poll.cancels.contains(&from) || kill && !poll.kills.contains(&from)
    }

    fn count_start(&self, start: Start, node: usize, place: Scheduled, late: bool) {
        seen(match start.kind {
            Kind::Raw => Seen::StartRaw,
            Kind::Task => Seen::StartTask,
            Kind::Daemon => Seen::StartDaemon,
            Kind::Service => Seen::StartService,
            Kind::DaemonService => Seen::StartDaemonService,
            Kind::Run | Kind::Child => Seen::StartRun,
        });
        if self.model.nodes[node].isolated {
            seen(Seen::Isolated);
        }
        match self.model.nodes[node].grace {
            Some(0) => seen(Seen::WithoutGrace),
            Some(_) => seen(Seen::WithGrace),
            None => {}
        }
        if start.limit.is_some() && start.kind.is_service() {
            seen(Seen::WithLimit);
        }
        match &self.model.nodes[node] {
            it if it.cover.is_some() => seen(Seen::Covered),
            it if it.attached && it.closing.is_some() && !late => seen(Seen::BornInGrace),
            _ => {}
        }
        seen(match place {
            Scheduled::BornDone => Seen::BornDone,
            Scheduled::NotRunning => Seen::NotRunning,
            Scheduled::TooMany => Seen::TooMany,
            // Counted by itself.
            Scheduled::Waits | Scheduled::Unsure => return,
            Scheduled::Under(_) if late => Seen::BornUnderLateMark,
            Scheduled::Under(None) => Seen::RootTask,
            Scheduled::Under(Some(parent)) => {
                if self.model.depth(parent) >= 3 {
                    seen(Seen::FromDeep);
                }
                match self.model.nodes[parent].service {
                    Some(_) => Seen::UnderService,
                    None => Seen::UnderTask,
                }
            }
        });
    }

    /// The code of a cleanup that runs makes a call.
    pub(super) fn cleanup_starts(&mut self, which: u8, start: Start) -> bool {
        let model = &self.model;
        let runs = |c: &usize| {
            let cleanup = &model.cleanups[*c];
            let sure = !model.nodes[cleanup.node].told_late && !model.waits_in(*c);
            cleanup.state == CleanupState::Running && !cleanup.released && sure
        };
        let running: Vec<_> = (0..model.cleanups.len()).filter(runs).collect();
        let Some(cleanup) = choose(&running, which) else {
            return false;
        };
        let node = model.cleanups[cleanup].node;
        let deferred = model.is_deferred(cleanup);
        // It waits for nothing itself.
        let kind = match start.kind {
            Kind::Run => Kind::Raw,
            kind => kind,
        };
        let start = Start {
            kind,
            beside: false,
            ..start
        };
        (self.model.calling, self.model.deferred) = (Some(cleanup), deferred.then_some(cleanup));
        let launch = self.start(Some(node), start);
        (self.model.calling, self.model.deferred) = (None, None);
        let Some(launch) = launch else {
            return false;
        };
        seen(match deferred {
            true => Seen::DeferredStarts,
            false => Seen::CleanupStarts,
        });
        self.note(format!("  in cleanup {cleanup}"));
        self.world.start_in_cleanup(cleanup, launch);
        true
    }
}
