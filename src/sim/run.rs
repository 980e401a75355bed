//! One run: what is ready in it, how far its pseudo-random numbers have been drawn, and its fingerprint.

use super::polls::Polls;
use super::random::{Random, mix};
use crate::task::Job;
use crate::task::raw::Queued;
use std::collections::VecDeque;

/// The kind of a step. The numbers are part of the fingerprint.
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
    /// The main future was woken.
    Main,
    /// A task is ready.
    Task,
    /// A job is queued.
    Job,
    /// A timer is due.
    Timer,
    /// Another thread has pushed a task or a job.
    Inbox,
    /// Siblings are done and not yet unlinked from their parent.
    Batch,
}

pub(super) const SOURCES: [Source; 6] = [
    Source::Main,
    Source::Task,
    Source::Job,
    Source::Timer,
    Source::Inbox,
    Source::Batch,
];

/// The ready task that a seed prefers in three of four draws.
#[derive(Clone, Copy)]
enum Preference {
    None,
    Oldest,
    Newest,
}

/// The state of a run that follows from its seed and its program.
pub(super) struct Run {
    pub(super) random: Random,
    weights: [usize; SOURCES.len()],
    preference: Preference,
    pub(super) tasks: VecDeque<Queued>,
    pub(super) jobs: Vec<Job>,
    pub(super) steps: u64,
    pub(super) fingerprint: u64,
    /// Polls since the clock last moved.
    pub(super) polls: Polls,
}

impl Run {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let weights = SOURCES.map(|_| 1 << random.below(5));
        let preference = [
            Preference::None,
            Preference::None,
            Preference::Oldest,
            Preference::Newest,
        ][random.below(4)];
        Run {
            random,
            weights,
            preference,
            tasks: VecDeque::new(),
            jobs: Vec::new(),
            steps: 0,
            fingerprint: 0,
            polls: Polls::default(),
        }
    }

    /// Counts a step and mixes it into the fingerprint. `about` is a task's id, or an instant in
    /// nanoseconds.
    pub(super) fn count_step(&mut self, kind: Kind, about: u64) {
        self.steps += 1;
        let step = mix(self.steps ^ (kind as u64) << 56);
        self.fingerprint = mix(self.fingerprint ^ step).wrapping_add(mix(about));
    }

    /// Draws one of the sources that have work, by their weights; `None` if none has.
    pub(super) fn draw_source(&mut self, has_work: [bool; SOURCES.len()]) -> Option<Source> {
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

    /// Draws one of the ready tasks and takes it out.
    pub(super) fn draw_task(&mut self) -> Option<Queued> {
        let any = matches!(self.preference, Preference::None) || self.random.one_in(4);
        match self.preference {
            _ if any => {
                let at = self.random.below(self.tasks.len());
                self.tasks.swap_remove_back(at)
            }
            Preference::Newest => self.tasks.pop_back(),
            _ => self.tasks.pop_front(),
        }
    }

    /// Draws one of the queued jobs and takes it out; there is at least one.
    pub(super) fn draw_job(&mut self) -> Job {
        let at = self.random.below(self.jobs.len());
        self.jobs.swap_remove(at)
    }
}
