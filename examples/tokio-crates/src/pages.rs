//! reqwest, against a server of the tree.
//!
//! Escapes: hyper-util spawns a task of tokio's for each connection, and one that closes idle connections. They end
//! when the client is dropped. So keep the client in a task of the tree, and it ends with that task.

use crate::outside::{Outside, check};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use std::convert::Infallible;
use std::net::SocketAddr;
use taskgrove::Context;
use taskgrove::net::TcpListener;

/// Starts a server, in which tokio has no part: its connections are tasks below `web`.
pub(crate) async fn start(ctx: &Context) -> taskgrove::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = serve(ctx.clone(), listener);
    ctx.task(server).name("web").daemon().spawn()?;
    Ok(address)
}

async fn serve(ctx: Context, listener: TcpListener) -> taskgrove::Result {
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = async {
            let served = http1::Builder::new().serve_connection(stream, service_fn(page));
            // A client that leaves in the middle is no failure of the server.
            let _ = served.await;
            Ok(())
        };
        ctx.task(connection).name("connection").spawn()?;
    }
}

async fn page(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("the page {}", request.uri().path());
    Ok(Response::new(Full::from(text)))
}

/// Fetches pages, in a future of `Compat`.
pub(crate) async fn fetch(address: SocketAddr, outside: Outside) -> taskgrove::Result {
    let client = reqwest::Client::new();
    for page in ["/one", "/two"] {
        let response = client.get(format!("http://{address}{page}")).send().await?;
        let text = response.error_for_status()?.text().await?;
        check(
            &format!("reqwest: {text}"),
            text == format!("the page {page}"),
        )?;
    }

    let tree = taskgrove::Handle::current().snapshot();
    let in_tree = |path| tree.nodes().iter().any(|node| node.path == path);
    check(
        "the server's side is in the tree",
        in_tree("app/web/connection"),
    )?;
    let below = tree
        .nodes()
        .iter()
        .filter(|node| node.path.starts_with("app/reqwest/"));
    check("nothing of the client's side is", below.count() == 0)?;
    check("it is outside: reqwest's connection", outside.tasks() >= 1)?;
    outside.print();

    drop(client);
    outside.wait_until_empty().await
}
