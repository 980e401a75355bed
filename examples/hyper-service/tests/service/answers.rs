//! What the program answers, over HTTP/1 and HTTP/2, and how its workers fail and come back.

use crate::process::Server;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Runs curl, and returns what it printed; `None` if it cannot do what it was asked for.
fn curl(arguments: &[&str]) -> Option<String> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(arguments)
        .output()
        .ok()?;
    // 2: an option that this curl does not know, or was built without.
    if output.status.code() == Some(2) {
        return None;
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {stderr}");
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// Reads a text in Prometheus' format, and checks its form: each sample belongs to a family that was
/// announced before it, and occurs once.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut helped, mut typed) = (BTreeMap::new(), "", "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split_once(' ').expect("a name and a text").0;
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert_eq!(name, helped, "{line}");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            typed = name;
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let name = series.split('{').next().expect("a name");
        assert_eq!(name, typed, "{line}");
        if let Some(labels) = series
            .strip_prefix(name)
            .filter(|labels| !labels.is_empty())
        {
            let label = labels.strip_prefix("{service=\"").expect("one label");
            assert!(label.ends_with("\"}"), "{line}");
        }
        let value = value.parse().expect("a number");
        assert!(samples.insert(series.to_owned(), value).is_none(), "{line}");
    }
    samples
}

fn metrics(server: &Server) -> BTreeMap<String, f64> {
    let (status, text) = server.get("/metrics");
    assert_eq!(status, 200);
    parse(&text)
}

#[test]
fn it_answers_over_both_protocols() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl");
        return;
    }
    let server = Server::start(&[]);
    let mut requests = server.wait_ready();
    let url = |target: &str| format!("http://{}{target}", server.address);
    let with_version = ["--write-out", "%{http_version} %{response_code}"];
    let mut protocols = vec![("--http1.1", "1.1 200")];
    match curl(&["--http2-prior-knowledge", &url("/healthz")]) {
        Some(answer) => {
            assert_eq!(answer, "alive\n");
            requests += 1;
            protocols.push(("--http2-prior-knowledge", "2 200"));
        }
        None => eprintln!("skipped: HTTP/2, which this curl cannot do"),
    }
    for (protocol, status) in protocols {
        let get = |target: &str| {
            let url = url(target);
            let arguments = [&[protocol][..], &with_version, &[&url]].concat();
            let answer = curl(&arguments).expect("curl is there, and knows the protocol");
            let body = answer.strip_suffix(status).map(str::to_owned);
            body.unwrap_or_else(|| panic!("{target}: {answer}"))
        };
        assert_eq!(get("/healthz"), "alive\n");
        assert_eq!(get("/readyz"), "ready\n");
        assert!(get("/work").contains(" done by worker-"));
        let tree = get("/tree");
        for line in [
            "shop #",
            "├─ workers #",
            "│  ├─ worker-1 #",
            "└─ http #",
            "   └─ conn-",
        ] {
            assert!(tree.contains(line), "{line} is not in\n{tree}");
        }
        // The worker of the last job may still be on its way back to its queue.
        let picture = loop {
            let picture: Value = serde_json::from_str(&get("/tree.json")).expect("JSON");
            requests += 1;
            let nodes = picture["nodes"].as_array().expect("nodes");
            let mut nodes = nodes.iter();
            if nodes
                .any(|node| node["path"] == "shop/workers/worker-1" && node["awaiting"].is_string())
            {
                break picture;
            }
        };
        assert_eq!(picture["ready"], true);
        let nodes = picture["nodes"].as_array().expect("nodes");
        let node = |path| nodes.iter().find(|node| node["path"] == path);
        assert_eq!(node("shop").expect("the root")["parent"], Value::Null);
        let worker = node("shop/workers/worker-1").expect("a worker");
        let waits = worker["awaiting"].as_str().expect("it is parked");
        assert!(waits.contains("a waker"), "{waits}");
        assert!(worker["busy"]["nanos"].is_u64(), "{worker}");
        assert!(get("/changes?ms=1").contains(" not polled in between"));
        assert!(get("/").contains("<title>shop: the live tree</title>"));
        parse(&get("/metrics"));
        requests += 7; // besides the pictures
    }
    assert_eq!(server.get("/nowhere").0, 404);
    server.signal("TERM");
    server.exit().assert_clean(requests + 1);
}

