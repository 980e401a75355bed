//! A caller of the API of supervisors, which has to compile as it stands.
#![allow(dead_code)]

use std::future::pending;
use std::time::{Duration, Instant};
use taskgrove::supervisor::{
    AutoShutdown, Backoff, ChildInfo, ChildSpec, ChildState, Restart, Shutdown, Strategy,
    Supervisor, SupervisorError, SupervisorHandle,
};
use taskgrove::{Handle, Manager, service_fn};

fn send<T: Send>(t: T) -> T {
    t
}

fn is_send_and_sync<T: Send + Sync>() {}

async fn supervised() -> Result<(), SupervisorError> {
    let spec = |name: &'static str| {
        ChildSpec::new(name, move || service_fn(name, |_| pending()))
            .restart(Restart::Transient)
            .backoff(
                Backoff::exponential(Duration::from_millis(10), Duration::from_secs(5)).jitter(0.2),
            )
            .grace(Duration::from_secs(1))
            .wait_ready(Duration::from_secs(1))
            .shutdown(Shutdown::Timeout(Duration::from_secs(5)))
            .significant()
    };
    let supervisor = Supervisor::new(Strategy::RestForOne)
        .intensity(3, Duration::from_secs(5))
        .auto_shutdown(AutoShutdown::AllSignificant)
        .child(spec("db"));
    let children: SupervisorHandle = supervisor.handle();
    let m = Handle::current().start(supervisor).expect("a root service");
    let db: Manager = children.wait_child("db").await?;
    children.start_child(spec("web")).await?;
    children.restart_child("db").await?;
    children.stop_child("web").await?;
    children.remove_child("web").await?;
    for ChildInfo {
        name,
        state,
        restarts,
        last_failure,
        manager,
        ..
    } in children.children()
    {
        let backing_off =
            matches!(state, ChildState::BackingOff { until } if until > Instant::now());
        println!(
            "{name} {restarts} {backing_off} {:?} {}",
            last_failure.map(|f| f.to_string()),
            manager.is_some()
        );
    }
    println!("{:?} {}", children.child("db").is_some(), db.is_running());
    let _ = m.stop().await;
    Ok(())
}

fn all() {
    is_send_and_sync::<(
        SupervisorHandle,
        Supervisor,
        ChildSpec,
        ChildInfo,
        SupervisorError,
    )>();
    drop(send(supervised()));
}
