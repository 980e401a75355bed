//! Sockets that the workers wait for themselves. A server is a service: each connection is a named task.
//!
//! Look at `until_cancelled`: a stop ends the accept loop, and not a request that is under way.
//! It needs the feature: `cargo run --features net --example 13_sockets`.

use futures_lite::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use std::sync::{Arc, OnceLock};
use std::{net::SocketAddr, time::Duration};
use taskgrove::net::{TcpListener, TcpStream, UdpSocket};
use taskgrove::{Context, Runtime, Service};

struct Shouter(OnceLock<SocketAddr>);

impl Service for Shouter {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        self.0.set(listener.local_addr()?).expect("run once");
        ctx.set_ready();
        let mut number = 0;
        while let Some(accepted) = ctx.until_cancelled(listener.accept()).await {
            let (stream, _) = accepted?;
            number += 1;
            let task = ctx.task(shout(stream, ctx.clone()));
            let task = task.name(format!("conn-{number}"));
            task.grace(Duration::from_secs(1)).spawn()?;
        }
        println!("no new connections");
        Ok(())
    }
}

/// Answers each line until the client leaves or the service ends. A clone reads, and another one writes.
async fn shout(stream: TcpStream, ctx: Context) -> taskgrove::Result {
    let mut answers = stream.clone();
    let mut requests = BufReader::new(stream);
    let mut line = String::new();
    while let Some(read) = ctx.until_cancelled(requests.read_line(&mut line)).await {
        if read? == 0 {
            break;
        }
        answers.write_all(line.to_uppercase().as_bytes()).await?;
        line.clear();
    }
    answers.write_all(b"bye\n").await?;
    Ok(())
}

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;
    let server = Arc::new(Shouter(OnceLock::new()));
    let manager = runtime.start(server.clone())?;
    runtime.block_on(async {
        manager.wait_ready().await?;
        let address = *server.0.get().expect("it is ready");
        let mut client = TcpStream::connect(address).await?;
        client.write_all(b"hello\n").await?;
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await?;
        print!("answered: {}", String::from_utf8_lossy(&answer));
        manager.stop().await?;
        let mut rest = String::new();
        client.read_to_string(&mut rest).await?;
        print!("at the end: {rest}");

        let one = UdpSocket::bind("127.0.0.1:0").await?;
        let other = UdpSocket::bind("127.0.0.1:0").await?;
        one.send_to(b"a datagram", other.local_addr()?).await?;
        let mut buffer = [0; 64];
        let (length, _) = other.recv_from(&mut buffer).await?;
        println!("{}", String::from_utf8_lossy(&buffer[..length]));
        Ok(())
    })
}

//= answered: HELLO
//= no new connections
//= at the end: bye
//= a datagram
