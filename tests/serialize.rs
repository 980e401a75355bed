//! The feature `serde`: snapshots, changes, totals, statistics and metrics as JSON.

use serde_json::{Value, json};
use std::future::pending;
use std::time::Duration;
use taskgrove::sim::Sim;
use taskgrove::time::sleep;
use taskgrove::{Context, Runtime, service_fn};

/// Runs an app for a second of virtual time, and returns what `look` makes of it.
fn with_app<T>(look: impl AsyncFnOnce(&taskgrove::Manager) -> T) -> T {
    let sim = Sim::new(3);
    sim.block_on(async {
        let app = service_fn("app", async |ctx: Context| {
            let conn = async {
                sleep(Duration::from_secs(4)).await;
                Ok(())
            };
            ctx.task(conn).name("conn 1").daemon().spawn()?;
            pending().await
        });
        let app = sim.handle().start(app).expect("it starts");
        sleep(Duration::from_secs(1)).await;
        look(&app).await
    })
}

#[test]
fn a_snapshot_is_its_nodes() {
    let (value, ids) = with_app(async |app| {
        let snapshot = app.snapshot();
        let ids: Vec<String> = snapshot.nodes().iter().map(|n| n.id.to_string()).collect();
        (serde_json::to_value(&snapshot).expect("JSON"), ids)
    });
    let nodes = value["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 2);
    for (node, id) in nodes.iter().zip(&ids) {
        assert_eq!(format!("#{}", node["id"]), *id);
    }
    let mut conn = nodes[1].clone();
    let place = conn["location"].take();
    assert!(
        place
            .as_str()
            .is_some_and(|at| at.starts_with("tests/serialize.rs:"))
    );
    assert_eq!(
        conn,
        json!({
            "id": nodes[1]["id"],
            "parent": nodes[0]["id"],
            "name": "conn 1",
            "path": "app/conn 1",
            "kind": "task",
            "state": "parked",
            "daemon": true,
            "polls": 1,
            "busy": null,
            "age": {"secs": 1, "nanos": 0},
            "location": null,
            "awaiting": "sleep, 3.0s left",
            "running_for": null,
            "cause": null,
        })
    );
    assert_eq!(nodes[0]["kind"], "service");
    assert_eq!(nodes[0]["parent"], Value::Null);
}

#[test]
fn changes_totals_and_statistics() {
    with_app(async |app| {
        let before = app.snapshot();
        let after = app.snapshot();
        let changes = serde_json::to_value(after.since(&before)).expect("JSON");
        assert_eq!(changes["appeared"], json!([]));
        assert_eq!(changes["gone"], json!([]));
        let unmoved = changes["unmoved"].as_array().expect("a list");
        assert_eq!(unmoved[1]["path"], "app/conn 1");
        let totals = after.totals(app.id().expect("it is started"));
        let totals = serde_json::to_value(totals).expect("JSON");
        assert_eq!(totals, json!({"tasks": 2, "polls": 2, "busy": null}));
        let stats = serde_json::to_value(app.stats()).expect("JSON");
        assert_eq!(
            stats,
            json!({"tasks": {"total_count": 1, "finished_count": 0}})
        );
    });
}

#[test]
fn metrics_of_a_runtime_on_threads() {
    let rt = Runtime::builder().workers(2).track_busy_time(true);
    let rt = rt.build().expect("a runtime");
    rt.block_on(rt.spawn(async {})).expect("it ends");
    let metrics = serde_json::to_value(rt.metrics()).expect("JSON");
    assert_eq!(metrics["workers"], 2);
    assert_eq!(metrics["live_tasks"], 0);
    assert!(
        metrics["polls"].as_u64().is_some_and(|polls| polls >= 1),
        "{metrics}"
    );
    rt.spawn(pending::<()>());
    let snapshot = serde_json::to_value(rt.snapshot()).expect("JSON");
    assert!(snapshot["nodes"][0]["busy"]["secs"].is_u64(), "{snapshot}");
}
