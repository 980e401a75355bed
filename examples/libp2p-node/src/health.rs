//! [`Health`], the message that travels, and [`Board`], what a node knows.

use libp2p::{Multiaddr, PeerId};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many peers a node remembers. Anybody can make as many names and keys as they like.
pub(crate) const REMEMBERED: usize = 1_000;

/// What a node tells all others about itself, as a line of text: `name=cyd tasks=7 restarts=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// Whatever the node says. The peer's id is what cannot be forged.
    pub(crate) name: String,
    /// The tasks of its service that live.
    pub(crate) tasks: u64,
    /// How often its supervisor has restarted it.
    pub(crate) restarts: u64,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Health {
            name,
            tasks,
            restarts,
        } = self;
        write!(f, "name={name} tasks={tasks} restarts={restarts}")
    }
}

impl FromStr for Health {
    type Err = ();

    /// Reads a line that comes from somebody else's machine.
    fn from_str(line: &str) -> Result<Self, ()> {
        let mut fields = line.splitn(3, ' ');
        let mut field = |key: &str| {
            let (found, value) = fields.next()?.split_once('=')?;
            (found == key).then_some(value)
        };
        let name = field("name").filter(|name| is_name(name)).ok_or(())?;
        let mut number = |key| field(key).and_then(|value| value.parse().ok()).ok_or(());
        Ok(Health {
            name: name.to_owned(),
            tasks: number("tasks")?,
            restarts: number("restarts")?,
        })
    }
}

/// Tells whether this is a name that can be sent, and printed.
pub(crate) fn is_name(name: &str) -> bool {
    let printable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=32).contains(&name.len()) && name.chars().all(printable)
}

/// What a node knows, for those who look at it from outside. It outlives the incarnations of the node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Seen>>);

/// What an incarnation of a node has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) addresses: Vec<Multiaddr>,
    /// The peers that it is connected to.
    pub(crate) connected: usize,
    /// How often it has lost its last connection to a peer.
    pub(crate) lost: u64,
    /// The peers that it exchanges gossip with.
    pub(crate) mesh: usize,
    /// The pings that were answered.
    pub(crate) pings: u64,
    pub(crate) heard: BTreeMap<PeerId, Heard>,
}

/// What a node has heard of another one.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) messages: u64,
    pub(crate) latest: Health,
    /// When the last message came.
    pub(crate) at: Instant,
}

impl Seen {
    /// Remembers what was heard of a peer, and forgets the one that was silent longest if there are too many.
    pub(crate) fn hear(&mut self, from: PeerId, heard: Heard) {
        self.heard.insert(from, heard);
        if self.heard.len() > REMEMBERED {
            let silent = self.heard.iter().min_by_key(|(_, heard)| heard.at);
            let silent = silent.map(|(peer, _)| *peer);
            silent.map(|silent| self.heard.remove(&silent));
        }
    }
}

impl Board {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
