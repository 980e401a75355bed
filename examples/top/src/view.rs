//! [`View`]: what is on the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use taskgrove::{Node, NodeState, Snapshot, TaskId};

/// The lines of news that are kept.
const NEWS: usize = 200;

/// The view: the latest snapshot, and what has happened.
#[derive(Default)]
pub(crate) struct View {
    latest: Option<Taken>,
    /// The share of a core that each task took between the last two snapshots, in percent.
    shares: HashMap<TaskId, f64>,
    news: VecDeque<String>,
    said: Option<String>,
    paused: bool,
    in_tree_order: bool,
    scrolled: usize,
}

struct Taken {
    snapshot: Snapshot,
    at: Instant,
    changes: String,
}

impl View {
    /// Takes a new snapshot, unless the view is paused, and news.
    pub(crate) fn update(&mut self, snapshot: Snapshot, news: Vec<String>) {
        self.news.extend(news);
        let surplus = self.news.len().saturating_sub(NEWS);
        self.news.drain(..surplus);
        if self.paused {
            return;
        }
        let at = Instant::now();
        let mut changes = String::new();
        if let Some(before) = &self.latest {
            let since = snapshot.since(&before.snapshot);
            let (new, gone) = (since.appeared.len(), since.gone.len());
            changes = format!("+{new} -{gone}, {} not polled", since.unmoved.len());
            let apart = at.duration_since(before.at).as_secs_f64().max(1e-9);
            let busy = |node: &Node| node.busy.unwrap_or_default();
            let old: HashMap<TaskId, Duration> = before
                .snapshot
                .nodes()
                .iter()
                .map(|node| (node.id, busy(node)))
                .collect();
            let share = |node: &Node| {
                let before = old.get(&node.id).copied().unwrap_or_default();
                100.0 * busy(node).saturating_sub(before).as_secs_f64() / apart
            };
            self.shares = snapshot
                .nodes()
                .iter()
                .map(|node| (node.id, share(node)))
                .collect();
        }
        self.latest = Some(Taken {
            snapshot,
            at,
            changes,
        });
        // Tasks may have gone, and with them the rows that the view was scrolled to.
        self.scroll(0);
    }

    /// The snapshot that is shown.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self
            .latest
            .as_ref()
            .expect("the view is updated before it is used")
            .snapshot
    }

    pub(crate) fn pause(&mut self) {
        self.paused = !self.paused;
    }

    pub(crate) fn switch_order(&mut self) {
        self.in_tree_order = !self.in_tree_order;
        self.scrolled = 0;
    }

    /// Shows a line at the bottom.
    pub(crate) fn say(&mut self, line: String) {
        self.said = Some(line);
    }

    pub(crate) fn scroll(&mut self, by: isize) {
        let most = self.snapshot().len().saturating_sub(1);
        self.scrolled = self.scrolled.saturating_add_signed(by).min(most);
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>) {
        let news_height = (frame.area().height / 4).clamp(3, 10);
        let [top, tasks, news, bottom] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(3),
            Constraint::Length(news_height),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let taken = self.latest.as_ref();
        let (count, changes) = taken.map_or((0, ""), |t| (t.snapshot.len(), &*t.changes));
        let total: f64 = self.shares.values().sum();
        let paused = if self.paused { "  PAUSED" } else { "" };
        let title = format!("taskgrove top  {count} tasks ({changes})  busy {total:.0} %{paused}");
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Line::styled(title, bold), top);
        self.draw_tasks(frame, tasks);
        let shown = usize::from(news_height).saturating_sub(1);
        let lines = self.news.iter().rev().take(shown).rev();
        let lines: Vec<Line<'_>> = lines.map(|line| news_line(line)).collect();
        let block = Block::new().title(Line::styled("failures, restarts, stalls", bold));
        frame.render_widget(Paragraph::new(lines).block(block), news);
        let keys = "q quit  space pause  p picture  t order  arrows scroll";
        let said = self
            .said
            .as_deref()
            .map_or(String::new(), |said| format!("  | {said}"));
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        frame.render_widget(Line::styled(format!(" {keys}{said} "), reversed), bottom);
    }

    fn draw_tasks(&self, frame: &mut Frame<'_>, area: ratatui::layout::Rect) {
        let Some(taken) = &self.latest else { return };
        let mut nodes: Vec<&Node> = taken.snapshot.nodes().iter().collect();
        let share = |node: &Node| self.shares.get(&node.id).copied().unwrap_or_default();
        if !self.in_tree_order {
            // In tenths of a percent, so that tasks that are idle stay where they are.
            nodes.sort_by_key(|node| Reverse(((share(node) * 10.0) as u64, node.busy)));
        }
        let rows = nodes
            .iter()
            .skip(self.scrolled)
            .map(|node| row(node, share(node)));
        let widths = [
            Constraint::Length(6),
            Constraint::Length(9),
            Constraint::Length(8),
            Constraint::Length(10),
            Constraint::Fill(3),
            Constraint::Fill(4),
        ];
        // The first three are numbers, which are aligned to the right.
        let names = [
            "busy %",
            "     busy",
            "   polls",
            "state",
            "task",
            "waits for",
        ];
        let header = Row::new(names);
        let header = header.style(Style::new().add_modifier(Modifier::UNDERLINED));
        frame.render_widget(
            Table::new(rows.take(usize::from(area.height)), widths).header(header),
            area,
        );
    }
}

