//! [`Outside`]: what runs in this process outside of the tree.

use std::time::Duration;
use taskgrove::time::{interval, timeout};
use tokio::runtime::Handle;

/// How long to wait for what has to end soon.
const SOON: Duration = Duration::from_secs(10);

/// Looks at the tasks and threads that the tree does not know of.
#[derive(Clone)]
pub(crate) struct Outside(Handle);

impl Outside {
    /// Looks at the runtime of tokio's that the calling code is in.
    pub(crate) fn here() -> Outside {
        Outside(Handle::current())
    }

    /// Returns how many tasks of tokio's live: what was spawned with `tokio::spawn`.
    pub(crate) fn tasks(&self) -> usize {
        self.0.metrics().num_alive_tasks()
    }

    /// Tells whether a thread of the process has a name that begins so. The system keeps 15 characters of a name.
    pub(crate) fn has_thread(&self, name: &str) -> bool {
        if !cfg!(target_os = "linux") {
            return true; // nothing is known of threads here
        }
        let mut names = threads().into_iter();
        names.any(|found| found.starts_with(name))
    }

    /// Prints what there is.
    pub(crate) fn print(&self) {
        println!("    outside: {} tasks of tokio's", self.tasks());
        println!("    threads: {}", threads().join(", "));
    }

    /// Waits until no task of tokio's is left. The tree does not wait for them, so the program has to.
    pub(crate) async fn wait_until_empty(&self) -> taskgrove::Result {
        let wait = until(|| self.tasks() == 0);
        check("no task of tokio's is left", wait.await)
    }

    /// Waits until a thread has a name that begins so: a new thread takes its name when it runs first.
    pub(crate) async fn wait_for_thread(&self, name: &str) -> taskgrove::Result {
        let wait = until(|| self.has_thread(name));
        check(&format!("there is a thread `{name}`"), wait.await)
    }

    /// Waits until no thread has a name that begins so.
    pub(crate) async fn wait_until_no_thread(&self, name: &str) -> taskgrove::Result {
        let wait = until(|| !cfg!(target_os = "linux") || !self.has_thread(name));
        check(&format!("no thread `{name}` is left"), wait.await)
    }
}

/// Returns the names of the threads of this process, if the system shows them.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let names = tasks.filter_map(|task| {
        let name = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        Some(name.trim().to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Waits until a condition holds, and returns whether it did so soon.
async fn until(mut holds: impl FnMut() -> bool) -> bool {
    let mut ticks = interval(Duration::from_millis(5));
    let wait = async {
        while !holds() {
            ticks.tick().await;
        }
    };
    timeout(SOON, wait).await.is_ok()
}

/// Fails if this does not hold.
pub(crate) fn check(what: &str, holds: bool) -> taskgrove::Result {
    if !holds {
        return Err(format!("this does not hold: {what}").into());
    }
    println!("{what}");
    Ok(())
}
