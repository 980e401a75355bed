//! Sequences of calls against taskgrove in its simulator, held after every step against a small
//! reference model. Used by `tests/lifecycle` on seeds and on a corpus, and by the fuzz target
//! `lifecycle` on whatever bytes libFuzzer finds.

mod beside;
mod calls;
mod cause;
mod causes;
mod check;
mod clock;
mod count;
mod done;
mod drive;
mod ends;
mod events;
mod fail;
mod interp;
mod kill;
mod launch;
mod model;
mod node;
mod ops;
mod outside;
mod place;
mod room;
mod rules;
mod said;
mod same;
mod shrink;
mod slots;
mod start;
mod supervise;
mod supervisor;
mod tell;
mod turn;
mod woken;
mod world;

#[allow(unused_imports, reason = "each user has its own way to look at them")]
pub(crate) use count::{counts, table};
pub(crate) use shrink::shrink;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Panics that the sequences ask for are not printed.
fn quiet() -> impl Drop {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            QUIET.set(self.0);
        }
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    Restore(QUIET.replace(true))
}

/// Runs the sequence that these bytes are. The steps that were taken are left in `trace`.
pub(crate) fn run_traced(bytes: &[u8], trace: &mut Vec<String>) -> Result<(), String> {
    let quiet = quiet();
    let ran = catch_unwind(AssertUnwindSafe(|| drive::run(bytes, trace)));
    drop(quiet);
    ran.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

pub(crate) fn run(bytes: &[u8]) -> Result<(), String> {
    run_traced(bytes, &mut Vec::new())
}

/// The shortest sequence found that still fails, as text: the steps, what is wrong, the bytes.
pub(crate) fn report(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let short = shrink(bytes, |bytes| run(bytes).is_err());
    let mut trace = Vec::new();
    let error = run_traced(&short, &mut trace).err().unwrap_or_default();
    let mut text = String::from("the model and the runtime disagree:\n");
    for (n, step) in trace.iter().enumerate() {
        let _ = writeln!(text, "  {n:>3} {step}");
    }
    let _ = writeln!(text, "  {error}\n  bytes: {short:?}");
    text
}
