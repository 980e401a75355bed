//! Services: children spawned, counted and cancelled through one. `cargo bench --bench services`.
// What criterion's macros make has no docs.
#![allow(missing_docs)]

mod common;

use common::{Live, Park, drive, forget_senders, parked, runtime, total, wait};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::future::{Future, pending};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use taskgrove::{Context, Handle, Manager, service_fn};

const WIDE: usize = 10_000;

/// Nodes below a service: at each of `depth` levels, `fan_out` below each.
#[derive(Clone, Copy)]
struct Form {
    fan_out: usize,
    depth: usize,
    park: Park,
}

impl Form {
    fn nodes(self) -> usize {
        (1..=self.depth as u32)
            .map(|level| self.fan_out.pow(level))
            .sum()
    }
}

fn below(ctx: &Context, form: Form, depth: usize) {
    type Node = Pin<Box<dyn Future<Output = taskgrove::Result> + Send>>;
    fn node(ctx: Context, form: Form, depth: usize) -> Node {
        Box::pin(async move {
            let _live = Live::new();
            below(&ctx, form, depth);
            wait(form.park).await;
            Ok(())
        })
    }
    if depth > 0 {
        for _ in 0..form.fan_out {
            let child = ctx.run_task(node(ctx.clone(), form, depth - 1));
            drop(child.expect("a child is spawned"));
        }
    }
}

/// A running service with that below it, once all of it is parked, and its end.
async fn grown(form: Form) -> (Manager, taskgrove::Task<bool>) {
    let service = service_fn("app", move |ctx| async move {
        if form.depth == 1 {
            for _ in 0..form.fan_out {
                match form.park {
                    Park::Pending => ctx.run_task(async {
                        parked().await;
                        Ok(())
                    })?,
                    Park::Waker => ctx.run_task(async {
                        let _live = Live::new();
                        wait(Park::Waker).await;
                        Ok(())
                    })?,
                };
            }
        } else {
            below(&ctx, form, form.depth);
        }
        pending().await
    });
    let builder = Manager::builder(service).max_children(usize::MAX);
    let manager = builder.build().expect("a manager");
    let running = manager.clone();
    let run = Handle::current().spawn(async move { running.run().await.is_ok() });
    Live::reach(form.nodes()).await;
    (manager, run)
}

async fn cancel(form: Form) -> Duration {
    let (manager, run) = grown(form).await;
    let began = Instant::now();
    manager.stop().await.expect("it runs");
    let elapsed = began.elapsed();
    assert_eq!(Live::count(), 0);
    assert!(run.await.expect("not cancelled"));
    forget_senders();
    elapsed
}

fn cancelling(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("cancel");
    let forms = [("wide", WIDE, 1), ("deep", 1, 1_000), ("tree", 10, 4)];
    for (name, fan_out, depth) in forms {
        for (suffix, park) in [("", Park::Pending), ("_waker", Park::Waker)] {
            let form = Form {
                fan_out,
                depth,
                park,
            };
            group.throughput(Throughput::Elements(form.nodes() as u64));
            group.bench_function(format!("cancel_{name}{suffix}"), |b| {
                b.iter_custom(|rounds| total(rounds, || drive(&runtime, cancel(form))));
            });
        }
    }
    group.finish();
}

fn spawning(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("supervised");
    group.throughput(Throughput::Elements(WIDE as u64));
    group.bench_function("supervised_spawn", |b| {
        b.iter_custom(|rounds| {
            total(rounds, || {
                drive(&runtime, async {
                    let service = service_fn("app", move |ctx| async move {
                        for _ in 0..WIDE {
                            ctx.run_task(async { Ok(()) })?;
                        }
                        Ok(())
                    });
                    let builder = Manager::builder(service).max_children(WIDE);
                    let manager = builder.build().expect("a manager");
                    let began = Instant::now();
                    manager.run().await.expect("no child fails");
                    let elapsed = began.elapsed();
                    assert_eq!(manager.stats().tasks.finished_count, WIDE as u64);
                    elapsed
                })
            })
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("service_cycle", |b| {
        b.iter_custom(|rounds| {
            let (tx, rx) = mpsc::channel();
            let service = service_fn("app", move |ctx| async move {
                let began = Instant::now();
                for _ in 0..rounds {
                    let child = ctx.run_child_service(service_fn("child", |_| pending()))?;
                    child.stop().await?;
                    assert!(child.is_finished());
                }
                let _ = tx.send(began.elapsed());
                Ok(())
            });
            runtime.run(service).expect("a clean end");
            rx.recv().expect("a time")
        });
    });
    group.finish();
}

fn looking(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("look");
    for live in [100, WIDE] {
        let form = Form {
            fan_out: live,
            depth: 1,
            park: Park::Pending,
        };
        let (manager, run) = drive(&runtime, grown(form));
        group.bench_function(BenchmarkId::new("stats", live), |b| {
            b.iter(|| black_box(&manager).stats());
        });
        group.bench_function(BenchmarkId::new("snapshot", live), |b| {
            b.iter(|| assert!(manager.snapshot().nodes().len() > live));
        });
        let stopped = drive(&runtime, async move {
            manager.stop().await.is_ok() && run.await.expect("not cancelled")
        });
        assert!(stopped);
    }
    group.finish();
}

criterion_group!(benches, spawning, cancelling, looking);
criterion_main!(benches);
