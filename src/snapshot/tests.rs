use std::num::NonZeroU64;

use super::*;

fn id(raw: u64) -> TaskId {
    TaskId::from_raw(NonZeroU64::new(raw).expect("ids are not zero"))
}

fn draft(raw: u64, depth: usize, name: &str) -> Draft<'_> {
    Draft {
        id: id(raw),
        name,
        depth,
        kind: NodeKind::Task,
        state: NodeState::Parked,
        daemon: false,
        polls: raw,
        busy: None,
        age: Duration::from_millis(1500),
        location: Location::caller(),
        awaiting: None,
        running_for: None,
        cause: None,
    }
}

fn app() -> Snapshot {
    let mut drafts = vec![
        draft(1, 0, "app"),
        draft(2, 1, "db"),
        draft(3, 2, "conn-1"),
        draft(4, 2, "conn-2"),
        draft(5, 1, "web"),
        draft(6, 2, "accept"),
    ];
    drafts[0].kind = NodeKind::Service;
    drafts[0].state = NodeState::WaitingForChildren;
    drafts[3].busy = Some(Duration::from_micros(1250));
    drafts[5].daemon = true;
    drafts[5].state = NodeState::Running;
    Snapshot::new(Vec::new(), None, drafts)
}

fn chain(length: usize) -> Snapshot {
    let drafts = (0..length).map(|depth| draft(depth as u64 + 1, depth, "link"));
    Snapshot::new(Vec::new(), None, drafts)
}

#[test]
fn nodes_know_their_parents_and_paths() {
    let snapshot = app();
    let seen: Vec<(u64, Option<u64>, &str)> = snapshot
        .nodes()
        .iter()
        .map(|node| (node.id.get(), node.parent.map(TaskId::get), &*node.path))
        .collect();
    assert_eq!(
        seen,
        [
            (1, None, "app"),
            (2, Some(1), "app/db"),
            (3, Some(2), "app/db/conn-1"),
            (4, Some(2), "app/db/conn-2"),
            (5, Some(1), "app/web"),
            (6, Some(5), "app/web/accept"),
        ]
    );
    assert_eq!(snapshot.len(), 6);
    assert!(!snapshot.is_empty());
    assert_eq!((&snapshot).into_iter().count(), 6);
    assert_eq!(snapshot.nodes()[2].location.file(), file!());
}

#[test]
fn a_subtree_knows_what_is_above_it() {
    let above = vec!["app".to_owned(), "db".to_owned()];
    let drafts = vec![draft(3, 0, "a"), draft(4, 1, "b"), draft(5, 0, "c")];
    let snapshot = Snapshot::new(above, Some(id(2)), drafts);
    let nodes = snapshot.nodes();
    assert_eq!(nodes[0].parent, Some(id(2)));
    assert_eq!(nodes[1].parent, Some(id(3)));
    assert_eq!(nodes[2].parent, Some(id(2)));
    assert_eq!(nodes[1].path, "app/db/a/b");
    assert_eq!(nodes[2].path, "app/db/c");
}

#[test]
fn is_drawn_as_a_tree() {
    assert_eq!(
        app().to_string(),
        "\
app #1 service, waiting for children, 1 poll, age 1.5s
├─ db #2 task, parked, 2 polls, age 1.5s
│  ├─ conn-1 #3 task, parked, 3 polls, age 1.5s
│  └─ conn-2 #4 task, parked, 4 polls, busy 1.2ms, age 1.5s
└─ web #5 task, parked, 5 polls, age 1.5s
   └─ accept #6 daemon task, running, 6 polls, age 1.5s"
    );
}

#[test]
fn several_roots_are_drawn_side_by_side() {
    let drafts = vec![draft(1, 0, "a"), draft(2, 1, "b"), draft(3, 0, "c")];
    let drawn = Snapshot::new(Vec::new(), None, drafts).to_string();
    let starts: Vec<&str> = drawn
        .lines()
        .filter_map(|line| line.split('#').next())
        .collect();
    assert_eq!(starts, ["a ", "└─ b ", "c "]);
}

#[test]
fn nothing_is_drawn_as_words() {
    let nothing = Snapshot::empty();
    assert!(nothing.is_empty());
    assert_eq!(nothing.len(), 0);
    assert_eq!(nothing.to_string(), "(no tasks)");
    assert_eq!(nothing.to_dot(), "digraph taskgrove {\n  rankdir=LR;\n}\n");
}

#[test]
fn deep_levels_are_numbers() {
    let mut drafts: Vec<Draft<'_>> = (0..20).map(|d| draft(d as u64 + 1, d, "link")).collect();
    drafts.push(draft(30, 1, "end"));
    let drawn = Snapshot::new(Vec::new(), None, drafts).to_string();
    let lines: Vec<&str> = drawn.lines().collect();
    assert!(lines[1].starts_with("├─ link"), "{drawn}");
    let blank = "   ".repeat(14);
    assert!(
        lines[16].starts_with(&format!("│  {blank}└─ link")),
        "{drawn}"
    );
    assert!(
        lines[17].starts_with(&format!("│  {blank}   [17] link")),
        "{drawn}"
    );
    assert!(
        lines[19].starts_with(&format!("│  {blank}   [19] link")),
        "{drawn}"
    );
    assert!(lines[20].starts_with("└─ end"), "{drawn}");
}

