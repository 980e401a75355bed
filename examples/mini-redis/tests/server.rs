//! Clients over real sockets.

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use mini_redis::client::Client;
use mini_redis::frame::Frame;
use mini_redis::server::server;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::time::{sleep, timeout};
use taskgrove::{Manager, Runtime, spawn};

/// Runs a test beside a server, and then checks that the server stops without a failure and leaves nothing.
fn beside<F: Future<Output = mini_redis::Result>>(
    max_clients: usize,
    test: impl FnOnce(SocketAddr, Manager) -> F,
) {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = runtime.start(server(listener, max_clients)).unwrap();
    runtime.block_on(async {
        let all = async {
            server.wait_ready().await.unwrap();
            test(address, server.clone()).await.unwrap();
            server.stop().await.unwrap();
        };
        timeout(Duration::from_secs(20), all)
            .await
            .expect("the test hangs");
    });
    server.result().unwrap().unwrap();
    assert!(runtime.snapshot().is_empty(), "{}", runtime.snapshot());
}

/// Writes bytes, and compares what comes back.
async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &[u8]) -> mini_redis::Result {
    stream.write_all(request).await?;
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got).await?;
    assert_eq!(
        String::from_utf8_lossy(&got),
        String::from_utf8_lossy(answer)
    );
    Ok(())
}