fn row(node: &Node, share: f64) -> Row<'static> {
    let busy = node
        .busy
        .map_or(String::new(), |busy| format!("{busy:.1?}"));
    let waits = match (&node.cause, node.running_for, &node.awaiting) {
        (Some(cause), ..) => format!("cancelled by {cause}"),
        (None, Some(running), _) => format!("in a poll for {running:.1?}"),
        (None, None, awaiting) => awaiting.clone().unwrap_or_default(),
    };
    let color = match node.state {
        NodeState::Running => Color::Green,
        NodeState::Queued => Color::Yellow,
        NodeState::Parked => Color::Reset,
        _ => Color::Red,
    };
    let state = match node.state {
        NodeState::WaitingForChildren => "children".to_owned(),
        state => state.to_string(),
    };
    let number = |text: String, width: usize| Cell::new(format!("{text:>width$}"));
    Row::new([
        number(format!("{share:.1}"), 6),
        number(busy, 9),
        number(node.polls.to_string(), 8),
        Cell::new(state).style(color),
        Cell::new(node.path.clone()),
        Cell::new(waits),
    ])
}

fn news_line(line: &str) -> Line<'_> {
    let color = if line.starts_with("stalled") {
        Color::Yellow
    } else {
        Color::Red
    };
    Line::styled(line.replace('\n', " "), color)
}

#[cfg(test)]
mod tests {
    use super::View;
    use ratatui::{Terminal, backend::TestBackend};
    use std::future::pending;
    use taskgrove::{Context, Runtime, service_fn};

    #[test]
    fn a_row_is_shown_when_the_tasks_that_were_scrolled_to_have_gone() {
        let runtime = Runtime::new().expect("threads");
        let service = |name, tasks| {
            let run = move |ctx: Context| async move {
                for _ in 0..tasks {
                    ctx.task(pending::<taskgrove::Result>()).spawn()?;
                }
                ctx.set_ready();
                pending().await
            };
            let manager = runtime.start(service_fn(name, run)).expect("it starts");
            runtime.block_on(manager.wait_ready()).expect("it is ready");
            manager
        };
        service("stays", 0);
        let leaves = service("leaves", 100);
        let mut view = View::default();
        view.update(runtime.snapshot(), Vec::new());
        view.scroll(90);
        runtime.block_on(leaves.stop()).expect("it stops");
        view.update(runtime.snapshot(), Vec::new());
        let mut terminal = Terminal::new(TestBackend::new(100, 20)).expect("in memory");
        let drawn = terminal.draw(|frame| view.draw(frame)).expect("in memory");
        let text: String = drawn
            .buffer
            .content()
            .iter()
            .map(|cell| cell.symbol())
            .collect();
        assert!(text.contains("stays"), "{text}");
    }
}
