//! Reads from Rust sources which file uses which.

use super::graph::Arrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Sign(char),
}

use Token::{Colons, Sign, Word};

impl Token {
    fn word(&self) -> Option<&str> {
        match self {
            Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The sources below a directory, each under its path without the ending.
pub(crate) fn files(src: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|x| x == "rs") {
                let name = path.strip_prefix(src).unwrap().with_extension("");
                let parts: Vec<_> = name.iter().map(|part| part.to_str().unwrap()).collect();
                found.insert(parts.join("/"), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// Which file below `src` uses which.
pub(crate) fn arrows(src: &Path) -> BTreeSet<Arrow> {
    arrows_of(&files(src))
}

/// Which of these files uses which.
pub(crate) fn arrows_of(files: &BTreeMap<String, String>) -> BTreeSet<Arrow> {
    let mut code = BTreeMap::new();
    let mut apart = Vec::new();
    for (name, text) in files {
        let module: Vec<String> = match &**name {
            "lib" => Vec::new(),
            name => name.split('/').map(str::to_owned).collect(),
        };
        let (tokens, tests) = without_tests(&tokens(text));
        apart.extend(tests.into_iter().map(|test| joined(&module, test)));
        code.insert(module, tokens);
    }
    code.retain(|module, _| !apart.iter().any(|tests| module.starts_with(tests)));
    let modules: BTreeSet<Vec<String>> = code.keys().cloned().collect();
    let mut arrows = BTreeSet::new();
    for (module, tokens) in &code {
        for (inside, path) in paths(module, tokens) {
            if let Some(to) = resolve(&modules, &inside, &path).filter(|to| to != module) {
                arrows.insert((name(module), name(&to)));
            }
        }
    }
    arrows
}

fn joined(module: &[String], part: String) -> Vec<String> {
    let mut module = module.to_vec();
    module.push(part);
    module
}

fn name(module: &[String]) -> String {
    if module.is_empty() {
        "lib".to_owned()
    } else {
        module.join("/")
    }
}

/// A text without its comments and literals.
fn tokens(text: &str) -> Vec<Token> {
    let text: Vec<char> = text.chars().collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let ahead = |at: usize| text.get(at).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match (text[at], ahead(at + 1)) {
            ('/', '/') => {
                while at < text.len() && text[at] != '\n' {
                    at += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                while at < text.len() {
                    match (text[at], ahead(at + 1)) {
                        ('/', '*') => depth += 1,
                        ('*', '/') => depth -= 1,
                        _ => {
                            at += 1;
                            continue;
                        }
                    }
                    at += 2;
                    if depth == 0 {
                        break;
                    }
                }
            }
            ('"', _) => at = after_quoted(&text, at, '"'),
            ('\'', '\\') => at = after_quoted(&text, at, '\''),
            ('\'', _) if ahead(at + 2) == '\'' => at += 3,
            // A lifetime.
            ('\'', _) => {
                at += 1;
                while is_word(ahead(at)) {
                    at += 1;
                }
            }
            (':', ':') => {
                found.push(Colons);
                at += 2;
            }
            (c, _) if is_word(c) => {
                let begin = at;
                while is_word(ahead(at)) {
                    at += 1;
                }
                let word: String = text[begin..at].iter().collect();
                let hashes = text[at..].iter().take_while(|c| **c == '#').count();
                if matches!(&*word, "r" | "br" | "cr") && ahead(at + hashes) == '"' {
                    at = after_raw(&text, at + hashes, hashes);
                } else {
                    found.push(Word(word));
                }
            }
            (c, _) => {
                if !c.is_whitespace() {
                    found.push(Sign(c));
                }
                at += 1;
            }
        }
    }
    found
}

/// Where a quoted literal that begins at `at` has ended.
fn after_quoted(text: &[char], mut at: usize, quote: char) -> usize {
    at += 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where a raw literal whose quote is at `at` has ended.
fn after_raw(text: &[char], mut at: usize, hashes: usize) -> usize {
    at += 1;
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    while at < text.len() && !text[at..].starts_with(&end) {
        at += 1;
    }
    at + end.len()
}

/// Where the bracket that opens at `at` has closed.
fn after_group(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at] {
            Sign('(' | '[' | '{') => depth += 1,
            Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The parts between the commas that are in no bracket. A comma at the end adds none.
fn between_commas(tokens: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begin = at;
        while at < tokens.len() && tokens[at] != Sign(',') {
            at = if matches!(tokens[at], Sign('(' | '[' | '{')) {
                after_group(tokens, at)
            } else {
                at + 1
            };
        }
        parts.push(&tokens[begin..at]);
        at += 1;
    }
    parts
}

/// The tokens without the items that only a test build has, and the names of their modules.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let mut kept = Vec::new();
    let mut modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_attribute = tokens[at] == Sign('#') && tokens.get(at + 1) == Some(&Sign('['));
        if !is_attribute {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let end = after_group(tokens, at + 1);
        let attribute = &tokens[at + 2..end - 1];
        let is_cfg = attribute.first().and_then(Token::word) == Some("cfg");
        at = end;
        if is_cfg && !is_possible(&attribute[2..attribute.len() - 1]) {
            at = after_item(tokens, at, &mut modules);
        }
    }
    (kept, modules)
}

/// True if a `cfg` predicate can hold in a build that is no test.
fn is_possible(predicate: &[Token]) -> bool {
    let inner = predicate
        .get(2..predicate.len().saturating_sub(1))
        .unwrap_or(&[]);
    let parts = between_commas(inner);
    match predicate.first().and_then(Token::word) {
        Some("test") => false,
        Some("all") => parts.into_iter().all(is_possible),
        Some("any") => parts.into_iter().any(is_possible),
        _ => true,
    }
}

/// Where the item at `at` has ended, if it is one that ends with a semicolon or a block.
fn after_item(tokens: &[Token], mut at: usize, modules: &mut Vec<String>) -> usize {
    while tokens.get(at) == Some(&Sign('#')) {
        at = after_group(tokens, at + 1);
    }
    let begin = at;
    if tokens[at..].first().and_then(Token::word) == Some("pub") {
        at += 1;
        if tokens.get(at) == Some(&Sign('(')) {
            at = after_group(tokens, at);
        }
    }
    let keyword = tokens.get(at).and_then(Token::word).unwrap_or_default();
    let items = [
        "async", "const", "enum", "extern", "fn", "impl", "let", "mod", "static", "struct",
        "trait", "type", "use",
    ];
    if !items.contains(&keyword) {
        return begin;
    }
    if let ("mod", [Word(name), Sign(';'), ..]) = (keyword, &tokens[at + 1..]) {
        modules.push(name.clone());
    }
    let ends_with_block = !matches!(keyword, "use" | "let" | "static" | "type");
    while at < tokens.len() && tokens[at] != Sign(';') {
        match tokens[at] {
            Sign('{') if ends_with_block => return after_group(tokens, at),
            Sign('(' | '[' | '{') => at = after_group(tokens, at),
            _ => at += 1,
        }
    }
    at + 1
}

/// The paths in a file, each with the module it is in (the file's, or one inside).
fn paths(module: &[String], tokens: &[Token]) -> Vec<(Vec<String>, Vec<String>)> {
    let mut found = Vec::new();
    let mut inside = module.to_vec();
    // How deep in braces each module inside the file begins.
    let mut begins = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at..] {
            [Word(word), Word(name), Sign('{'), ..] if word == "mod" => {
                depth += 1;
                begins.push(depth);
                inside.push(name.clone());
                at += 3;
            }
            [Sign('{'), ..] => {
                depth += 1;
                at += 1;
            }
            [Sign('}'), ..] => {
                if begins.last() == Some(&depth) {
                    begins.pop();
                    inside.pop();
                }
                depth -= 1;
                at += 1;
            }
            [Word(word), next, ..] if word == "use" && *next != Sign('<') => {
                let end = at
                    + tokens[at..]
                        .iter()
                        .position(|token| *token == Sign(';'))
                        .expect("an end");
                let mut used = Vec::new();
                use_tree(&tokens[at + 1..end], &[], &mut used);
                found.extend(used.into_iter().map(|path| (inside.clone(), path)));
                at = end;
            }
            // A visibility uses nothing.
            [Word(word), Sign('('), Word(within), ..] if word == "pub" && within == "in" => {
                at = after_group(tokens, at + 1);
            }
            [Word(word), rest @ ..] => {
                let mut path = vec![word.clone()];
                let mut rest = rest;
                while let [Colons, Word(part), after @ ..] = rest {
                    path.push(part.clone());
                    rest = after;
                }
                let before = at.checked_sub(1).map(|before| &tokens[before]);
                if path.len() > 1 && !matches!(before, Some(Colons | Sign('.' | '$'))) {
                    found.push((inside.clone(), path));
                }
                at = tokens.len() - rest.len();
            }
            _ => at += 1,
        }
    }
    found
}

/// The paths of a `use` item's tree.
fn use_tree(tokens: &[Token], before: &[String], found: &mut Vec<Vec<String>>) {
    let mut path = before.to_vec();
    let mut rest = tokens;
    loop {
        match rest {
            // `a::{self}` is `a`.
            [Word(word), ..] if word == "self" && !path.is_empty() => break,
            [Word(word), after @ ..] => {
                path.push(word.clone());
                rest = after;
            }
            [Colons, after @ ..] => rest = after,
            _ => break,
        }
        if rest.first().and_then(Token::word) == Some("as") {
            break;
        }
    }
    let [Sign('{'), inner @ .., Sign('}')] = rest else {
        found.push(path);
        return;
    };
    for part in between_commas(inner) {
        use_tree(part, &path, found);
    }
}

/// The file that a path in a module leads to, if it is one of the crate's.
fn resolve(
    files: &BTreeSet<Vec<String>>,
    module: &[String],
    path: &[String],
) -> Option<Vec<String>> {
    let mut at = module.to_vec();
    let mut rest = path;
    match &*path[0] {
        "crate" => {
            at.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        first => {
            if !files.contains(&joined(module, first.to_owned())) {
                return None;
            }
        }
    }
    for part in rest {
        let next = joined(&at, part.clone());
        if !files.contains(&next) {
            break;
        }
        at = next;
    }
    // A module inside a file is in that file.
    while !at.is_empty() && !files.contains(&at) {
        at.pop();
    }
    Some(at)
}
