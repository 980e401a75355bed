//! A service as a program: signals, a time limit for its shutdown, exit codes, and what an init system is told (the
//! feature `process`).
//!
//! ```no_run
//! use std::process::ExitCode;
//! use taskgrove::{Context, service_fn};
//!
//! fn main() -> ExitCode {
//!     taskgrove::process::run(service_fn("app", async |ctx: Context| {
//!         ctx.set_ready();
//!         ctx.cancelled().await;
//!         Ok(())
//!     }))
//! }
//! ```
//!
//! # Signals
//!
//! | signal | what it does |
//! |---|---|
//! | SIGINT, SIGTERM (Ctrl-C where there are no signals) | cancels the service; the [cause](crate::CancelCause) has the name of the signal as its reason |
//! | a second one of these, or the end of [`drain`](Process::drain) | names what is left on stderr, and kills it |
//! | SIGQUIT | prints the tree to stderr, and the service goes on |
//!
//! A kill ends every task but one that is in a poll, or in a [blocking closure](crate::NodeState::Blocking), that does not
//! return. When nothing more has ended for a second after the kill, or at a third signal, the process exits
//! nevertheless. Once [`Process::run`] has returned, the signals have their usual effect again.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | the service has ended without a failure, by itself or because of a signal |
//! | 1 | it has failed, or could not be started (printed to stderr, with paths); or a root beside it outlived its drain |
//! | 128 + the number of the signal | something had to be killed |
//!
//! # The init system
//!
//! If the environment has `NOTIFY_SOCKET`, as under systemd with `Type=notify`, the process says `READY=1` when the
//! service is [ready](crate::Context::set_ready), and `STOPPING=1` when it is being cancelled or has ended. A service
//! that never says that it is ready counts as ready some time after its start; see
//! [`ready_within`](Process::ready_within). With `WATCHDOG_USEC`, unless `WATCHDOG_PID` is another process, it says
//! `WATCHDOG=1` twice in that time. A task of the runtime does so: a runtime none of whose workers comes to an end of
//! its poll does not say it, and the init system restarts the process.

// For maintainers. Three threads take part, and a fourth that tells an init system of a state (`notify`):
//
// - The calling thread blocks on the end of the service, and then shuts the runtime down.
// - One thread waits for signals (`signals`).
// - One thread decides (`control`). It has the time limits, and ends the process if nothing else can. It runs no task
//   and no text of an error, and waits for no lock that code of the user's may hold; what it prints is made and printed
//   by another thread, for which it waits for a limited time, since stderr may be a full pipe.
//
// The atomics of this room are std's: a signal handler reads one, and no model runs a process.

mod control;
mod event;
mod notify;
mod print;
mod signals;

use crate::error::LifecycleError;
use crate::panics::quietly;
use crate::runtime::{Builder, Runtime};
use crate::service::{Manager, ManagerBuilder, Service};
use control::Control;
use event::{Event, code_of};
use notify::{Notifier, OwnTasks};
use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Arc, atomic::AtomicI32, atomic::Ordering};
use std::time::Duration;

/// The code of a process whose service has failed.
const FAILED: u8 = 1;

/// Runs a service as the program, with the settings of [`Process::new`]; see [`process`](self).
///
/// # Examples
///
/// ```
/// use std::process::ExitCode;
/// use taskgrove::{process, service_fn};
/// let code = process::run(service_fn("job", async |_| Ok(())));
/// assert_eq!(code, ExitCode::SUCCESS);
/// ```
#[track_caller]
pub fn run<S: Service>(service: S) -> ExitCode {
    Process::new().run(service)
}

/// Configures how a service is run as a program; see [`process`](self).
///
/// # Examples
///
/// ```no_run
/// use std::process::ExitCode;
/// use std::time::Duration;
/// use taskgrove::{Runtime, process::Process, service_fn};
/// fn main() -> ExitCode {
///     Process::new()
///         .drain(Duration::from_secs(30))
///         .runtime(Runtime::builder().workers(4))
///         .run(service_fn("app", async |_| Ok(())))
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing runs until `run` is called"]
pub struct Process {
    drain: Duration,
    ready_within: Duration,
    runtime: Builder,
}

impl Default for Process {
    fn default() -> Self {
        Process::new()
    }
}

impl Process {
    /// Returns the defaults: a drain of 10 seconds, and a runtime with a worker for each core.
    pub fn new() -> Process {
        Process {
            drain: Duration::from_secs(10),
            ready_within: Duration::from_secs(5),
            runtime: Runtime::builder(),
        }
    }

    /// Sets how long after the first signal the service may take to end, before it is killed. By default it is 10
    /// seconds. With `Duration::MAX` only a second signal kills.
    pub fn drain(mut self, limit: Duration) -> Process {
        self.drain = limit;
        self
    }

    /// Sets how long after its start a service that has not said that it is ready counts as ready for the init
    /// system. By default it is 5 seconds. With `Duration::MAX` the service has to say it.
    pub fn ready_within(mut self, limit: Duration) -> Process {
        self.ready_within = limit;
        self
    }