#[test]
fn the_bytes_on_the_wire_are_the_protocols() {
    beside(100, async |address, _| {
        let mut stream = TcpStream::connect(address).await?;
        exchange(&mut stream, b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", b"$-1\r\n").await?;
        exchange(
            &mut stream,
            b"*3\r\n$3\r\nset\r\n$1\r\na\r\n$3\r\nx\r\n\r\n",
            b"+OK\r\n",
        )
        .await?;
        exchange(
            &mut stream,
            b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
            b"$3\r\nx\r\n\r\n",
        )
        .await?;
        exchange(
            &mut stream,
            b"*5\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\ny\r\n+EX\r\n:100\r\n",
            b"+OK\r\n",
        )
        .await?;
        exchange(&mut stream, b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n").await?;
        exchange(
            &mut stream,
            b"*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n",
            b"$2\r\nhi\r\n",
        )
        .await?;
        exchange(
            &mut stream,
            b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n",
            b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
        )
        .await?;
        exchange(
            &mut stream,
            b"*1\r\n$11\r\nUNSUBSCRIBE\r\n",
            b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n",
        )
        .await?;
        // One byte at a time, and two commands at once.
        for byte in b"*1\r\n$4\r\nPING\r\n" {
            stream.write_all(&[*byte]).await?;
        }
        exchange(
            &mut stream,
            b"*1\r\n$4\r\nPING\r\n*1\r\n$3\r\nfoo\r\n",
            b"+PONG\r\n+PONG\r\n-ERR unknown command 'foo'\r\n",
        )
        .await?;
        exchange(
            &mut stream,
            b"!\r\n",
            b"-ERR protocol error: unknown kind of frame\r\n",
        )
        .await?;
        assert_eq!(stream.read(&mut [0]).await?, 0); // closed
        Ok(())
    });
}

#[test]
fn a_key_expires() {
    beside(100, async |address, _| {
        let mut client = Client::connect(address).await?;
        let time = Duration::from_millis(30);
        let began = Instant::now();
        client.set("short", b"1", Some(time)).await?;
        client
            .set("long", b"2", Some(Duration::from_secs(100)))
            .await?;
        // Not how soon it is gone, which is a matter of the machine; the tests of the database, in the simulator, are
        // exact to the millisecond.
        while let Some(value) = client.get("short").await? {
            assert_eq!(&*value, b"1");
        }
        assert!(began.elapsed() >= time, "{:?}", began.elapsed());
        assert_eq!(client.get("long").await?.as_deref(), Some(&b"2"[..]));
        Ok(())
    });
}

#[test]
fn messages_reach_the_subscribers_of_their_channel_in_order() {
    beside(100, async |address, _| {
        let mut publisher = Client::connect(address).await?;
        assert_eq!(publisher.publish("news", b"nobody").await?, 0);
        let (mut one, mut both) = (
            Client::connect(address).await?,
            Client::connect(address).await?,
        );
        one.subscribe("news").await?;
        both.subscribe("news").await?;
        both.subscribe("other").await?;
        for n in 0..100 {
            assert_eq!(
                publisher.publish("news", n.to_string().as_bytes()).await?,
                2
            );
        }
        assert_eq!(publisher.publish("other", b"x").await?, 1);
        for client in [&mut one, &mut both] {
            for n in 0..100 {
                let (channel, text) = client.message().await?;
                assert_eq!(
                    (&*channel, &*text),
                    (&b"news"[..], n.to_string().as_bytes())
                );
            }
        }
        assert_eq!(&*both.message().await?.1, b"x");
        // While subscribed, other commands are refused; after the last channel they are not.
        assert!(
            one.get("a")
                .await
                .unwrap_err()
                .to_string()
                .contains("while subscribed")
        );
        one.unsubscribe("news").await?;
        assert_eq!(one.get("a").await?, None);
        drop(both);
        while publisher.publish("news", b"gone?").await? > 0 {
            sleep(Duration::from_millis(1)).await; // the server has not seen the end of `both` yet
        }
        Ok(())
    });
}

#[test]
fn a_subscriber_that_is_slow_can_leave_and_hears_nothing_afterwards() {
    beside(100, async |address, _| {
        // More than fits into the buffers of the sockets and the queue of the subscriber.
        const MESSAGES: usize = 400;
        let (mut publisher, mut slow) = (
            Client::connect(address).await?,
            Client::connect(address).await?,
        );
        slow.subscribe("news").await?;
        let text = vec![b'x'; 100_000];
        for _ in 0..MESSAGES {
            assert_eq!(publisher.publish("news", &text).await?, 1);
        }
        slow.send(&[b"UNSUBSCRIBE", b"news"]).await?;
        let mut messages = 0;
        let left = loop {
            match slow.receive().await? {
                Frame::Array(parts) if parts[0] == Frame::bulk("message") => messages += 1,
                other => break other,
            }
        };
        let gone = [Frame::bulk("unsubscribe"), Frame::bulk("news")];
        assert_eq!(
            left,
            Frame::Array([&gone[..], &[Frame::Integer(0)]].concat())
        );
        assert!(messages < MESSAGES, "nothing bounds what waits for it");
        slow.ping().await?; // whose answer is the next that comes
        Ok(())
    });
}

#[test]
fn an_array_that_ends_in_the_middle_is_an_error() {
    beside(1, async |_, _| {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut client = Client::connect(listener.local_addr()?).await?;
        let (mut other, _) = listener.accept().await?;
        // Each byte that has come is a part of the array that is understood.
        other.write_all(b"+OK\r\n*2\r\n:1\r\n").await?;
        drop(other);
        assert_eq!(client.receive().await?, Frame::Simple("OK".into()));
        let error = client.receive().await.unwrap_err();
        let kind = error.downcast_ref().map(std::io::Error::kind);
        assert_eq!(kind, Some(std::io::ErrorKind::UnexpectedEof));
        Ok(())
    });
}

#[test]
fn a_client_that_fails_disturbs_no_other() {
    beside(100, async |address, server| {
        let mut good = Client::connect(address).await?;
        let mut bad = TcpStream::connect(address).await?;
        bad.write_all(b"*1\r\n$4\r\nPI").await?;
        drop(bad);
        let mut garbage = TcpStream::connect(address).await?;
        exchange(
            &mut garbage,
            b"GET / HTTP/1.1\r\n\r\n",
            b"-ERR protocol error",
        )
        .await?;
        good.ping().await?;
        assert!(server.is_running());
        Ok(())
    });
}

#[test]
fn at_the_limit_a_client_waits_for_one_that_leaves() {
    beside(2, async |address, _| {
        let (first, mut second) = (
            Client::connect(address).await?,
            Client::connect(address).await?,
        );
        second.ping().await?;
        let mut third = Client::connect(address).await?; // in the backlog
        third.send(&[b"PING"]).await?;
        let early = timeout(Duration::from_millis(50), third.receive()).await;
        assert!(early.is_err(), "{early:?}");
        drop(first);
        assert_eq!(third.receive().await?, Frame::Simple("PONG".into()));
        Ok(())
    });
}

#[test]
fn a_stop_answers_what_was_asked_and_closes_the_idle() {
    beside(100, async |address, server| {
        const EACH: usize = 500;
        let mut idle = Client::connect(address).await?;
        idle.ping().await?;
        let mut busy = Vec::new();
        for _ in 0..8 {
            let mut client = Client::connect(address).await?;
            client.ping().await?; // it is served, and not in the backlog
            for n in 0..EACH {
                client
                    .send(&[b"SET", n.to_string().as_bytes(), b"x"])
                    .await?;
            }
            busy.push(client);
        }
        // All of it is sent and nothing was read: the stop meets it half done.
        let stopping = spawn(async move { server.stop().await.map_err(|error| error.to_string()) });
        for mut client in busy {
            for _ in 0..EACH {
                assert_eq!(client.receive().await?, Frame::Simple("OK".into()));
            }
            assert!(
                client
                    .receive()
                    .await
                    .unwrap_err()
                    .to_string()
                    .contains("closed")
            );
        }
        assert!(
            idle.receive()
                .await
                .unwrap_err()
                .to_string()
                .contains("closed")
        );
        stopping.await??;
        assert!(TcpStream::connect(address).await.is_err()); // nobody listens any more
        Ok(())
    });
}
