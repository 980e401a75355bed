//! What a simulation does when no source has work: it waits for other threads, lets time pass, or
//! concludes that there is a deadlock. [`super::inbox`] has the protocol and its proof.

use super::engine::Engine;
use super::run::Kind;
use crate::task::Shared;
use crate::tree::hands;

pub(super) enum Advance {
    /// Something may be ready now.
    LookAgain,
    /// Nothing can go on.
    Deadlock,
}

impl Engine {
    /// Waits for other threads, or lets time pass until the next timer is due. No source had work at
    /// the last look. `woken` returns whether the main future was woken.
    pub(super) fn advance(&self, shared: &Shared, woken: impl Fn() -> bool) -> Advance {
        let inbox = &self.inbox;
        if !inbox.expects_work() {
            // What a working thread did before it was counted out is visible from here on.
            if woken() || self.has_work(shared) {
                return Advance::LookAgain;
            }
            let next = shared.timers.next_deadline();
            let looks_at_tree = next.is_none() || inbox.has_visitors();
            let waits = looks_at_tree && hands::hold_something(shared);
            if woken() || self.has_work(shared) {
                return Advance::LookAgain;
            }
            if !waits {
                let Some(at) = next else {
                    return Advance::Deadlock;
                };
                self.jump(shared, at);
                return Advance::LookAgain;
            }
        }
        inbox.park();
        Advance::LookAgain
    }

    /// Lets time pass until this instant.
    fn jump(&self, shared: &Shared, at: u64) {
        shared.clock.advance_to(at);
        shared.refresh_clock();
        let mut run = self.run.lock();
        run.count_step(Kind::Clock, at);
        run.polls.reset();
    }
}
