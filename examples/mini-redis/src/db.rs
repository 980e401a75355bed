//! The keys, the time at which they expire, and the channels.

use async_channel::{Receiver, Sender};
use futures_lite::future;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use taskgrove::time;

/// How much waits for a subscriber, in bytes: a slow one loses its oldest messages. The last one is kept whatever
/// its size.
const QUEUE: usize = 1024 * 1024;

type Bytes = Arc<[u8]>;

/// The state of a server. Clones share it.
#[derive(Clone, Debug)]
pub struct Db {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Has room for one: "the next key expires earlier than before".
    earlier: (Sender<()>, Receiver<()>),
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Bytes, Entry>,
    /// The keys that expire, in the order in which they do.
    expirations: BTreeSet<(Instant, Bytes)>,
    /// The subscribers of each channel that has any.
    channels: HashMap<Bytes, HashMap<u64, Arc<Inbox>>>,
    last_subscriber: u64,
}

#[derive(Debug)]
struct Entry {
    value: Bytes,
    expires_at: Option<Instant>,
}

/// A message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub channel: Bytes,
    pub text: Bytes,
}

impl Message {
    /// What it counts for in a queue.
    fn size(&self) -> usize {
        size_of::<Message>() + self.channel.len() + self.text.len()
    }
}

/// What waits for a subscriber.
#[derive(Debug)]
struct Inbox {
    queue: Mutex<Queue>,
    /// Has room for one: "there is a message".
    news: (Sender<()>, Receiver<()>),
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The sum of their sizes.
    size: usize,
}

impl Inbox {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no code panics with this lock")
    }

    fn put(&self, message: Message) {
        let mut queue = self.queue();
        queue.size += message.size();
        queue.messages.push_back(message);
        while queue.size > QUEUE && queue.messages.len() > 1 {
            queue.take();
        }
        drop(queue);
        let _ = self.news.0.try_send(()); // full: it is told already
    }
}

impl Queue {
    fn take(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.size -= message.size();
        Some(message)
    }

    /// Drops the messages of a channel.
    fn forget(&mut self, channel: &[u8]) {
        self.messages.retain(|message| *message.channel != *channel);
        self.size = self.messages.iter().map(Message::size).sum();
    }
}

impl Default for Db {
    fn default() -> Self {
        Db::new()
    }
}

impl Db {
    /// Makes an empty one.
    pub fn new() -> Db {
        Db {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                earlier: async_channel::bounded(1),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .expect("no code panics with this lock")
    }

    /// Returns the value of a key that has not expired.
    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        let state = self.state();
        let entry = state.entries.get(key)?;
        let expired = entry.expires_at.is_some_and(|at| at <= time::now());
        (!expired).then(|| entry.value.clone())
    }

    /// Sets a key, for ever or for a time.
    pub fn set(&self, key: Bytes, value: Bytes, expires_in: Option<Duration>) {
        // A time that is too far away to be told is never.
        let expires_at = expires_in.and_then(|time| time::now().checked_add(time));
        let mut state = self.state();
        let entry = Entry { value, expires_at };
        if let Some(old) = state
            .entries
            .insert(key.clone(), entry)
            .and_then(|old| old.expires_at)
        {
            state.expirations.remove(&(old, key.clone()));
        }
        if let Some(at) = expires_at {
            let first = state.expirations.first().map(|(first, _)| *first);
            state.expirations.insert((at, key));
            if first.is_none_or(|first| at < first) {
                let _ = self.shared.earlier.0.try_send(()); // full: it is told already
            }
        }
    }

    /// The number of keys, with those that have expired and are not removed yet.
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes keys when their time has come, for ever: the body of a daemon.
    pub async fn expire(self) -> taskgrove::Result {
        loop {
            let earlier = self.shared.earlier.1.recv();
            match self.remove_expired() {
                Some(next) => {
                    future::or(time::sleep_until(next), async {
                        earlier.await.unwrap_or(())
                    })
                    .await
                }
                None => earlier.await?,
            }
        }
    }

    /// Removes the keys whose time has come. Returns when the next one expires.
    fn remove_expired(&self) -> Option<Instant> {
        let now = time::now();
        let mut state = self.state();
        loop {
            let (at, key) = state.expirations.pop_first()?;
            if at > now {
                state.expirations.insert((at, key));
                return Some(at);
            }
            state.entries.remove(&key);
        }
    }

    /// Sends a message to the subscribers of a channel. Returns how many there are.
    pub fn publish(&self, channel: Bytes, text: Bytes) -> usize {
        // Under the lock, so that all subscribers get messages in the same order.
        let state = self.state();
        let Some(subscribers) = state.channels.get(&channel) else {
            return 0;
        };
        for subscriber in subscribers.values() {
            let (channel, text) = (channel.clone(), text.clone());
            subscriber.put(Message { channel, text });
        }
        subscribers.len()
    }

    /// Makes a subscriber that has no channels yet.
    pub fn subscriber(&self) -> Subscriber {
        let mut state = self.state();
        state.last_subscriber += 1;
        let inbox = Inbox {
            queue: Mutex::default(),
            news: async_channel::bounded(1),
        };
        Subscriber {
            db: self.clone(),
            id: state.last_subscriber,
            inbox: Arc::new(inbox),
            channels: BTreeSet::new(),
        }
    }
}

/// The channels of a client. It leaves them when it is dropped.
#[derive(Debug)]
pub struct Subscriber {
    db: Db,
    id: u64,
    inbox: Arc<Inbox>,
    channels: BTreeSet<Bytes>,
}

