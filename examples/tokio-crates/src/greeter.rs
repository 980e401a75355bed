//! tonic, without generated code: a service with one method, and its client.
//!
//! Escapes: the server spawns a task of tokio's for each connection. Its graceful shutdown waits for them, so it is a
//! service with a grace period, in which it ends by itself when it is stopped.
//! The client spawns a worker and a task for each connection; but it lets the program choose how. [`InTree`] makes
//! them tasks of the tree.

use crate::outside::{Outside, check};
use async_compat::Compat;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use taskgrove::{Context, service_fn};
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
async fn call(channel: &Channel, path: &'static str, name: &str) -> Result<String, Status> {
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
        // Without room for it the future is dropped, and the client sees a connection that has failed.
        let _ = self.0.task(task).name("client").spawn();
    }
}

/// Serves and calls, in a future of `Compat`.
pub(crate) async fn greet(ctx: Context, outside: Outside) -> taskgrove::Result {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?;
    let url = format!("http://{}", incoming.local_addr()?);
    let server = service_fn("greeter", |ctx: Context| {
        Compat::new(async move {
            let server = Server::builder();
            let greeter = tower::service_fn(greeter);
            let stopped = ctx.cancelled();
            server
                .serve_with_incoming_shutdown(greeter, incoming, stopped)
                .await?;
            Ok(())
        })
    });
    let server = ctx.child_service(server).grace(Duration::from_secs(5));
    let server = server.spawn()?;

    // With the executor of tonic's own, two more tasks are outside.
    let channel = Endpoint::from_shared(url.clone())?.connect().await?;
    call(&channel, "/example.Greeter/Greet", "ann").await?;
    check(
        "they are outside: tonic's server, and its client",
        outside.tasks() >= 3,
    )?;
    outside.print();
    drop(channel);

    let endpoint = Endpoint::from_shared(url)?.executor(InTree(ctx.clone()));
    let channel = endpoint.connect().await?;
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
