//! The service behind the gateway. In life it would be another process; here it is a child service
//! with a socket of its own.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::{Context, Service};

use crate::wire::Wire;

#[derive(Default)]
pub(crate) struct Upstream {
    addr: OnceLock<SocketAddr>,
}

impl Upstream {
    /// Where it can be reached, once it is ready.
    pub(crate) fn addr(&self) -> SocketAddr {
        *self.addr.get().expect("asked for before it was ready")
    }
}

impl Service for Upstream {
    fn name(&self) -> Cow<'static, str> {
        "upstream".into()
    }

    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = socket.local_addr()?;
        self.addr.set(addr).expect("a service runs once");
        ctx.set_ready(); // whoever is in `wait_ready` goes on

        let mut number = 0_u64;
        loop {
            let (stream, _) = socket.accept().await?;
            number += 1;
            let name = format!("link-{number}");
            // No way to stop is needed here: the link is dropped when the upstream is cancelled, at
            // its next suspension.
            ctx.task(link(stream)).name(name).spawn()?;
        }
    }
}

/// Serves one connection. The peer's breaking it off is the peer's to report, and no failure of the
/// upstream.
async fn link(stream: TcpStream) -> taskgrove::Result {
    let answers = async {
        let mut wire = Wire::new(stream)?;
        while let Some(request) = wire.receive().await? {
            let reply = reply(request);
            wire.send(&reply).await?;
        }
        std::io::Result::Ok(())
    };
    answers.await.ok();
    Ok(())
}

/// The answer to a request, both with their newlines: the length and the FNV-1a digest of the
/// request.
pub(crate) fn reply(request: &[u8]) -> Vec<u8> {
    let digest = request
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, &byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("ok {} {digest:016x}\n", request.len()).into_bytes()
}