#[test]
fn a_long_chain_is_drawn_in_linear_space() {
    const LENGTH: usize = 200_000;
    let snapshot = chain(LENGTH);
    assert_eq!(snapshot.len(), LENGTH);
    let drawn = snapshot.to_string();
    assert_eq!(drawn.lines().count(), LENGTH);
    assert!(drawn.len() < 150 * LENGTH, "{} bytes", drawn.len());
    let longest = snapshot.nodes().iter().map(|node| node.path.len()).max();
    assert!(longest < Some(200), "{longest:?}");
    let last = snapshot.nodes().last().expect("it is not empty");
    assert_eq!(last.parent, Some(id(LENGTH as u64 - 1)));
    assert!(snapshot.to_dot().len() < 300 * LENGTH);
}

#[test]
fn names_cannot_break_the_drawing() {
    let snapshot = Snapshot::new(
        Vec::new(),
        None,
        vec![draft(1, 0, "a\n├─ \u{1b}[2Jfake"), draft(2, 1, "")],
    );
    let drawn = snapshot.to_string();
    assert_eq!(drawn.lines().count(), 2);
    assert!(!drawn.contains('\u{1b}'));
    assert_eq!(snapshot.nodes()[0].name, "a\n├─ \u{1b}[2Jfake");
}

#[test]
fn dot_has_each_node_and_edge_once() {
    let dot = app().to_dot();
    for raw in 1..=6 {
        assert_eq!(dot.matches(&format!("  t{raw} [label=")).count(), 1);
    }
    for edge in ["t1 -> t2;", "t2 -> t3;", "t2 -> t4;", "t1 -> t5;"] {
        assert_eq!(dot.matches(edge).count(), 1, "{edge}");
    }
    assert_eq!(dot.matches("->").count(), 5);
    assert!(dot.contains("shape=box"));
    assert!(dot.contains("style=\"dashed,bold\""));
}

#[test]
fn dot_leaves_out_the_parent_outside_the_picture() {
    let dot = Snapshot::new(vec!["app".to_owned()], Some(id(1)), vec![draft(2, 0, "x")]).to_dot();
    assert_eq!(dot.matches("->").count(), 0);
}

#[test]
fn dot_labels_are_escaped() {
    let name = "say \"hi\"\\N\n};";
    let dot = Snapshot::new(Vec::new(), None, vec![draft(1, 0, name)]).to_dot();
    assert!(dot.contains(r#"label="say \"hi\"\\N_};\n#1 task"#), "{dot}");
    assert_eq!(dot.lines().count(), 4);
}

#[test]
fn every_kind_and_state_has_its_own_words() {
    use NodeState::*;
    let states = [
        Queued,
        Running,
        Parked,
        WaitingForChildren,
        Cancelling,
        CleaningUp,
    ];
    let words: std::collections::HashSet<String> =
        states.iter().map(NodeState::to_string).collect();
    assert_eq!(words.len(), states.len());
    assert_eq!(format!("[{:>8}]", NodeKind::Task), "[    task]");
}

fn ids(nodes: &[&Node]) -> Vec<u64> {
    nodes.iter().map(|node| node.id.get()).collect()
}

#[test]
fn totals_are_of_a_task_and_everything_below_it() {
    let mut snapshot = app();
    let tasks = |id| snapshot.totals(TaskId::from_raw(NonZeroU64::new(id).unwrap()));
    let sums = |id| tasks(id).map(|totals| (totals.tasks, totals.polls, totals.busy));
    assert_eq!(sums(1), Some((6, 21, None)));
    assert_eq!(sums(2), Some((3, 9, None)));
    assert_eq!(sums(4), Some((1, 4, Some(Duration::from_micros(1250)))));
    assert_eq!(sums(6), Some((1, 6, None)));
    assert_eq!(sums(7), None);
    for node in &mut snapshot.nodes {
        node.busy = Some(Duration::from_secs(node.id.get()));
    }
    let busy = |n| snapshot.totals(id(n)).and_then(|totals| totals.busy);
    assert_eq!(busy(5), Some(Duration::from_secs(11)));
    assert_eq!(chain(100_000).totals(id(2)).unwrap().tasks, 99_999);
}

#[test]
fn changes_are_in_three_groups() {
    let before = app();
    let mut after = app();
    after.nodes[2].id = id(9);
    after.nodes[2].path = "app/db/conn-9".to_owned();
    for node in &mut after.nodes[3..] {
        node.polls += 1;
    }
    let changes = after.since(&before);
    assert_eq!(ids(&changes.appeared), [9]);
    assert_eq!(ids(&changes.gone), [3]);
    assert_eq!(ids(&changes.unmoved), [1, 2]);
    assert!(!changes.is_empty());
    let nothing = Snapshot::empty();
    assert_eq!(ids(&nothing.since(&after).gone), [1, 2, 9, 4, 5, 6]);
    assert!(nothing.since(&nothing).is_empty());
    after.nodes[0].running_for = Some(Duration::from_millis(250));
    after.nodes[0].awaiting = Some("cancellation".to_owned());
    after.nodes[0].cause = Some("app: stop()".to_owned());
    assert_eq!(
        after.since(&before).to_string(),
        "1 appeared, 1 gone, 2 not polled in between
+ app/db/conn-9 #9 task, parked, 3 polls, age 1.5s
- app/db/conn-1 #3 task, parked, 3 polls, age 1.5s
= app #1 service, waiting for children for 250.0ms, 1 poll, age 1.5s, awaiting cancellation, cancelled by app: stop()
= app/db #2 task, parked, 2 polls, age 1.5s"
    );
}

#[test]
fn few_changes_of_many_are_printed() {
    let (nothing, all) = (Snapshot::empty(), chain(250));
    let text = all.since(&nothing).to_string();
    assert_eq!(text.lines().count(), 102);
    assert!(text.ends_with("\n+ … and 150 more"), "{text}");
}
