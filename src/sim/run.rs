//! A run: what is ready in it, where in the seed's numbers it is, and its fingerprint.

use super::livelock::Rounds;
use super::random::{Random, mix};
use crate::task::{Job, Node};
use std::collections::VecDeque;

/// Numbers of the fingerprint: what kind of step it was.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Main = 1,
    Task,
    Close,
    Finish,
    Walk,
    Timer,
    Clock,
    LandTask,
    LandJob,
    Flush,
}

/// Where a step takes its work from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Main,
    Task,
    Job,
    Timer,
    Outside,
    Done,
}

pub(super) const SOURCES: [Source; 6] = [
    Source::Main,
    Source::Task,
    Source::Job,
    Source::Timer,
    Source::Outside,
    Source::Done,
];

/// Which of the ready tasks a seed prefers.
#[derive(Clone, Copy)]
enum Taste {
    Any,
    Oldest,
    Newest,
}

/// A run so far: its queues, and where in the seed's numbers it is.
pub(super) struct Run {
    pub(super) random: Random,
    weights: [usize; SOURCES.len()],
    taste: Taste,
    pub(super) tasks: VecDeque<Node>,
    pub(super) jobs: Vec<Job>,
    pub(super) steps: u64,
    pub(super) fingerprint: u64,
    /// Polls since the clock moved last.
    pub(super) rounds: Rounds,
}

impl Run {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let weights = SOURCES.map(|_| 1 << random.below(5));
        let taste = [Taste::Any, Taste::Any, Taste::Oldest, Taste::Newest][random.below(4)];
        Run {
            random,
            weights,
            taste,
            tasks: VecDeque::new(),
            jobs: Vec::new(),
            steps: 0,
            fingerprint: 0,
            rounds: Rounds::default(),
        }
    }

    pub(super) fn note(&mut self, kind: Kind, what: u64) {
        self.steps += 1;
        let step = mix(self.steps ^ (kind as u64) << 56);
        self.fingerprint = mix(self.fingerprint ^ step).wrapping_add(mix(what));
    }

    /// Draws one of the sources that have work.
    pub(super) fn source(&mut self, has_work: [bool; SOURCES.len()]) -> Option<Source> {
        let weight = |at: usize| if has_work[at] { self.weights[at] } else { 0 };
        let total: usize = (0..SOURCES.len()).map(weight).sum();
        if total == 0 {
            return None;
        }
        let mut drawn = self.random.below(total);
        for (at, source) in SOURCES.into_iter().enumerate() {
            let weight = if has_work[at] { self.weights[at] } else { 0 };
            if drawn < weight {
                return Some(source);
            }
            drawn -= weight;
        }
        None
    }

    pub(super) fn task(&mut self) -> Option<Node> {
        let any = matches!(self.taste, Taste::Any) || self.random.one_in(4);
        match self.taste {
            _ if any => {
                let at = self.random.below(self.tasks.len());
                self.tasks.swap_remove_back(at)
            }
            Taste::Newest => self.tasks.pop_back(),
            _ => self.tasks.pop_front(),
        }
    }
}
