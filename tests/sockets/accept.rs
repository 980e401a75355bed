//! No file descriptors left; many connections that come and go.

use crate::common::watchdog;
use crate::peers::{listener, on_each, runtime};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;
use taskgrove::net::TcpListener;

/// Runs one test that is ignored otherwise in a process of its own, with a limit of open files.
#[cfg(unix)]
pub(crate) fn in_a_child(test: &str, files: usize) {
    let this = std::env::current_exe().expect("the test's own path");
    let script = format!(
        "ulimit -n {files} && exec '{}' --exact {test} --ignored --nocapture --test-threads 1",
        this.display()
    );
    let child = std::process::Command::new("sh")
        .args(["-c", &script])
        .output();
    let output = child.expect("there is a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test}:\n{text}\n{errors}");
    assert!(text.contains("1 passed"), "{test} did not run:\n{text}");
}

#[cfg(unix)]
#[test]
fn an_accept_without_descriptors_fails_and_works_again_later() {
    in_a_child("accept::child_out_of_descriptors", 64);
}

/// Opens files until the process may open no more.
#[cfg(unix)]
pub(crate) fn take_all_descriptors() -> Vec<std::fs::File> {
    let mut all = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        all.push(file);
    }
    all
}

#[cfg(unix)]
#[test]
#[ignore = "an_accept_without_descriptors_fails_and_works_again_later runs it in a process of its own"]
fn child_out_of_descriptors() {
    on_each(|rt| {
        rt.block_on(async {
            let listener = listener().await;
            let address = listener.local_addr().expect("bound");
            let mut taken = take_all_descriptors();
            taken.pop();
            let mut client = TcpStream::connect(address).expect("it has the last descriptor");
            for _ in 0..3 {
                // Each call says so; none waits for an event that will not come.
                let error = listener.accept().await.expect_err("no descriptor is left");
                assert_eq!(error.raw_os_error(), Some(24), "{error}");
                taskgrove::time::sleep(Duration::from_millis(1)).await;
            }
            let error = TcpListener::bind("127.0.0.1:0").await;
            let error = error.expect_err("no descriptor is left");
            assert_eq!(error.raw_os_error(), Some(24), "{error}");
            drop(taken);
            let (mut stream, _) = listener.accept().await.expect("it has waited in the queue");
            client.write_all(b"after all").expect("sent");
            let mut got = [0; 9];
            stream.read_exact(&mut got).await.expect("read");
            assert_eq!(&got, b"after all");
        });
    });
}

/// Connects so often; each connection is told its number and is then closed by the server.
fn connect_often(address: SocketAddr, times: u64) -> u64 {
    let mut sum = 0;
    for _ in 0..times {
        let mut number = Vec::new();
        let mut stream = TcpStream::connect(address).expect("listening");
        stream.read_to_end(&mut number).expect("read");
        sum += u64::from_be_bytes(number.try_into().expect("eight bytes"));
    }
    sum
}

/// Accepts so many, each served by a task of its own.
fn accept_many(workers: usize, connections: u64) {
    const CLIENTS: u64 = 4;
    let rt = runtime(workers);
    rt.block_on(async {
        let listener = listener().await;
        let address = listener.local_addr().expect("bound");
        let each = connections / CLIENTS;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| thread::spawn(move || connect_often(address, each)))
            .collect();
        let all = each * CLIENTS;
        let mut told = Vec::new();
        for n in 0..all {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            told.push(taskgrove::spawn(async move {
                stream.write_all(&n.to_be_bytes()).await.expect("sent");
            }));
        }
        for task in told {
            task.await.expect("no panic");
        }
        let sums = clients.into_iter().map(|client| client.join());
        let sum: u64 = sums.map(|sum| sum.expect("no panic")).sum();
        assert_eq!(sum, all * (all - 1) / 2, "each number was told once");
    });
    // Nothing of the connections is left.
    assert!(rt.snapshot().is_empty(), "{}", rt.snapshot());
}

#[test]
fn every_connection_of_many_is_served_once() {
    watchdog(|| accept_many(0, 1_000));
    watchdog(|| accept_many(2, 4_000));
}

#[test]
#[ignore = "a million connections take minutes: cargo test --all-features --test sockets -- --ignored a_million"]
fn a_million_connections_are_served_once() {
    accept_many(2, 1_000_000);
}
