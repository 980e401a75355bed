//! A live view of a program's tree of tasks in the terminal: sorted by busy time, with what each task waits for,
//! failures and restarts as they come.
//!
//! `cargo run` in this directory shows the demo program of `demo.rs`. Keys: `q` or Ctrl-C quits, the space bar pauses,
//! `p` writes the picture to `top.txt` and `top.json`, the arrow keys scroll, `t` switches between the order by
//! busy time and the order of the tree. `--frames 3` draws so many frames into memory, checks them and ends.
//!
//! To look at a program of your own, call `View::update` with its snapshots.

mod demo;
mod view;

use demo::Demo;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use std::error::Error;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use taskgrove::Snapshot;
use view::View;

const EVERY: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("top: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let demo = Demo::start()?;
    match &args[..] {
        [] => show(&demo)?,
        [flag, count] if flag == "--frames" => check(&demo, count.parse()?)?,
        _ => return Err("usage: top [--frames COUNT]".into()),
    }
    demo.stop();
    Ok(())
}

/// Shows the view until the user quits.
fn show(demo: &Demo) -> io::Result<()> {
    let no_terminal = |error| {
        let message = format!("the view needs a terminal ({error}); `--frames 3` does not");
        io::Error::other(message)
    };
    if !io::stdout().is_terminal() {
        return Err(no_terminal("the output is none".into()));
    }
    let signalled = signalled()?;
    // This also makes a panic restore the terminal before it prints.
    let mut terminal = ratatui::try_init().map_err(|error| no_terminal(error.to_string()))?;
    let mut view = View::default();
    let mut drawn = None;
    let result = loop {
        if signalled.load(Ordering::Relaxed) {
            break Ok(());
        }
        if drawn.is_none_or(|at: Instant| at.elapsed() >= EVERY) {
            view.update(demo.snapshot(), demo.news());
            drawn = Some(Instant::now());
        }
        if let Err(error) = terminal.draw(|frame| view.draw(frame)) {
            break Err(error);
        }
        match read_key() {
            Ok(None) => {}
            Ok(Some(KeyCode::Char('q') | KeyCode::Esc)) => break Ok(()),
            Ok(Some(KeyCode::Char(' '))) => view.pause(),
            Ok(Some(KeyCode::Char('t'))) => view.switch_order(),
            Ok(Some(KeyCode::Char('p'))) => {
                let said = match take_picture(view.snapshot()) {
                    Ok(()) => "wrote top.txt and top.json".to_owned(),
                    Err(error) => format!("no picture: {error}"),
                };
                view.say(said);
            }
            Ok(Some(KeyCode::Down | KeyCode::Char('j'))) => view.scroll(1),
            Ok(Some(KeyCode::Up | KeyCode::Char('k'))) => view.scroll(-1),
            Ok(Some(KeyCode::PageDown)) => view.scroll(20),
            Ok(Some(KeyCode::PageUp)) => view.scroll(-20),
            Ok(Some(_)) => {}
            Err(error) => break Err(error),
        }
    };
    // It fails if the terminal is gone, as after SIGHUP.
    let restored = ratatui::try_restore();
    result.and(restored)
}

/// Returns a flag that is set by a signal that would otherwise end the program, and leave the terminal as it is.
fn signalled() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, flag.clone())?;
        }
    }
    Ok(flag)
}

/// Waits for a key, at most for a tenth of a second.
fn read_key() -> io::Result<Option<KeyCode>> {
    if !event::poll(Duration::from_millis(100))? {
        return Ok(None);
    }
    match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => {
            // In raw mode the terminal makes no signal of Ctrl-C.
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            let quits = control && key.code == KeyCode::Char('c');
            Ok(Some(if quits { KeyCode::Esc } else { key.code }))
        }
        _ => Ok(None),
    }
}

/// Writes a snapshot as text and as JSON into the current directory.
fn take_picture(snapshot: &Snapshot) -> Result<(), Box<dyn Error>> {
    std::fs::write("top.txt", format!("{snapshot}\n"))?;
    std::fs::write("top.json", serde_json::to_vec_pretty(snapshot)?)?;
    Ok(())
}

/// Draws frames into memory and checks what is in the last one.
fn check(demo: &Demo, frames: usize) -> Result<(), Box<dyn Error>> {
    let mut terminal = Terminal::new(TestBackend::new(140, 40))?;
    let mut view = View::default();
    let mut text = String::new();
    for _ in 0..frames.max(1) {
        demo.wait_for_news();
        view.update(demo.snapshot(), demo.news());
        terminal.draw(|frame| view.draw(frame))?;
        let buffer = terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
        text = cells.chunks(width).map(|row| row.concat() + "\n").collect();
    }
    println!("{text}");
    for part in [
        "app/crunch",
        "sleep, ",
        "busy",
        "restarted",
        "no route",
        "q quit",
    ] {
        if !text.contains(part) {
            return Err(format!("the view does not show `{part}`").into());
        }
    }
    Ok(())
}