impl Subscriber {
    /// Subscribes to a channel. Does nothing if it has it already.
    pub fn subscribe(&mut self, channel: Bytes) {
        if self.channels.insert(channel.clone()) {
            let mut state = self.db.state();
            state
                .channels
                .entry(channel)
                .or_default()
                .insert(self.id, self.inbox.clone());
        }
    }

    /// Leaves a channel, and drops its messages that were not taken. Does nothing if it does not have it.
    pub fn unsubscribe(&mut self, channel: &[u8]) {
        if self.channels.remove(channel) {
            self.leave(channel);
            // No more of them can come.
            self.inbox.queue().forget(channel);
        }
    }

    fn leave(&self, channel: &[u8]) {
        let mut state = self.db.state();
        let subscribers = state.channels.get_mut(channel).expect("it is one of them");
        subscribers.remove(&self.id);
        if subscribers.is_empty() {
            state.channels.remove(channel);
        }
    }

    /// Its channels, in order.
    pub fn channels(&self) -> &BTreeSet<Bytes> {
        &self.channels
    }

    /// Waits for a message. It is safe to cancel.
    pub async fn message(&self) -> Message {
        loop {
            let next = self.inbox.queue().take();
            if let Some(message) = next {
                return message;
            }
            let news = self.inbox.news.1.recv().await;
            news.expect("its sender is beside it");
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.channels.iter().for_each(|channel| self.leave(channel));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskgrove::sim::Sim;
    use taskgrove::spawn;

    fn bytes(text: &str) -> Bytes {
        text.as_bytes().into()
    }

    /// Sets a key to its own name.
    fn set(db: &Db, key: &str, seconds: Option<u64>) {
        db.set(bytes(key), bytes(key), seconds.map(Duration::from_secs));
    }

    #[test]
    fn keys_are_removed_when_their_time_has_come() {
        Sim::new(1).block_on(async {
            let db = Db::new();
            let daemon = spawn(db.clone().expire()).cancel_on_drop();
            set(&db, "later", Some(10));
            time::sleep(Duration::from_secs(1)).await;
            set(&db, "earlier", Some(2)); // the daemon sleeps until 10
            set(&db, "for ever", None);
            time::sleep(Duration::from_millis(1999)).await;
            assert_eq!(db.len(), 3);
            time::sleep(Duration::from_millis(2)).await;
            assert_eq!((db.len(), db.get(b"earlier")), (2, None));
            assert_eq!(db.get(b"later"), Some(bytes("later")));
            time::sleep(Duration::from_secs(7)).await;
            assert_eq!((db.len(), db.get(b"later")), (1, None));
            drop(daemon);
        });
    }

    #[test]
    fn a_key_that_is_set_again_has_the_new_time() {
        Sim::new(1).block_on(async {
            let db = Db::new();
            let daemon = spawn(db.clone().expire()).cancel_on_drop();
            set(&db, "a", Some(1));
            set(&db, "a", Some(3));
            set(&db, "b", Some(1));
            set(&db, "b", None);
            set(&db, "c", Some(u64::MAX)); // never
            time::sleep(Duration::from_secs(2)).await;
            assert_eq!(db.len(), 3);
            time::sleep(Duration::from_secs(2)).await;
            assert_eq!((db.len(), db.get(b"a")), (2, None));
            drop(daemon);
        });
    }

    #[test]
    fn an_expired_key_is_gone_before_it_is_removed() {
        Sim::new(1).block_on(async {
            let db = Db::new(); // without its daemon
            set(&db, "a", Some(1));
            time::sleep(Duration::from_secs(1)).await;
            assert_eq!((db.len(), db.get(b"a")), (1, None));
        });
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_messages() {
        Sim::new(1).block_on(async {
            let db = Db::new();
            let mut subscriber = db.subscriber();
            subscriber.subscribe(bytes("news"));
            for n in 0_u8..100 {
                let text = vec![n; QUEUE / 10].into();
                assert_eq!(db.publish(bytes("news"), text), 1);
            }
            for n in 91..100 {
                assert_eq!(subscriber.message().await.text[0], n);
            }
            // One that is larger than all of the queue is alone in it.
            db.publish(bytes("news"), bytes("lost"));
            db.publish(bytes("news"), vec![7; 2 * QUEUE].into());
            assert_eq!(subscriber.message().await.text[0], 7);
            assert_eq!(subscriber.inbox.queue().size, 0);
        });
    }

    #[test]
    fn a_channel_that_is_left_sends_nothing_more() {
        Sim::new(1).block_on(async {
            let db = Db::new();
            let mut subscriber = db.subscriber();
            for channel in ["left", "kept"] {
                subscriber.subscribe(bytes(channel));
            }
            for channel in ["left", "kept", "left"] {
                db.publish(bytes(channel), bytes("x"));
            }
            subscriber.unsubscribe(b"left");
            assert_eq!(db.publish(bytes("left"), bytes("x")), 0);
            assert_eq!(subscriber.message().await.channel, bytes("kept"));
            assert!(subscriber.inbox.queue().messages.is_empty());
        });
    }

    #[test]
    fn a_subscriber_that_is_dropped_leaves_its_channels() {
        let db = Db::new();
        let mut subscriber = db.subscriber();
        subscriber.subscribe(bytes("news"));
        subscriber.subscribe(bytes("news"));
        assert_eq!(db.publish(bytes("news"), bytes("x")), 1);
        drop(subscriber);
        assert_eq!(db.publish(bytes("news"), bytes("x")), 0);
        assert!(db.state().channels.is_empty());
    }
}
