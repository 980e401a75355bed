//! Asynchronous cleanup: `shielded`, `finally` and `defer`.
//!
//! Look at: the task is cancelled inside the `finally` body. The body is dropped, its cleanup is
//! awaited, then the guard of `defer` runs, and only then is the task done. `shielded` lets a step
//! that has begun end first.

use taskgrove::{Runtime, defer, finally, shielded, spawn, yield_now};

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let (say_polled, polled) = std::sync::mpsc::channel();
        let task = spawn(async move {
            let _connection = defer(async {
                yield_now().await; // an asynchronous destructor may wait
                println!("3. the connection is closed");
            });
            shielded(async {
                yield_now().await;
                println!("1. the header is written as a whole");
            })
            .await;
            let body = async {
                say_polled.send(()).expect("main waits");
                std::future::pending::<()>().await
            };
            finally(body, async { println!("2. the buffer is flushed") }).await
        });
        while polled.try_recv().is_err() {
            yield_now().await;
        }
        task.cancel(); // runs nothing on this stack, and does not block
        println!("4. {}", task.await.unwrap_err());
    });
    Ok(())
}

//= 1. the header is written as a whole
//= 2. the buffer is flushed
//= 3. the connection is closed
//= 4.
