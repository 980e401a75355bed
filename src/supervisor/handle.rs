//! [`SupervisorHandle`]: looks at the children of a supervisor, and starts and stops them.

use super::board::{Board, Found, Place};
use super::inbox::{Call, Inbox, Name};
use super::info::{ChildInfo, SupervisorError};
use super::reply::{Outcome, call};
use super::spec::ChildSpec;
use crate::protect::checkpoint;
use crate::service::{Manager, ManagerSlot};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::task::awaited::{Awaited, Event, Whom};
use crate::wait_list::registration::Registration;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;

/// What a supervisor and its handles share.
pub(super) struct Core {
    pub(super) slot: ManagerSlot,
    pub(super) board: Board,
    pub(super) inbox: Arc<Inbox>,
    /// The number of handles. Each handle counts itself in and out (AcqRel); the supervisor loads it (Acquire)
    /// when it begins, and is told when it comes to 0, or from there to 1, after that.
    handles: AtomicUsize,
    /// Whether the supervisor has begun to run. Swapped by each task that runs it; the swap only decides which of
    /// them does, so Relaxed suffices.
    begun: AtomicBool,
}

impl Core {
    pub(super) fn new() -> Core {
        Core {
            slot: ManagerSlot::new(),
            board: Board::new(),
            inbox: Arc::default(),
            handles: AtomicUsize::new(0),
            begun: AtomicBool::new(false),
        }
    }

    /// Notes that the supervisor runs. Returns whether it has not run before.
    pub(super) fn begin(&self) -> bool {
        !self.begun.swap(true, Ordering::Relaxed)
    }

    pub(super) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Acquire) != 0
    }

    /// Answers all calls and ends all waits: the supervisor is over.
    pub(super) fn close(&self) {
        self.board.close();
        self.inbox.close();
    }
}

/// A handle of a [`Supervisor`](super::Supervisor): looks at its children, and starts and stops them.
///
/// [`Supervisor::handle`](super::Supervisor::handle) makes one. Handles can be cloned, and used from any thread
/// and any task, also from inside the children.
///
/// # Calls
///
/// A call takes effect when the supervisor has taken it. Dropping its future after the first poll revokes nothing.
/// Before the start of the supervisor, while the supervisor is being stopped, and after its end, a call returns
/// [`NotRunning`](SupervisorError::NotRunning).
///
/// A child that asks for its own end is ended all the same. The call does not wait for that: it returns
/// [`Inside`](SupervisorError::Inside), if cancellation has not reached the caller before.
///
/// # Examples
///
/// ```
/// use taskgrove::supervisor::{ChildSpec, Strategy, Supervisor};
/// use taskgrove::{Runtime, service_fn};
/// let idle = |name: &'static str| {
///     ChildSpec::new(name, move || service_fn(name, async |_| std::future::pending().await))
/// };
/// let supervisor = Supervisor::new(Strategy::OneForOne).child(idle("db"));
/// let children = supervisor.handle();
/// let runtime = Runtime::new()?;
/// let manager = runtime.start(supervisor)?;
/// runtime.block_on(async {
///     let db = children.wait_child("db").await?;
///     let web = children.start_child(idle("web")).await?;
///     assert!(db.is_running() && web.is_running());
///     children.restart_child("db").await?;
///     assert!(db.is_finished() && children.child("db").is_some());
///     children.remove_child("web").await?;
///     assert_eq!(children.children().len(), 1);
///     manager.stop().await?;
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SupervisorHandle {
    core: Arc<Core>,
}

impl Clone for SupervisorHandle {
    fn clone(&self) -> Self {
        SupervisorHandle::new(self.core.clone())
    }
}

impl Drop for SupervisorHandle {
    fn drop(&mut self) {
        if self.core.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.core.inbox.handles_changed();
        }
    }
}

impl SupervisorHandle {
    pub(super) fn new(core: Arc<Core>) -> Self {
        if core.handles.fetch_add(1, Ordering::AcqRel) == 0 {
            core.inbox.handles_changed();
        }
        SupervisorHandle { core }
    }

