//! The rooms of `src/` are in an order, and no file uses a room above its own.
//!
//! A room is a file `src/x.rs` together with the folder `src/x/`. The test reads the imports and the
//! paths of all sources (not those of test modules) and fails on an arrow from a file to a room that
//! is not below its own, and on files that use each other in a circle. `.ci/rooms.sh` runs it alone.
//!
//! `ARCHITECTURE.md` may show the same order in a fenced block that starts with "```rooms", the top
//! room first. A line that starts with a space continues the one before; each other line is the names
//! of the rooms of one level, separated by ` | `, and then, after at least two spaces, any text.

mod rooms {
    pub(super) mod graph;
    pub(super) mod imports;
}

use rooms::graph::{Arrow, circles};
use rooms::imports;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The rooms, bottom first. Rooms of one level do not use each other.
const ROOMS: &[&[&str]] = &[
    &["sync"],
    &["panics"],
    &["id", "path"],
    &["wait_list"],
    &["arena"],
    &["timer_queue", "reactor"],
    &["snapshot"],
    &["error"],
    &["events"],
    &["task"],
    &["protect"],
    &["tree"],
    &["handle"],
    &["time"],
    &["net"],
    &["hyper"],
    &["schedule"],
    &["service"],
    &["supervisor"],
    &["runtime", "sim"],
    &["process"],
    &["lib", "model", "guide"],
];

/// Arrows that break the rule and are not mended yet. The list may only shrink: the test fails on an
/// entry whose arrow is gone or no longer breaks the rule.
const ALLOWED: &[(&str, &str)] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The room that a file is in.
fn room(file: &str) -> &str {
    file.split('/').next().expect("a name")
}

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|level| level.contains(&room))
}

/// True if a file of the room `from` may not use the room `to`.
fn goes_up(from: &str, to: &str) -> bool {
    from != to && level(to) >= level(from)
}

/// The arrow as a line for [`ALLOWED`].
fn line((from, to): &Arrow) -> String {
    format!("    (\"{from}\", \"{to}\"),\n")
}

#[test]
fn no_arrow_goes_up_and_no_files_form_a_circle() {
    let all = imports::arrows(&root().join("src"));
    let allowed: BTreeSet<Arrow> = ALLOWED
        .iter()
        .map(|(from, to)| (from.to_string(), to.to_string()))
        .collect();
    let up = |arrow: &Arrow| goes_up(room(&arrow.0), room(&arrow.1));
    // Where no arrow goes up, a circle is within a room.
    let (within, between): (BTreeSet<Arrow>, BTreeSet<Arrow>) = all
        .iter()
        .cloned()
        .partition(|(from, to)| room(from) == room(to));
    let in_circles = circles(&within);
    let offends = |arrow: &Arrow| up(arrow) || in_circles.contains(arrow);

    let stale: String = allowed
        .iter()
        .filter(|arrow| !offends(arrow))
        .map(line)
        .collect();
    let higher: String = between
        .difference(&allowed)
        .filter(|arrow| up(arrow))
        .map(line)
        .collect();
    let left = within.difference(&allowed).cloned().collect();
    let in_circles: String = circles(&left).iter().map(line).collect();
    let mut said = String::new();
    for (what, lines) in [
        (
            "allowed, but no offence any more (delete these lines)",
            stale,
        ),
        ("from a room to one that is not below it", higher),
        ("in a circle of files", in_circles),
    ] {
        if !lines.is_empty() {
            said += &format!("{what}:\n{lines}");
        }
    }
    assert!(said.is_empty(), "\n{said}");
}

#[test]
fn each_file_is_in_a_room_and_each_room_says_what_it_is_for() {
    let files = imports::files(&root().join("src"));
    let rooms: BTreeSet<&str> = files.keys().map(|file| room(file)).collect();
    let table: BTreeSet<&str> = ROOMS.iter().copied().flatten().copied().collect();
    assert_eq!(rooms, table, "the rooms in src, and those in the table");
    for room in rooms {
        let text = files
            .get(room)
            .unwrap_or_else(|| panic!("there is no src/{room}.rs"));
        assert!(
            text.starts_with("//! "),
            "src/{room}.rs does not say what the room is for"
        );
    }
}