    /// Sets the runtime that the service runs in.
    ///
    /// With [`workers(0)`](Builder::workers) the tasks run on the thread that calls [`run`](Process::run).
    pub fn runtime(mut self, builder: Builder) -> Process {
        self.runtime = builder;
        self
    }

    /// Runs the service to its end, and returns the code for the process to exit with; see [`process`](self).
    ///
    /// When the service has ended, other roots of the runtime are cancelled, and have the drain to come to an end.
    ///
    /// # Errors
    ///
    /// A failure of the service, or of its start, is printed to stderr and makes the code 1.
    #[track_caller]
    pub fn run<S: Service>(self, service: S) -> ExitCode {
        self.run_builder(Manager::builder(service))
    }

    /// Runs a service as [`run`](Process::run) does, with the settings of a builder: its name, its limit of
    /// children, its grace period, and the like.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::ExitCode;
    /// use taskgrove::process::Process;
    /// use taskgrove::supervisor::{Strategy, Supervisor};
    /// use taskgrove::Manager;
    /// let app = Manager::builder(Supervisor::new(Strategy::OneForOne)).name("app");
    /// assert_eq!(Process::new().run_builder(app), ExitCode::SUCCESS);
    /// ```
    #[track_caller]
    pub fn run_builder(self, builder: ManagerBuilder) -> ExitCode {
        match self.start(builder) {
            Ok(running) => running.end(),
            Err(error) => {
                print::print(|| error);
                ExitCode::from(FAILED)
            }
        }
    }

    #[track_caller]
    fn start(self, builder: ManagerBuilder) -> Result<Running, String> {
        let said = |error: io::Error| error.to_string();
        let (events, received) = mpsc::channel();
        // Before the service begins, so that no signal ends the process without its cancellation.
        let signals = signals::Signals::begin(events.clone())
            .map_err(|error| format!("cannot handle signals: {error}"))?;
        let runtime =
            (self.runtime.build()).map_err(|error| format!("cannot start the runtime: {error}"))?;
        let notifier = Arc::new(Notifier::from_environment());
        let started = builder.start(&runtime);
        let manager = started.map_err(|error: LifecycleError| error.to_string())?;
        let own = notify::spawn_tasks(&runtime, &manager, &notifier, self.ready_within);
        let (asked, killed) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicI32::new(0)));
        let control = Control {
            manager: manager.clone(),
            handle: runtime.handle().clone(),
            notifier: notifier.clone(),
            own: own.clone(),
            drain: self.drain,
            asked: asked.clone(),
            killed: killed.clone(),
        };
        let thread = std::thread::Builder::new().name("taskgrove-control".to_owned());
        let control = thread.spawn(move || control.run(received)).map_err(said)?;
        Ok(Running {
            runtime,
            manager,
            notifier,
            own,
            drain: self.drain,
            asked,
            killed,
            events,
            control,
            _signals: signals,
        })
    }
}

/// A service that runs as the program.
struct Running {
    runtime: Runtime,
    manager: Manager,
    notifier: Arc<Notifier>,
    own: OwnTasks,
    drain: Duration,
    /// The number of the signal that began the drain; 0 as long as there was none. The control stores it, with Relaxed:
    /// this thread joins the control before it loads it.
    asked: Arc<AtomicI32>,
    /// The number of the signal for which the rest was killed; 0 as long as nothing was. The control stores it before
    /// the kill, with Release; this thread loads it with Acquire after the end that the kill has brought about.
    killed: Arc<AtomicI32>,
    events: mpsc::Sender<Event>,
    control: std::thread::JoinHandle<()>,
    _signals: signals::Signals,
}

impl Running {
    fn end(self) -> ExitCode {
        let notifier = self.notifier.clone();
        let code = self.wait();
        notifier.flush();
        code
    }

    /// Waits for the end, and shuts the runtime down.
    fn wait(self) -> ExitCode {
        self.runtime.block_on(self.manager.wait_finished());
        let result = self.manager.result().unwrap_or(Ok(()));
        self.notifier.ended(result.is_ok());
        let has_failed = result.is_err();
        if let Err(error) = result {
            print::print(move || error.to_string());
        }
        let has_killed = || self.killed.load(Ordering::Acquire);
        let limit = if has_killed() == 0 {
            self.drain
        } else {
            Duration::ZERO
        };
        let left = self.runtime.shutdown_timeout(limit);
        // The control prints what a signal has killed, and waits no longer from here on.
        let _ = self.events.send(Event::Ended);
        let _ = self.control.join();
        // The service's errors are dropped with it, and may panic in that.
        let manager = self.manager;
        quietly(|| drop(manager));
        if has_killed() != 0 {
            return ExitCode::from(code_of(has_killed()));
        }
        if let Err(left) = left
            && self.own.are_not_all(&left.remaining)
        {
            print::print(move || print::describe(&left));
            // The drain of a signal may end at the same moment as that of the roots beside the service.
            return ExitCode::from(match self.asked.load(Ordering::Relaxed) {
                0 => FAILED,
                signal => code_of(signal),
            });
        }
        if has_failed {
            ExitCode::from(FAILED)
        } else {
            ExitCode::SUCCESS
        }
    }
}
