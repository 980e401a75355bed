//! How the plain data of snapshots is serialised, with the feature `serde`.
//!
//! The other types derive it. A place in the sources is a string, such as `src/db.rs:40:9`, an id is a number,
//! and a duration is what serde makes of it: seconds and nanoseconds.

use super::Snapshot;
use serde::ser::{Serialize, SerializeStruct, Serializer};

impl Serialize for Snapshot {
    /// A struct with the field `nodes`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut snapshot = serializer.serialize_struct("Snapshot", 1)?;
        snapshot.serialize_field("nodes", self.nodes())?;
        snapshot.end()
    }
}
