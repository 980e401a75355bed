//! The demonstration's clients: several that behave, one that fails and one that hangs.

use std::net::SocketAddr;

use taskgrove::{Context, Service, service_fn};

use crate::say::say;
use crate::upstream;
use crate::wire::Wire;

const CLIENTS: u64 = 10;
const REQUESTS_EACH: u64 = 500;
/// Sizes of the requests, in bytes, in turn.
const SIZES: [usize; 4] = [16, 256, 2_048, 16_384];

/// How many requests are sent, and answered, in all.
pub(crate) const REQUESTS: u64 = CLIENTS * REQUESTS_EACH;

/// The load, as a service: it ends by itself when every client is done, and fails if one of them
/// got a wrong answer.
pub(crate) fn service(gateway: SocketAddr) -> impl Service {
    service_fn("clients", move |ctx: Context| async move {
        ctx.task(fail(gateway)).name("failing").spawn()?;
        for number in 1..=CLIENTS {
            let name = format!("client-{number}");
            ctx.task(send(gateway, number)).name(name).spawn()?;
        }
        Ok(())
    })
}

/// Opens a connection and takes its greeting, which says what the gateway calls it.
async fn connect(gateway: SocketAddr) -> taskgrove::Result<(Wire, String)> {
    let mut wire = Wire::connect(gateway).await?;
    let greeting = wire.receive().await?.ok_or("turned away")?;
    let name = String::from_utf8_lossy(greeting);
    let name = name.trim_end().trim_start_matches("hello ").to_owned();
    Ok((wire, name))
}

/// Sends requests of every size, and checks every answer.
async fn send(gateway: SocketAddr, number: u64) -> taskgrove::Result {
    let (mut wire, name) = connect(gateway).await?;
    for n in 0..REQUESTS_EACH {
        let size = SIZES[((number + n) % SIZES.len() as u64) as usize];
        let mut request = vec![b'a' + (n % 26) as u8; size - 1];
        request.push(b'\n');
        if wire.call(&request).await? != upstream::reply(&request) {
            return Err(format!("{name} got a wrong answer to request {n}").into());
        }
    }
    Ok(())
}

/// Closes its side in the middle of a request, and stays to see that the gateway closes the other.
async fn fail(gateway: SocketAddr) -> taskgrove::Result {
    let (mut wire, _) = connect(gateway).await?;
    wire.send(b"half a requ").await?;
    wire.finish()?;
    while wire.receive().await?.is_some() {}
    Ok(())
}

/// Sends half a request and nothing more. The connection lasts as long as what this returns.
pub(crate) async fn hang(gateway: SocketAddr) -> taskgrove::Result<Wire> {
    let (mut wire, name) = connect(gateway).await?;
    wire.send(b"half a requ").await?;
    say(format_args!(
        "the client of {name} hangs in the middle of a request"
    ));
    Ok(wire)
}