#[test]
fn it_is_ready_when_a_worker_is() {
    let hour = 3_600_000.to_string();
    let server = Server::start(&["--warm-up", &hour, "--workers", "1"]);
    let (status, said) = server.get("/readyz");
    assert_eq!((status, said.as_str()), (503, "no worker is ready\n"));
    // It lives all the same.
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(metrics(&server)["http_ready"], 0.0);
    // Also while it starts, it ends well.
    server.signal("INT");
    server.exit().assert_clean(3);
}

#[test]
fn a_job_waits_for_a_worker() {
    let server = Server::start(&["--workers", "1"]);
    assert_eq!(server.get("/work").0, 200);
    let ready = server.wait_ready();
    assert_eq!(metrics(&server)["http_ready"], 1.0);
    server.signal("INT");
    server.exit().assert_clean(2 + ready);
}

#[test]
fn a_worker_that_fails_comes_back() {
    let server = Server::start(&["--workers", "1", "--warm-up", "0"]);
    let mut requests = server.wait_ready();
    let restarts = r#"taskgrove_service_restarts_total{service="shop/workers/worker-1"}"#;
    assert_eq!(metrics(&server)[restarts], 0.0);
    for failures in 1..=3 {
        let (status, said) = server.get("/work?fail=1");
        assert_eq!(status, 500);
        assert_eq!(said, "the worker failed; it is being restarted\n");
        // The next job waits in the queue for the next incarnation, and is done by it.
        let (status, said) = server.get("/work");
        assert_eq!(status, 200, "{said}");
        assert_eq!(metrics(&server)[restarts], f64::from(failures));
        requests += 3;
    }
    let [worker] = &server.workers()[..] else {
        panic!("one worker");
    };
    assert_eq!(worker["restarts"], 3);
    let failure = worker["last_failure"].as_str().expect("it has failed");
    assert!(failure.ends_with(" was told to fail"), "{failure}");
    server.signal("TERM");
    server.exit().assert_clean(requests + 2);
}

#[test]
fn a_blocked_thread_is_reported_under_its_service() {
    let server = Server::start(&["--workers", "1", "--warm-up", "0"]);
    let mut requests = server.wait_ready();
    let stalls = r#"taskgrove_service_stalls_total{service="shop/workers/worker-1"}"#;
    assert!(!metrics(&server).contains_key(stalls));
    assert_eq!(server.get("/work?block=400").0, 200);
    // The watchdog has called at 50 ms. The hook writes this line, and counts after it.
    while !server.error_line().starts_with("shop/workers/worker-1 #") {}
    requests += 3;
    while !metrics(&server).contains_key(stalls) {
        requests += 1;
        thread::sleep(Duration::from_millis(10));
    }
    server.signal("TERM");
    server.exit().assert_clean(requests);
}

#[test]
fn metrics_of_services_are_those_of_their_subtrees() {
    let server = Server::start(&["--workers", "3", "--warm-up", "0"]);
    server.wait_ready();
    // The supervisor starts the workers one after the other.
    while server
        .workers()
        .iter()
        .any(|child| child["state"] != "running")
    {
        thread::sleep(Duration::from_millis(10));
    }
    let metrics = metrics(&server);
    let tasks =
        |service: &str| metrics[&format!("taskgrove_service_tasks{{service=\"{service}\"}}")];
    assert_eq!(tasks("shop/workers"), 4.0);
    assert!(tasks("shop/http") >= 2.0, "this connection is there");
    assert_eq!(
        tasks("shop"),
        1.0 + tasks("shop/workers") + tasks("shop/http")
    );
    let busy = metrics[r#"taskgrove_service_busy_seconds{service="shop"}"#];
    assert!(busy > 0.0 && busy < 60.0, "{busy}");
}