/// The levels of the picture in a text, bottom first; `None` if it has no picture.
fn picture(text: &str) -> Option<Vec<BTreeSet<&str>>> {
    let block = text
        .split_once("\n```rooms\n")?
        .1
        .split_once("\n```")
        .expect("an end")
        .0;
    let lines = block
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(' '));
    let levels = lines.map(|line| {
        line.split("  ")
            .next()
            .expect("a name")
            .split(" | ")
            .collect()
    });
    let mut levels: Vec<_> = levels.collect();
    levels.reverse();
    Some(levels)
}

#[test]
fn the_picture_in_the_architecture_is_the_table() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table: Vec<BTreeSet<&str>> = ROOMS
        .iter()
        .map(|level| level.iter().copied().collect())
        .collect();
    if let Some(picture) = picture(&text) {
        assert_eq!(picture, table);
    }
}

#[test]
fn a_picture_is_read_from_the_top() {
    let text = "x\n```rooms\nlib | model  the top\n  of it all\ntask  one\nsync\n```\n";
    let levels = [["sync"].into(), ["task"].into(), ["lib", "model"].into()];
    assert_eq!(picture(text), Some(levels.to_vec()));
    assert_eq!(picture("x"), None);
}

#[test]
fn arrows_go_to_the_file_that_a_path_leads_to() {
    let text = r##"
        //! use crate::no::comment;
        use crate::{b::{self, c::C as D}, e::*};
        pub(in crate::no) use super::f::F;
        /* use crate::no; /* */ */ use std::sync::Arc;
        fn f<'e>() -> impl Sized + use<'e> { ('\'', "crate::no", r#"" crate::no "#, crate::g::h()) }
        mod inner { use super::child; fn g() { super::super::b::c::i() } }
        macro_rules! m { () => { $crate::no::j() } }
        #[cfg(all(test, not(taskgrove_loom)))]
        mod tests { use crate::no; }
        #[cfg(test)]
        mod apart;
        #[cfg(any(test, taskgrove_loom))]
        use crate::k;
    "##;
    let names = [
        "lib", "a", "a/child", "a/apart", "b", "b/c", "e", "f", "g", "k", "no",
    ];
    let mut files: BTreeMap<String, String> =
        names.map(|name| (name.to_owned(), String::new())).into();
    files.insert("a".to_owned(), text.to_owned());
    files.insert("a/apart".to_owned(), "use crate::no;".to_owned());
    let arrows = imports::arrows_of(&files);
    let to: Vec<&str> = arrows
        .iter()
        .map(|(from, to)| {
            assert_eq!(from, "a");
            &**to
        })
        .collect();
    assert_eq!(to, ["a/child", "b", "b/c", "e", "f", "g", "k"]);
}

/// The index has a line for each decision, and the files that decisions name exist.
#[test]
fn every_decision_is_in_the_index_and_names_files_that_exist() {
    let folder = root().join("docs/decisions");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut missing = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        for part in text.split('`').skip(1).step_by(2) {
            let tops = ["src/", "tests/", ".ci/", "benches/", "fuzz/"];
            let is_path = tops.iter().any(|top| part.starts_with(top));
            assert!(
                !is_path || root().join(part).exists(),
                "{name} names {part}"
            );
        }
        if name == "README.md" {
            continue;
        }
        let title = text.strip_prefix("# ").and_then(|text| text.lines().next());
        let (number, title) = title.and_then(|title| title.split_once(": ")).expect(&name);
        let line = format!("| {number} | [{title}]({name}) | ");
        if !index.contains(&line) {
            missing.insert(line);
        }
    }
    assert!(
        missing.is_empty(),
        "add to docs/decisions/README.md: {missing:#?}"
    );
}
