use super::*;

/// The path of a chain of `n` tasks, `t0` the root.
fn upward(n: usize) -> String {
    let mut path = UpwardPath::new();
    for level in (0..n).rev() {
        path.push(&format!("t{level}"));
    }
    path.finish()
}

/// What the module docs say the path of such a chain is.
fn expected(n: usize) -> String {
    let all: Vec<String> = (0..n).map(|level| format!("t{level}")).collect();
    if n <= 32 {
        return all.join("/");
    }
    format!("{}/…/{}", all[..16].join("/"), all[n - 15..].join("/"))
}

#[test]
fn short_paths_are_whole() {
    assert_eq!(upward(0), "");
    assert_eq!(upward(1), "t0");
    assert_eq!(upward(3), "t0/t1/t2");
}

#[test]
fn both_builders_elide_the_same_middle() {
    let names: Vec<String> = (0..200).map(|level| format!("t{level}")).collect();
    let mut preorder = PreorderPaths::new(&[]);
    for (depth, name) in names.iter().enumerate() {
        let path = preorder.push(depth, name);
        assert_eq!(path, expected(depth + 1));
        assert_eq!(path, upward(depth + 1));
        assert!(path.split('/').count() <= 32);
    }
}

#[test]
fn a_million_names_are_kept_in_constant_memory() {
    let mut path = UpwardPath::new();
    for level in (0..1_000_000).rev() {
        path.push(if level % 2 == 0 { "even" } else { "odd" });
    }
    assert_eq!(path.first.len() + path.latest.len(), 32);
    let path = path.finish();
    assert!(path.starts_with("even/odd/even/"), "{path}");
    assert!(path.ends_with("/odd"), "{path}");
    assert_eq!(path.split('/').count(), 32);
}

#[test]
fn preorder_goes_back_up() {
    let mut paths = PreorderPaths::new(&[]);
    assert_eq!(paths.push(0, "app"), "app");
    assert_eq!(paths.push(1, "db"), "app/db");
    assert_eq!(paths.push(2, "conn-1"), "app/db/conn-1");
    assert_eq!(paths.push(2, "conn-2"), "app/db/conn-2");
    assert_eq!(paths.push(1, "web"), "app/web");
    assert_eq!(paths.push(0, "other"), "other");
}

#[test]
fn preorder_goes_back_up_through_an_elided_middle() {
    let names: Vec<String> = (0..100).map(|level| format!("t{level}")).collect();
    let mut paths = PreorderPaths::new(&[]);
    for (depth, name) in names.iter().enumerate() {
        paths.push(depth, name);
    }
    assert_eq!(paths.push(49, "t49"), expected(50));
    assert_eq!(paths.push(3, "t3"), expected(4));
}

#[test]
fn a_depth_that_skips_levels_is_taken_as_one_more() {
    let mut paths = PreorderPaths::new(&[]);
    assert_eq!(paths.push(7, "top"), "top");
    assert_eq!(paths.push(usize::MAX, "below"), "top/below");
}

#[test]
fn ancestors_come_first_also_when_they_are_elided() {
    let above = vec!["app".to_owned(), "db".to_owned()];
    let mut paths = PreorderPaths::new(&above);
    assert_eq!(paths.push(0, "conn"), "app/db/conn");
    assert_eq!(paths.push(0, "pool"), "app/db/pool");

    // The same path, whether a snapshot starts at the root or far below it.
    let mut upward = UpwardPath::new();
    for level in (0..80).rev() {
        upward.push(&format!("t{level}"));
    }
    let above = upward.segments();
    let mut paths = PreorderPaths::new(&above);
    assert_eq!(paths.push(0, "t80"), expected(81));
    assert_eq!(paths.push(1, "t81"), expected(82));
}

#[test]
fn clean_names_are_borrowed() {
    assert!(matches!(sanitise("conn-3"), Cow::Borrowed("conn-3")));
    let longest = "ü".repeat(64);
    assert!(matches!(sanitise(&longest), Cow::Borrowed(_)));
}

#[test]
fn names_cannot_break_a_line_or_a_path() {
    assert_eq!(sanitise("a/b"), "a_b");
    assert_eq!(sanitise("a\nb\tc\u{1b}[31m\0"), "a_b_c_[31m_");
    assert_eq!(sanitise("a\u{2028}b\u{202E}c"), "a_b_c");
    assert_eq!(sanitise(""), "_");
}

#[test]
fn long_names_are_cut_at_a_character() {
    let cut = sanitise(&"ü".repeat(65)).into_owned();
    assert_eq!(cut.chars().count(), 64);
    assert!(cut.ends_with("ü…"), "{cut}");
    assert_eq!(sanitise(&cut), cut);
    assert_eq!(sanitise(&"x".repeat(1_000_000)).chars().count(), 64);
}
