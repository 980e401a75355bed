//! Who looks at the sockets, and when: beside polls that last, in idle runtimes, and beside timers.

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
use std::time::Instant;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use taskgrove::net::TcpListener;
#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
use taskgrove::time::sleep;
use taskgrove::{Runtime, spawn, yield_now};

use crate::common::watchdog;

/// Answers each byte with itself. Before it answers `b'!'`, its poll blocks until the other side of `block`
/// says go.
async fn serve(listener: TcpListener, block: Arc<Mutex<mpsc::Receiver<()>>>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let block = block.clone();
        drop(spawn(async move {
            let mut byte = [0];
            while stream.read(&mut byte).await.expect("read") == 1 {
                if byte == *b"!" {
                    block.lock().expect("no panic").recv().ok();
                }
                stream.write_all(&byte).await.expect("written");
            }
        }));
    }
}

fn ask(stream: &mut StdStream, byte: u8) {
    stream.write_all(&[byte]).expect("written");
    assert_eq!(answer(stream), byte);
}

fn answer(stream: &mut StdStream) -> u8 {
    let mut read = [0];
    stream.read_exact(&mut read).expect("an answer");
    read[0]
}

/// All workers but one block in polls that events have started. The one that is left looks at the sockets,
/// however the blocked ones were woken: else the last request would not be answered before the others, and
/// the test would hang.
#[test]
fn while_a_worker_is_free_no_poll_keeps_an_event_waiting() {
    watchdog(|| {
        for workers in [2, 3] {
            let rt = Runtime::builder()
                .workers(workers)
                .build()
                .expect("a runtime");
            let (go, goes) = mpsc::channel();
            let goes = Arc::new(Mutex::new(goes));
            let listener = rt
                .block_on(TcpListener::bind("127.0.0.1:0"))
                .expect("a listener");
            let address = listener.local_addr().expect("an address");
            drop(rt.spawn(serve(listener, goes)));
            let connect = || StdStream::connect(address).expect("connected");
            let mut blocking: Vec<_> = (1..workers).map(|_| connect()).collect();
            let mut light = connect();
            for turn in 0..60 {
                // In some turns the runtime is warm, in others all its workers sleep for good.
                match turn % 3 {
                    0 => std::thread::sleep(Duration::from_millis(8)),
                    1 => (0..20).for_each(|_| ask(&mut light, b'-')),
                    _ => {}
                }
                for stream in &mut blocking {
                    stream.write_all(b"!").expect("written");
                    if turn % 2 == 0 {
                        ask(&mut light, b'?');
                    }
                }
                ask(&mut light, b'.');
                (1..workers).for_each(|_| go.send(()).expect("they wait"));
                for stream in &mut blocking {
                    assert_eq!(answer(stream), b'!');
                }
            }
        }
    });
}

/// The only worker never runs out of tasks, and so never waits for the sockets. With `workers(0)` it is the thread
/// in `block_on`.
#[test]
fn a_worker_that_is_never_idle_serves_the_sockets() {
    watchdog(|| {
        for workers in [0, 1] {
            let rt = Runtime::builder()
                .workers(workers)
                .build()
                .expect("a runtime");
            rt.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
                let address = listener.local_addr().expect("an address");
                let server = spawn(serve(listener, Arc::new(Mutex::new(mpsc::channel().1))));
                let busy = spawn(async {
                    loop {
                        yield_now().await;
                    }
                });
                let client = std::thread::spawn(move || {
                    let mut client = StdStream::connect(address).expect("connected");
                    (0..20).for_each(|n| ask(&mut client, n));
                });
                while !client.is_finished() {
                    yield_now().await;
                }
                client.join().expect("it was served");
                busy.cancel();
                server.cancel();
            });
        }
    });
}

/// How often the threads with this name have given their processor up, or lost it.
#[cfg(target_os = "linux")]
fn switches(name: &str) -> u64 {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task").expect("the threads") {
        let thread = thread.expect("a thread").path();
        let read = |file| std::fs::read_to_string(thread.join(file)).unwrap_or_default();
        if read("comm").starts_with(name) {
            let status = read("status");
            let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
            let counts =
                counts.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            sum += counts.sum::<u64>();
        }
    }
    sum
}

/// A thread that makes a system call in vain returns to the queue, which it can only leave by a switch.
#[cfg(target_os = "linux")]
#[test]
fn an_idle_runtime_with_many_connections_makes_no_system_call() {
    watchdog(|| {
        for workers in [1, 2, 4] {
            let name = format!("quiet{workers}");
            let rt = Runtime::builder().workers(workers).thread_name(&name);
            let rt = rt.build().expect("a runtime");
            let (_go, goes) = mpsc::channel();
            let listener = rt
                .block_on(TcpListener::bind("127.0.0.1:0"))
                .expect("a listener");
            let address = listener.local_addr().expect("an address");
            drop(rt.spawn(serve(listener, Arc::new(Mutex::new(goes)))));
            let mut clients: Vec<_> = (0..200)
                .map(|_| StdStream::connect(address).expect("connected"))
                .collect();
            clients.iter_mut().for_each(|client| ask(client, b'x'));
            // Nothing has happened for several of the watcher's periods.
            std::thread::sleep(Duration::from_millis(200));
            let before = switches(&name);
            assert!(before > 0, "the threads were found");
            std::thread::sleep(Duration::from_secs(1));
            assert_eq!(switches(&name) - before, 0, "{workers} workers");
            clients.iter_mut().for_each(|client| ask(client, b'y'));
        }
    });
}

/// A worker that waits for sockets waits for timers as exactly as one that does not: the system's limit in
/// whole milliseconds would make each of these sleeps at least 0.7 ms late. The best of many is what the
/// machine's load does not change.
#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
#[test]
fn a_sleep_beside_sockets_ends_within_the_same_millisecond() {
    watchdog(|| {
        for workers in [0, 1, 2] {
            let rt = Runtime::builder()
                .workers(workers)
                .build()
                .expect("a runtime");
            let least = rt.block_on(async {
                let _listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
                let late = async || {
                    let began = Instant::now();
                    sleep(Duration::from_micros(1_300)).await;
                    began.elapsed() - Duration::from_micros(1_300)
                };
                let mut least = Duration::MAX;
                for _ in 0..100 {
                    least = least.min(spawn(late()).await.expect("a value"));
                }
                least
            });
            assert!(
                least < Duration::from_micros(600),
                "{workers} workers: {least:?}"
            );
        }
    });
}
