//! Circles in a directed graph.

use std::collections::{BTreeMap, BTreeSet};

/// A file, and one that it uses.
pub(crate) type Arrow = (String, String);

/// The arrows that are part of a circle.
pub(crate) fn circles(arrows: &BTreeSet<Arrow>) -> BTreeSet<Arrow> {
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        uses.entry(from).or_default().push(to);
    }
    let reaches = |from: &str, goal: &str| {
        let mut seen = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            for &to in uses.get(file).into_iter().flatten() {
                if to == goal {
                    return true;
                }
                if seen.insert(to) {
                    next.push(to);
                }
            }
        }
        false
    };
    let closed = arrows.iter().filter(|(from, to)| reaches(to, from));
    closed.cloned().collect()
}