    /// Adds a child and starts it, behind all other children in the order of starts. Resolves when the child
    /// is up: started, and ready if its spec waits for that.
    ///
    /// # Errors
    ///
    /// - [`AlreadyPresent`](SupervisorError::AlreadyPresent) if there is a child of that name, whether it runs
    ///   or not.
    /// - [`Start`](SupervisorError::Start) if the child does not come up, or another call stops it before that.
    ///   The supervisor forgets the spec of a start that has failed.
    /// - [`NotRunning`](SupervisorError::NotRunning) if the supervisor is not running.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<Manager, SupervisorError> {
        self.up(self.call(|_| Call::Start(spec)).await)
    }

    /// Stops a child as its [`shutdown`](ChildSpec::shutdown) says, and waits until it is finished. Its spec
    /// stays. A child that does not run, or waits for its restart, is not going to run by itself any more.
    ///
    /// # Errors
    ///
    /// Returns [`NoSuchChild`](SupervisorError::NoSuchChild), [`Inside`](SupervisorError::Inside) or
    /// [`NotRunning`](SupervisorError::NotRunning).
    pub async fn stop_child(&self, name: &str) -> Result<(), SupervisorError> {
        let call = self.call(|core| Call::Stop(core.name(name)));
        call.await.map(|_| ())
    }

    /// Starts a child that was stopped or has ended. One that runs is stopped first, and one that waits for its
    /// restart waits no longer. This does not count towards the intensity. Resolves when the new incarnation is
    /// up.
    ///
    /// # Errors
    ///
    /// Returns [`Start`](SupervisorError::Start) if the child does not come up. It is stopped then, unless the
    /// supervisor was about to restart it anyway. Returns also what [`stop_child`](SupervisorHandle::stop_child)
    /// returns.
    pub async fn restart_child(&self, name: &str) -> Result<Manager, SupervisorError> {
        self.up(self.call(|core| Call::Restart(core.name(name))).await)
    }

    /// Stops a child, waits until it is finished, and removes its spec.
    ///
    /// # Errors
    ///
    /// Returns what [`stop_child`](SupervisorHandle::stop_child) returns.
    pub async fn remove_child(&self, name: &str) -> Result<(), SupervisorError> {
        let call = self.call(|core| Call::Remove(core.name(name)));
        call.await.map(|_| ())
    }

    /// Returns the manager of the incarnation of a child that runs now, if one does.
    pub fn child(&self, name: &str) -> Option<Manager> {
        self.core.board.manager(name)
    }

    /// Waits until a child is up: it runs, and is ready if its spec waits for that. Returns the manager of that
    /// incarnation. Before the start of the supervisor it waits for that, too.
    ///
    /// # Errors
    ///
    /// Returns [`NoSuchChild`](SupervisorError::NoSuchChild) if the supervisor has no child of that name, or
    /// removes it, and [`NotRunning`](SupervisorError::NotRunning) if the supervisor is being stopped or ends, or
    /// is dropped before its start.
    pub async fn wait_child(&self, name: &str) -> Result<Manager, SupervisorError> {
        let place = self.core.board.place(name);
        let mut waiting = Registration::new(&place);
        // A supervisor that is ended before its first poll does not close the board as long as its value is kept.
        let mut ended = pin!(self.ended());
        let mut look = |place: &&Place<'_>, cx: &mut Context<'_>| match place.look() {
            Found::NotUp => None,
            Found::NotBegun if ended.as_mut().poll(cx).is_pending() => None,
            Found::Up(manager) => Some(Ok(manager)),
            Found::Over | Found::NotBegun => Some(Err(SupervisorError::NotRunning)),
            Found::NoSuchChild => Some(Err(SupervisorError::NoSuchChild {
                name: name.to_owned(),
            })),
        };
        let awaited = || Some(Awaited::Service(Event::Ready, Whom::unknown(name)));
        poll_fn(|cx| checkpoint::poll(cx, awaited, |cx| waiting.poll(cx, &mut look))).await
    }

    /// Returns the children in the order of starts. The list is empty before the supervisor has begun. After its
    /// end it shows the children as they were, and stopped.
    pub fn children(&self) -> Vec<ChildInfo> {
        self.core.board.children()
    }

    /// Makes a call, in the first poll, and waits for the answer or for the end of the supervisor.
    async fn call(&self, make: impl FnOnce(&Core) -> Call) -> Outcome {
        let core = &*self.core;
        let answered = async move {
            let (asked, reply) = call();
            core.inbox.call(make(core), asked);
            poll_fn(|cx| reply.poll(cx)).await
        };
        match core.slot.external_api(answered).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SupervisorError::NotRunning),
        }
    }

    /// Waits for the end of the supervisor, if it has a manager.
    async fn ended(&self) {
        match self.core.slot.get() {
            Ok(manager) => manager.wait_finished().await,
            Err(_) => pending().await,
        }
    }

    fn up(&self, outcome: Outcome) -> Result<Manager, SupervisorError> {
        outcome?.ok_or(SupervisorError::NotRunning)
    }
}

impl Core {
    fn name(&self, name: &str) -> Name {
        let manager = self.board.manager(name);
        Name {
            name: name.to_owned(),
            inside: manager.is_some_and(|manager| manager.contains_caller()),
        }
    }
}

impl std::fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SupervisorHandle")
            .field("supervisor", &self.core.slot)
            .finish_non_exhaustive()
    }
}
