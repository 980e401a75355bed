//! An HTTP service as a program on taskgrove: it answers HTTP/1 and 2 on one port, hands work to supervised
//! workers, shows its tree of tasks, and drains without losing a request.
//!
//! `cargo run` in this directory, and then:
//!
//! | | |
//! |---|---|
//! | <http://127.0.0.1:8080/> | a page that draws the live tree |
//! | `curl 127.0.0.1:8080/tree` | the tree as text; `/tree.json` as JSON |
//! | `curl 127.0.0.1:8080/changes?ms=2000` | what appeared, what is gone and what did not move within two seconds |
//! | `curl 127.0.0.1:8080/metrics` | counts in the text format of Prometheus |
//! | `curl 127.0.0.1:8080/healthz`, `/readyz` | what a load balancer asks |
//! | `curl 127.0.0.1:8080/work` | a job for a worker; `?ms=500` takes longer, `?fail=1` makes the worker fail, `?block=200` blocks its thread, `?n=7` is the number of the job |
//!
//! Ctrl-C or SIGTERM drains: nothing is accepted any more, what was asked is answered, then the process exits.
//!
//! | file | concept |
//! |---|---|
//! | `app.rs` | the tree of services, and the order in which it starts and stops |
//! | `worker.rs` | a worker that may fail, and the queue of jobs that survives it |
//! | `http.rs` | the port: accepting, and the order of a drain |
//! | `connection.rs` | one connection, from its first byte to its goodbye |
//! | `routes.rs` | what is answered |
//! | `look.rs`, `page.html` | the tree as JSON, and the page that draws it |
//! | `metrics.rs`, `stalls.rs` | the counts, and who has blocked a thread |
//! | `state.rs`, `say.rs` | what the parts share, and lines of output |

mod app;
mod connection;
mod http;
mod look;
mod metrics;
mod options;
mod routes;
mod say;
mod stalls;
mod state;
mod worker;

use app::App;
use options::Options;
use stalls::Stalls;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use taskgrove::Runtime;
use taskgrove::process::Process;

/// A poll that lasts this long is reported: no other task runs on its thread meanwhile.
const STALL: Duration = Duration::from_millis(50);

/// How long the whole program may take to end. It is longer than the time that connections have to finish
/// (`app::DRAIN`), since the workers are stopped after them.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            say::err(error);
            return ExitCode::from(2);
        }
    };
    let stalls = Arc::new(Stalls::default());
    // The three settings cost a little on each poll, and are what makes the pictures worth looking at.
    let runtime = Runtime::builder()
        .track_busy_time(true)
        .track_awaits(true)
        .on_stall(STALL, {
            let stalls = stalls.clone();
            move |stall| stalls.add(stall)
        });
    let app = App::new(&options, stalls);
    let state = app.state().clone();
    let code = Process::new().drain(PATIENCE).runtime(runtime).run(app);
    let (read, answered) = (&state.counts.read, &state.counts.answered);
    say::out(format_args!(
        "{} requests were read, {} answered",
        read.load(Relaxed),
        answered.load(Relaxed)
    ));
    code
}
