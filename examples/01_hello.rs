//! The smallest program: a runtime, a task, and its value.
//!
//! Look at: `block_on` drives the future on this thread, `spawn` puts a task onto the workers, and
//! awaiting the handle gives the task's value, or says why there is none.

use taskgrove::Runtime;

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?; // one worker per core
    let greeting = runtime.block_on(async {
        let task = taskgrove::spawn(async { "hello from a task".to_owned() });
        task.await
    })?;
    println!("{greeting}");
    Ok(())
}

//= hello from a task
