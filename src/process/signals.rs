//! The signals that a process gets while it runs a service.

use super::event::Event;
use std::io;
use std::sync::mpsc::Sender;

#[cfg(not(unix))]
pub(super) use elsewhere::{QUIT, Signals, name};
#[cfg(unix)]
pub(super) use unix::{QUIT, Signals, name};

#[cfg(unix)]
mod unix {
    use super::{Event, Sender, io};
    use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::{Handle, Signals as Iterator};
    use signal_hook::low_level::signal_name;
    use std::borrow::Cow;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};

    /// The signal that prints the tree.
    pub(in crate::process) const QUIT: i32 = SIGQUIT;
    const ALL: [i32; 3] = [SIGINT, SIGTERM, SIGQUIT];

    /// Returns the name of a signal, as in `SIGTERM`.
    pub(in crate::process) fn name(signal: i32) -> Cow<'static, str> {
        match signal_name(signal) {
            Some(name) => name.into(),
            None => format!("signal {signal}").into(),
        }
    }

    /// Sends the signals to the control, until it is dropped.
    pub(in crate::process) struct Signals(Handle);

    /// The calls of `run` that have begun and not ended.
    ///
    /// Changed by the threads that call it, with `SeqCst`, as `UNHANDLED` is, so that the latter says in the end what
    /// the former came to.
    static RUNS: AtomicUsize = AtomicUsize::new(0);

    /// Whether a signal has its usual effect, because no service runs. Read by the signal handler.
    static UNHANDLED: OnceLock<Result<Arc<AtomicBool>, io::ErrorKind>> = OnceLock::new();

    impl Signals {
        // A signal calls the actions in the order of their registration. The usual effect is decided first: were it
        // decided after the signal was sent to the control, the service might have ended because of the signal by then,
        // and the same signal would end the process. So until a service runs, and after that, a signal has its
        // usual effect, and none is lost in between.
        pub(in crate::process) fn begin(events: Sender<Event>) -> io::Result<Signals> {
            if let Err(kind) = UNHANDLED.get_or_init(usual_effect) {
                return Err((*kind).into());
            }
            let mut signals = Iterator::new(ALL)?;
            let this = Signals(signals.handle());
            RUNS.fetch_add(1, Ordering::SeqCst);
            set_unhandled();
            let thread = std::thread::Builder::new().name("taskgrove-signals".to_owned());
            thread.spawn(move || {
                for signal in &mut signals {
                    // The control is gone once the service has ended.
                    let _ = events.send(Event::Signal(signal));
                }
            })?;
            Ok(this)
        }
    }

    /// Gives the signals their usual effect as long as the flag is set. For as long as the process lives: a handler that
    /// is taken away does not restore it.
    fn usual_effect() -> Result<Arc<AtomicBool>, io::ErrorKind> {
        let unhandled = Arc::new(AtomicBool::new(true));
        for signal in ALL {
            flag::register_conditional_default(signal, unhandled.clone())
                .map_err(|error| error.kind())?;
        }
        Ok(unhandled)
    }

    fn set_unhandled() {
        if let Some(Ok(unhandled)) = UNHANDLED.get() {
            unhandled.store(RUNS.load(Ordering::SeqCst) == 0, Ordering::SeqCst);
        }
    }

    impl Drop for Signals {
        fn drop(&mut self) {
            RUNS.fetch_sub(1, Ordering::SeqCst);
            set_unhandled();
            self.0.close();
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use super::{Event, Sender, io};
    use std::borrow::Cow;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// No event has this number: the tree cannot be asked for.
    pub(in crate::process) const QUIT: i32 = 3;
    /// The number that Ctrl-C has where there are signals.
    const INT: i32 = 2;

    /// Returns the name of the only event that there is.
    pub(in crate::process) fn name(_: i32) -> Cow<'static, str> {
        "Ctrl-C".into()
    }

    /// Sends Ctrl-C to the control, until it is dropped.
    pub(in crate::process) struct Signals(u64);

    /// Where to send. The handler of the process is set once and stays.
    static SENDERS: Mutex<Vec<(u64, Sender<Event>)>> = Mutex::new(Vec::new());
    static NEXT: AtomicU64 = AtomicU64::new(0);

    fn senders() -> std::sync::MutexGuard<'static, Vec<(u64, Sender<Event>)>> {
        SENDERS
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn on_ctrl_c() {
        let senders = senders();
        if senders.is_empty() {
            // No service runs: the usual effect.
            std::process::exit(crate::process::event::code_of(INT).into());
        }
        for (_, events) in senders.iter() {
            let _ = events.send(Event::Signal(INT));
        }
    }

    impl Signals {
        pub(in crate::process) fn begin(events: Sender<Event>) -> io::Result<Signals> {
            // Only a number; Relaxed suffices.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            if number == 0 {
                ctrlc::set_handler(on_ctrl_c).map_err(io::Error::other)?;
            }
            senders().push((number, events));
            Ok(Signals(number))
        }
    }

    impl Drop for Signals {
        fn drop(&mut self) {
            senders().retain(|(number, _)| *number != self.0);
        }
    }
}
