//! [`Crowd`]: a parent with many children, and [`Census`]: which children these are.

use crate::id::TaskId;
use crate::path::sanitise;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::panic::Location;

/// The largest number of names, and of places, that are listed.
const MOST_COMMON: usize = 10;

/// The children of one name that were spawned at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildPlace {
    /// The name of the children.
    pub name: String,
    /// The place in the sources where they were spawned.
    pub location: &'static Location<'static>,
    /// The number of these children.
    pub count: usize,
}

/// A parent whose supervised children have reached a share of its limit. The hook of
/// [`Builder::on_crowd`](crate::Builder::on_crowd) gets it.
///
/// Its [`Display`](fmt::Display) is one line with the names and places.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Crowd {
    /// The id of the parent.
    pub id: TaskId,
    /// The path of the parent.
    pub parent: String,
    /// The number of live supervised children.
    pub children: usize,
    /// The number of live supervised children that the parent may have.
    pub limit: usize,
    /// As [`TooManyChildren::most_common`](crate::TooManyChildren::most_common).
    pub most_common: Vec<(String, usize)>,
    /// As [`TooManyChildren::places`](crate::TooManyChildren::places).
    pub places: Vec<ChildPlace>,
}

/// Which children a parent has.
#[derive(Default)]
pub(crate) struct Census {
    pub(crate) most_common: Vec<(String, usize)>,
    pub(crate) places: Vec<ChildPlace>,
}

impl Census {
    /// Counts children. A name and a place may come more than once.
    pub(crate) fn new<'a>(
        children: impl Iterator<Item = (Cow<'a, str>, &'static Location<'static>, usize)>,
    ) -> Census {
        let mut names: HashMap<Cow<'a, str>, usize> = HashMap::new();
        let mut places: HashMap<(Cow<'a, str>, &'static Location<'static>), usize> = HashMap::new();
        for (name, location, count) in children {
            *names.entry(name.clone()).or_default() += count;
            *places.entry((name, location)).or_default() += count;
        }
        let names = most_common(names).into_iter();
        let places = most_common(places).into_iter();
        Census {
            most_common: names.map(|(name, n)| (name.into_owned(), n)).collect(),
            places: places
                .map(|((name, location), count)| ChildPlace {
                    name: name.into_owned(),
                    location,
                    count,
                })
                .collect(),
        }
    }
}

/// The most common keys, the most common first.
fn most_common<K: Hash + Ord>(counts: HashMap<K, usize>) -> Vec<(K, usize)> {
    let mut all: Vec<(K, usize)> = counts.into_iter().collect();
    // Equally common keys come in their own order, so that equal sets give equal messages.
    let order = |a: &(K, usize), b: &(K, usize)| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0));
    if all.len() > MOST_COMMON {
        all.select_nth_unstable_by(MOST_COMMON, order);
        all.truncate(MOST_COMMON);
    }
    all.sort_unstable_by(order);
    all
}

/// Writes the names, and for each the places where its children were spawned:
/// `; most common: conn (x700, spawned at src/a.rs:10:5), job (x2)`.
pub(crate) fn write_census(
    names: &[(String, usize)],
    places: &[ChildPlace],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (at, (name, count)) in names.iter().enumerate() {
        f.write_str(if at == 0 { "; most common: " } else { ", " })?;
        write!(f, "{} (x{count}", sanitise(name))?;
        let own = places.iter().filter(|place| place.name == *name);
        for (at, place) in own.enumerate() {
            f.write_str(if at == 0 { ", spawned at " } else { " and " })?;
            write!(f, "{}", place.location)?;
            if place.count < *count {
                write!(f, " (x{})", place.count)?;
            }
        }
        f.write_str(")")?;
    }
    Ok(())
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crowd {
            parent,
            id,
            children,
            limit,
            ..
        } = self;
        write!(
            f,
            "`{parent}` {id} has {children} children, and may have {limit}"
        )?;
        write_census(&self.most_common, &self.places, f)
    }
}
