//! The counts in Prometheus' text format.

use crate::state::State;
use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;
use taskgrove::{Metrics, Node, NodeKind, Totals};

/// Writes all metrics. Those of a service are sums over everything below it, so those of the root are the
/// program's. They are gauges: polls and busy time go down when the tasks that they belong to have ended.
pub(crate) fn text(state: &State, runtime: &Metrics) -> String {
    let mut out = Text::default();
    let snapshot = state.snapshot();
    let services = snapshot.nodes().iter();
    let services: Vec<(&Node, Totals)> = services
        .filter(|node| node.kind == NodeKind::Service)
        .filter_map(|node| Some((node, snapshot.totals(node.id)?)))
        .collect();
    let mut of_services = |name, help, value: fn(&Totals) -> f64| {
        out.family(name, "gauge", help);
        for (node, totals) in &services {
            out.sample(name, Some(("service", &node.path)), value(totals));
        }
    };
    of_services(
        "taskgrove_service_tasks",
        "Tasks of the service and below it, itself included.",
        |totals| totals.tasks as f64,
    );
    of_services(
        "taskgrove_service_polls",
        "Polls of these tasks.",
        |totals| totals.polls as f64,
    );
    of_services(
        "taskgrove_service_busy_seconds",
        "Time that these tasks have spent in polls.",
        |totals| totals.busy.unwrap_or_default().as_secs_f64(),
    );

    let children = state.children();
    let name = "taskgrove_service_restarts_total";
    out.family(
        name,
        "counter",
        "Restarts of the service by its supervisor.",
    );
    for (path, child) in &children {
        out.sample(name, Some(("service", path)), child.restarts);
    }
    let name = "taskgrove_service_stalls_total";
    out.family(
        name,
        "counter",
        "Reports of a poll that lasts: at 50 ms, and again each time that doubles.",
    );
    for (path, reports) in state.stalls.reports() {
        out.sample(name, Some(("service", &path)), reports);
    }

    let mut count = |name, kind, help, value: u64| {
        out.family(name, kind, help);
        out.sample(name, None, value);
    };
    count(
        "taskgrove_workers",
        "gauge",
        "Threads of the runtime.",
        runtime.workers as u64,
    );
    count(
        "taskgrove_live_tasks",
        "gauge",
        "Tasks of the runtime.",
        runtime.live_tasks as u64,
    );
    count(
        "taskgrove_timers",
        "gauge",
        "Timers of the runtime.",
        runtime.timers as u64,
    );
    count(
        "taskgrove_polls_total",
        "counter",
        "Polls of the runtime.",
        runtime.polls,
    );
    count(
        "taskgrove_steals_total",
        "counter",
        "Tasks taken from another thread's queue.",
        runtime.steals,
    );
    count(
        "taskgrove_parks_total",
        "counter",
        "Times that a thread found nothing to do.",
        runtime.parks,
    );
    let counts = &state.counts;
    count(
        "http_connections_total",
        "counter",
        "Connections accepted.",
        counts.connections.load(Relaxed),
    );
    count(
        "http_connections_broken_total",
        "counter",
        "Connections that ended with an error.",
        counts.broken.load(Relaxed),
    );
    count(
        "http_requests_total",
        "counter",
        "Requests read.",
        counts.read.load(Relaxed),
    );
    count(
        "http_answers_total",
        "counter",
        "Requests answered.",
        counts.answered.load(Relaxed),
    );
    count(
        "http_ready",
        "gauge",
        "1 if a new request would be served.",
        state.is_ready().into(),
    );
    out.0
}

/// A text in the format, as far as it is written.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, label: Option<(&str, &str)>, value: impl Display) {
        let _ = match label {
            Some((key, text)) => writeln!(self.0, "{name}{{{key}=\"{}\"}} {value}", escape(text)),
            None => writeln!(self.0, "{name} {value}"),
        };
    }
}

/// A path has the names that tasks were given, which may be anything.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
