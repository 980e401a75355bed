//! The server: a service that removes expired keys and serves clients.

use crate::connection::Connection;
use crate::db::Db;
use crate::session;
use std::fmt::Display;
use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::time::Duration;
use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::time::sleep;
use taskgrove::{Context, Service, service_fn};

/// How long the clients have for their last requests when the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the server does not accept after an error of the system, such as too many descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes a server for a port that is open already. Clients beyond `max_clients` wait until one leaves.
pub fn server(listener: std::net::TcpListener, max_clients: usize) -> impl Service {
    service_fn("mini-redis", move |ctx: Context| async move {
        let db = Db::new();
        let listener = TcpListener::from_std(listener)?;
        ctx.task(db.clone().expire())
            .name("expiry")
            .daemon()
            .spawn()?;
        let clients = service_fn("clients", |ctx| accept(ctx, listener, db));
        ctx.child_service(clients)
            .daemon()
            .max_children(max_clients)
            .spawn()?;
        ctx.set_ready();
        Ok(())
    })
}

/// Accepts clients until the server stops. From then on no new one is served, and the others drain.
async fn accept(ctx: Context, listener: TcpListener, db: Db) -> taskgrove::Result {
    while let Some(accepted) = ctx.until_cancelled(listener.accept()).await {
        let Ok((stream, peer)) = accepted.inspect_err(|error| log(format_args!("accept: {error}")))
        else {
            let _ = ctx.until_cancelled(sleep(PAUSE)).await;
            continue;
        };
        let session = serve(ctx.clone(), db.clone(), stream, peer);
        // A client that fails is its own concern. At the limit, the loop waits here.
        let session = ctx
            .task(session)
            .name(peer.to_string())
            .grace(DRAIN)
            .isolated();
        session.spawn_when_room().await?;
    }
    Ok(())
}

/// Serves a client, and says why that came to an end if it was an error.
async fn serve(ctx: Context, db: Db, stream: TcpStream, peer: SocketAddr) -> taskgrove::Result {
    let ended = session::serve(ctx, db, Connection::new(stream)).await;
    if let Err(error) = &ended {
        log(format_args!("{peer}: {error}"));
    }
    ended
}

/// Prints a line to the errors. `eprintln!` panics when nobody reads them any more.
fn log(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}
