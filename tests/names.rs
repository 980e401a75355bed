//! `tests/README.md` and `loom-tests/README.md` name tests and code that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The Rust files below a directory, or the one file.
fn sources(at: &Path) -> Vec<PathBuf> {
    if !at.is_dir() {
        return Vec::from_iter(at.is_file().then(|| at.to_owned()));
    }
    let entries = fs::read_dir(at).unwrap();
    let mut found: Vec<_> = entries
        .flat_map(|entry| sources(&entry.unwrap().path()))
        .collect();
    found.retain(|path| path.extension().is_some_and(|x| x == "rs"));
    found
}

/// What a file tests.
fn tests(path: &Path) -> BTreeSet<String> {
    let text = read(path);
    let after = text.split("#[test]").skip(1);
    let name = |part: &str| Some(part.split_once("fn ")?.1.split_once('(')?.0.to_owned());
    after.filter_map(name).collect()
}

/// `a::{b, c}::d` is `a::b::d` and `a::c::d`.
fn expand(name: &str) -> Vec<String> {
    let Some((before, rest)) = name.split_once('{') else {
        return vec![name.to_owned()];
    };
    let (inner, after) = rest.split_once('}').expect("a closing brace");
    let each = inner.split(',');
    each.map(|part| format!("{before}{}{after}", part.trim()))
        .collect()
}

/// Where the tests of a path's first segments are.
fn places(name: &str) -> Vec<PathBuf> {
    let mut modules: Vec<_> = name.split("::").collect();
    modules.pop();
    let (first, inner) = modules.split_first().expect("a module");
    let mut found = Vec::new();
    if let Some(model) = first.strip_prefix("loom: ") {
        found.push(
            Path::new("loom-tests/tests")
                .join(model)
                .with_extension("rs"),
        );
        return found;
    }
    let suite = Path::new("tests").join(first);
    found.extend(sources(&suite));
    found.extend(sources(&suite.with_extension("rs")));
    if *first == "parity_sim" {
        found.extend(sources(Path::new("tests/parity")));
    }
    if found.is_empty() {
        found = sources(Path::new("src"));
        found.retain(|path| path.with_extension("").iter().any(|part| part == *first));
    }
    if let Some(inner) = inner.first() {
        found.retain(|path| path.file_stem().is_some_and(|stem| stem == *inner));
    }
    found
}

fn is_there(name: &str) -> bool {
    let test = name.rsplit("::").next().expect("a name");
    let places = places(name);
    let mut all = places.iter().flat_map(|path| tests(path));
    match test.strip_suffix('*') {
        Some(begin) => all.any(|known| known.starts_with(begin)),
        None => all.any(|known| known == test) || has_module(&places, test),
    }
}

/// A name may be that of a module, if that has tests.
fn has_module(places: &[PathBuf], name: &str) -> bool {
    let named = |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem == name);
    places
        .iter()
        .filter(named)
        .any(|path| !tests(path).is_empty())
}

/// What is between backticks, is a path, and belongs to a table.
fn named(text: &str) -> impl Iterator<Item = String> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    quoted
        .filter(|quote| quote.contains("::") && !quote.contains("::`"))
        .flat_map(expand)
}

#[test]
fn the_tests_that_the_readme_names_exist() {
    let names: Vec<_> = named(&read("tests/README.md")).collect();
    assert!(names.len() > 60, "{} names", names.len());
    let missing: Vec<_> = names
        .iter()
        // Published without the models.
        .filter(|name| !name.starts_with("loom: ") || Path::new("loom-tests").exists())
        .filter(|name| !is_there(name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn each_model_is_listed() {
    if !Path::new("loom-tests").exists() {
        return;
    }
    let text = read("loom-tests/README.md");
    let first = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<String> = first.map(|(name, _)| name.to_owned()).collect();
    let mut there = BTreeSet::new();
    for path in sources(Path::new("loom-tests/tests")) {
        let model = path.file_stem().unwrap().to_str().unwrap().to_owned();
        there.extend(
            tests(&path)
                .into_iter()
                .map(|test| format!("{model}::{test}")),
        );
    }
    assert_eq!(listed, there);
}

/// The code that the breakages name in backticks: `a::b`, or a single name, or a path.
fn breakages(text: &str) -> impl Iterator<Item = String> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").nth(2));
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.map(str::to_owned)
}

/// True if `word` is in the text, and neither preceded nor followed by a letter, digit or `_`.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

/// True if the sources have a file at this path, or a word of this name, or, for `a::b`, a function
/// `b` in a module `a` or in a file that has an `impl` or a trait `a`.
fn is_in(sources: &[(PathBuf, String)], named: &str) -> bool {
    if named.contains('/') {
        return Path::new(named).exists();
    }
    let Some((of, function)) = named.rsplit_once("::") else {
        return sources.iter().any(|(_, text)| has_word(text, named));
    };
    let is_home =
        |line: &str| (line.starts_with("impl") || line.contains("trait ")) && has_word(line, of);
    let declared = format!("fn {function}");
    sources.iter().any(|(path, text)| {
        let is_module = path.with_extension("").iter().any(|part| part == of);
        (is_module || text.lines().any(is_home)) && has_word(text, &declared)
    })
}

#[test]
fn the_code_that_the_breakages_name_exists() {
    if !Path::new("loom-tests").exists() {
        return;
    }
    let texts = sources(Path::new("src")).into_iter();
    let code = |text: String| -> String {
        let lines = text.split_inclusive('\n');
        lines
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect()
    };
    let texts: Vec<_> = texts.map(|path| (path.clone(), code(read(path)))).collect();
    let named: BTreeSet<String> = breakages(&read("loom-tests/README.md")).collect();
    assert!(named.len() > 40, "{} names", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !is_in(&texts, name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    for invented in ["src/none.rs", "Inbox::none", "None::pop", "no_such_word"] {
        assert!(!is_in(&texts, invented), "{invented}");
    }
}
