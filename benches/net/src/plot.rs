//! The plot: each figure that has a target, as its ratio to the first runtime's, on a scale of powers
//! of two.

use crate::report::{Row, figure};
use crate::rows::Target;
use crate::svg::{Scale, page, text};
use std::fmt::Write;

const LEFT: f64 = 430.0;
const WIDTH: f64 = 480.0;
const LINE: f64 = 20.0;
const TOP: f64 = 76.0;
const SCALE: Scale = Scale {
    left: LEFT,
    width: WIDTH,
    least: 0.125,
    most: 8.0,
};

const STYLES: [(&str, &str); 6] = [
    ("tokio", "#1f77b4"),
    ("taskgrove", "#2a7f62"),
    ("supervised", "#8fbc5a"),
    ("async-io", "#999999"),
    ("smol", "#ff7f0e"),
    ("monoio", "#9467bd"),
];

fn colour(runtime: &str) -> &'static str {
    let style = STYLES.iter().find(|style| style.0 == runtime);
    style.map_or("#000000", |style| style.1)
}

fn x(ratio: f64) -> f64 {
    SCALE.x(ratio)
}

pub fn svg(rows: &[Row]) -> String {
    let mut body = String::new();
    for (at, (runtime, colour)) in STYLES.iter().enumerate() {
        let left = 20.0 + 130.0 * at as f64;
        let name = match *runtime {
            "async-io" => "taskgrove, async-io",
            runtime => runtime,
        };
        let _ = writeln!(
            body,
            r#"<circle cx="{left:.1}" cy="40" r="5" fill="{colour}"/>{}"#,
            text(left + 10.0, 44.0, "start", name)
        );
    }
    let mut y = TOP;
    for row in rows {
        for wanted in &row.figures {
            let target = match wanted.target {
                Target::None => continue,
                Target::Most(_) => None,
                Target::RatioMost(ratio) | Target::RatioLeast(ratio) => Some(ratio),
            };
            y += LINE;
            let lines = row.lines();
            let of = lines.iter().filter(|line| line.figure.name == wanted.name);
            let ours = of.clone().find(|line| line.runtime == "taskgrove");
            let ours = ours.map_or(f64::NAN, |line| line.values[1]);
            let name = format!("{}: {} {}", row.name, wanted.name, figure(ours));
            let _ = writeln!(body, "{}", text(LEFT - 10.0, y + 4.0, "end", &name));
            if let Some(target) = target {
                let at = x(target);
                let _ = writeln!(
                    body,
                    r##"<path d="M{at:.1} {:.1}v14" stroke="#d62728" stroke-width="2"/>"##,
                    y - 7.0
                );
            }
            for line in of.filter(|line| line.ratios[1].is_finite()) {
                let [low, ratio, high] = line.ratios.map(x);
                let colour = colour(line.runtime);
                let _ = writeln!(
                    body,
                    r#"<path d="M{low:.1} {y:.1}H{high:.1}" stroke="{colour}"/><circle cx="{ratio:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"#,
                );
            }
        }
    }
    let bottom = y + LINE / 2.0;
    for ratio in [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0] {
        let at = x(ratio);
        let stroke = if ratio == 1.0 { "#1f77b4" } else { "#cccccc" };
        let _ = writeln!(
            body,
            r#"<path d="M{at:.1} {TOP:.1}V{bottom:.1}" stroke="{stroke}" stroke-width="0.7"/>{}"#,
            text(at, TOP - 6.0, "middle", &format!("{ratio}x")),
        );
    }
    let (width, height) = (LEFT + WIDTH + 30.0, bottom + 14.0);
    let title = "Each figure by that of the row's first runtime; red: the target for taskgrove";
    page(width, height, title, &body)
}
