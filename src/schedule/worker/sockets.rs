//! [`Sockets`]: a worker's look at the queue of the sockets' events. Without the feature `net` there is none.

#[cfg(not(feature = "net"))]
pub(super) use none::Sockets;
#[cfg(feature = "net")]
pub(super) use with_queue::Sockets;

#[cfg(feature = "net")]
mod with_queue {
    use crate::reactor::Events;
    use crate::schedule::idle::EventQueue;
    use crate::schedule::pool::Pool;
    use crate::schedule::woken::Woken;
    use crate::sync::Parker;
    use std::time::Instant;

    /// The most polls between two looks of a worker that is busy.
    const POLLS_APART: u64 = 250;
    /// The most nanoseconds between two looks, if no poll is longer.
    const NS_APART: u64 = 1_000_000;

    /// What a worker has to wait for sockets, and to look after them while it is busy.
    pub(in crate::schedule::worker) struct Sockets<'a> {
        pool: &'a Pool,
        events: Events,
        /// The worker's polls at its last look, and the time.
        polls_then: u64,
        ns_then: u64,
    }

    impl<'a> Sockets<'a> {
        pub(in crate::schedule::worker) fn new(pool: &'a Pool) -> Self {
            Sockets {
                pool,
                events: Events::default(),
                polls_then: 0,
                ns_then: 0,
            }
        }

        /// Looks for events if that is due. Returns whether there are any, for
        /// [`dispatch`](Sockets::dispatch). The worker has begun so many polls, and it is `now`.
        ///
        /// If another thread waits in the queue, the look would be one too many, and is left out.
        pub(in crate::schedule::worker) fn look(&mut self, polls: u64, now: u64) -> bool {
            let Some(reactor) = self.pool.reactor.get() else {
                return false;
            };
            let polls_since = polls.wrapping_sub(self.polls_then);
            if polls_since < POLLS_APART && now.saturating_sub(self.ns_then) < NS_APART {
                return false;
            }
            (self.polls_then, self.ns_then) = (polls, now);
            reactor.look(&mut self.events)
        }

        /// Wakes the code that waits for the events. Tasks go into the worker's own queue; with `give_away`
        /// they go to the injector, since the polls of this worker are long. Then `before_foreign` is
        /// called, if there are wakers that are no task's, and these are woken.
        pub(in crate::schedule::worker) fn dispatch(
            &mut self,
            give_away: bool,
            before_foreign: impl FnOnce(),
        ) {
            let Some(reactor) = self.pool.reactor.get() else {
                return;
            };
            let mut woken = Woken::new(give_away);
            reactor.dispatch(&mut self.events, |waker| woken.wake(waker));
            woken.wake_foreign(before_foreign);
        }
    }

    impl EventQueue for Sockets<'_> {
        fn wait(&mut self, parker: &Parker, until: Option<Instant>, exact: bool) -> bool {
            let reactor = self.pool.reactor.get();
            let reactor = reactor.expect("a sleeper polls only if there is a queue");
            reactor.wait(parker, &mut self.events, until, exact)
        }
    }
}

#[cfg(not(feature = "net"))]
mod none {
    use crate::schedule::idle::{EventQueue, NoQueue};
    use crate::schedule::pool::Pool;
    use crate::sync::Parker;
    use std::marker::PhantomData;
    use std::time::Instant;

    /// Nothing: there are no sockets.
    pub(in crate::schedule::worker) struct Sockets<'a>(PhantomData<&'a ()>);

    impl<'a> Sockets<'a> {
        pub(in crate::schedule::worker) fn new(_: &'a Pool) -> Self {
            Sockets(PhantomData)
        }

        #[inline(always)]
        pub(in crate::schedule::worker) fn look(&mut self, _: u64, _: u64) -> bool {
            false
        }

        #[inline(always)]
        pub(in crate::schedule::worker) fn dispatch(&mut self, _: bool, _: impl FnOnce()) {}
    }

    impl EventQueue for Sockets<'_> {
        fn wait(&mut self, parker: &Parker, until: Option<Instant>, exact: bool) -> bool {
            NoQueue.wait(parker, until, exact)
        }
    }
}
