//! tonic, without generated code: a service with one method, and its client.
//!
//! Escapes: the server spawns a task of tokio's for each connection. Its graceful shutdown waits for them, so it is a
//! service with a grace period, in which it ends by itself when it is stopped. A connection with a call that hangs
//! would outlive it, so that each call has a limit, too.
//! The client spawns a worker and a task for each connection; but it lets the program choose how. [`InTree`] makes
//! them tasks of the tree.

use crate::outside::{Outside, check};
use async_compat::Compat;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use taskgrove::{Context, Manager, service_fn};
#[cfg(test)]
use tokio::sync::oneshot;
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request, Response};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

/// What `protoc` would make of `message Name { string name = 1; }`.
#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
}

/// The service: the method's path, and the codec that reads and writes its messages.
async fn greeter(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    if request.uri().path() != "/example.Greeter/Greet" {
        return Ok(Status::unimplemented("there is only Greet").into_http());
    }
    let codec = ProstCodec::<Greeting, Name>::default();
    let method = tower::service_fn(async |name: tonic::Request<Name>| {
        let text = format!("hello, {}", name.into_inner().name);
        Ok(tonic::Response::new(Greeting { text }))
    });
    Ok(tonic::server::Grpc::new(codec).unary(method, request).await)
}

/// Calls a method of the service.
pub(crate) async fn call(
    channel: &Channel,
    path: &'static str,
    name: &str,
) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    let ready = client.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = tonic::Request::new(Name {
        name: name.to_owned(),
    });
    let codec = ProstCodec::<Name, Greeting>::default();
    let path = PathAndQuery::from_static(path);
    Ok(client.unary(request, path, codec).await?.into_inner().text)
}

/// Makes what a crate would give to `tokio::spawn` a task of a service, and enters tokio's runtime for it.
struct InTree(Context);

impl hyper::rt::Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for InTree {
    fn execute(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let task = Compat::new(async {
            future.await;
            Ok(())
        });
        // A client whose future was dropped would connect again at once, and again. A panic fails the service.
        let spawned = self.0.task(task).name("client").spawn();
        spawned.expect("the service has room for its client");
    }
}

/// Starts a server, which has so long for each call, and to end when it is stopped. Returns its URL, too.
pub(crate) async fn start(ctx: &Context, grace: Duration) -> taskgrove::Result<(Manager, String)> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?;
    let url = format!("http://{}", incoming.local_addr()?);
    let server = service_fn("greeter", move |ctx: Context| {
        Compat::new(async move {
            let server = Server::builder().timeout(grace);
            let greeter = tower::service_fn(greeter);
            let stopped = ctx.cancelled();
            server
                .serve_with_incoming_shutdown(greeter, incoming, stopped)
                .await?;
            Ok(())
        })
    });
    let server = ctx.child_service(server).grace(grace).spawn()?;
    Ok((server, url))
}

/// Begins a call that never ends: its message does not come. Tells when the call is under way.
#[cfg(test)]
pub(crate) async fn hang(channel: Channel, begun: oneshot::Sender<()>) -> Result<(), Status> {
    use tonic::codegen::tokio_stream::{self, StreamExt};
    let mut client = tonic::client::Grpc::new(channel);
    let ready = client.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let begin = tokio_stream::iter(std::iter::once_with(move || begun.send(())));
    let names = begin.filter_map(|_| None).chain(tokio_stream::pending());
    let codec = ProstCodec::<Name, Greeting>::default();
    let path = PathAndQuery::from_static("/example.Greeter/Greet");
    let called = client.client_streaming(tonic::Request::new(names), path, codec);
    called.await.map(drop)
}

/// Connects a client, whose tasks are tokio's.
pub(crate) async fn connect(url: &str) -> taskgrove::Result<Channel> {
    Ok(Endpoint::from_shared(url.to_owned())?.connect().await?)
}

/// Connects a client, whose tasks are a service's.
pub(crate) async fn connect_in_tree(url: &str, ctx: Context) -> taskgrove::Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())?.executor(InTree(ctx));
    Ok(endpoint.connect().await?)
}

/// Serves and calls, in a future of `Compat`.
pub(crate) async fn greet(ctx: Context, outside: Outside) -> taskgrove::Result {
    let (server, url) = start(&ctx, Duration::from_secs(5)).await?;

    // With the executor of tonic's own, two more tasks are outside.
    let channel = connect(&url).await?;
    call(&channel, "/example.Greeter/Greet", "ann").await?;
    check(
        "they are outside: tonic's server, and its client",
        outside.tasks() >= 3,
    )?;
    outside.print();
    drop(channel);

    let channel = connect_in_tree(&url, ctx.clone()).await?;
    let text = call(&channel, "/example.Greeter/Greet", "bob").await?;
    check(&format!("tonic: {text}"), text == "hello, bob")?;
    let refused = call(&channel, "/example.Greeter/Part", "bob").await;
    let code = refused.map_err(|status| status.code());
    check(
        "tonic: the other method is not there",
        code == Err(Code::Unimplemented),
    )?;

    let tree = taskgrove::Handle::current().snapshot();
    let clients = tree
        .nodes()
        .iter()
        .filter(|node| node.path == "app/tonic/client");
    println!("{tree}");
    check("the client's tasks are in the tree", clients.count() >= 2)?;
    drop(channel);
    server.stop().await?;
    let ended = matches!(server.result(), Some(Ok(())));
    check("the server has ended by itself", ended)?;
    outside.wait_until_empty().await
}
