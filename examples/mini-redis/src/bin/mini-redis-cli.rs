//! `mini-redis-cli ADDRESS COMMAND ..`: sends a command, and prints the answer; after `subscribe`, the messages.

use mini_redis::client::Client;
use mini_redis::frame::Frame;
use taskgrove::Runtime;

fn main() -> mini_redis::Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((address, words)) = arguments
        .split_first()
        .filter(|(_, words)| !words.is_empty())
    else {
        return Err("usage: mini-redis-cli ADDRESS COMMAND [ARGUMENT ..]".into());
    };
    Runtime::builder().workers(0).build()?.block_on(async {
        let mut client = Client::connect(&**address).await?;
        let bytes: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        println!("{}", text(&client.call(&bytes).await?));
        if words[0].eq_ignore_ascii_case("subscribe") {
            loop {
                println!("{}", text(&client.receive().await?));
            }
        }
        Ok(())
    })
}

fn text(frame: &Frame) -> String {
    match frame {
        Frame::Simple(text) | Frame::Error(text) => text.clone(),
        Frame::Integer(number) => number.to_string(),
        Frame::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Frame::Null => "(nil)".into(),
        Frame::Array(frames) => frames.iter().map(text).collect::<Vec<_>>().join(" "),
    }
}
