//! The picture: what a member costs, by how many there are.

use super::figures::Spread;
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
/// Room for words around the plot: left, right, above, below.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 24.0;
const ABOVE: f64 = 46.0;
const BELOW: f64 = 52.0;
/// Members at both ends of the axis, which is logarithmic.
const FEWEST: f64 = 8.0;
const MOST: f64 = 1_250.0;

/// Colours that can be told apart on a light and on a dark page.
const STYLE: &str = "\
svg { font: 13px system-ui, sans-serif; --ink: #1f2328; --faint: #d1d5da; --line: #0b66c3; --bound: #b35900; --back: #ffffff }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --faint: #3d444d; --line: #58a6ff; --bound: #f0a04b; --back: #0d1117 } }
text { fill: var(--ink); stroke: var(--back); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke }
.back { fill: var(--back) }
.grid { stroke: var(--faint); stroke-width: 1 }
.cost { stroke: var(--line); stroke-width: 2; fill: none }
.dot { fill: var(--line) }
.bound { stroke: var(--bound); stroke-width: 1.5; stroke-dasharray: 6 4 }
.bound-word { fill: var(--bound) }
.right { text-anchor: end }
.middle { text-anchor: middle }
.title { font-weight: 600; font-size: 15px }
";

/// The SVG with a point for each size of a room, and the bounds that the loop's cost of a packet gives. None without points.
pub fn draw(points: &[(usize, Spread)], of_loop: Option<f64>) -> Option<String> {
    let highest = points.iter().map(|(_, each)| each.most).reduce(f64::max)?;
    let highest = highest.max(of_loop.map_or(0.0, |each| 2.0 * each));
    let step = step(highest);
    let top = (highest * 1.1 / step).ceil() * step;
    let plot = Plot { top };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>CPU time per member and 20 ms, by the members of a room</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    );
    text(
        &mut svg,
        (LEFT, 24.0),
        "title",
        "One room, G.711, 3 speaking: CPU time per member and 20 ms",
    );
    plot.grid(&mut svg, step, points);
    if let Some(each) = of_loop {
        plot.bound(
            &mut svg,
            each,
            false,
            "a packet of a bare loop (epoll, recvfrom, sendto)",
        );
        plot.bound(&mut svg, 2.0 * each, true, "twice that, wanted at most for 100");
    }
    plot.cost(&mut svg, points);
    svg += "</svg>\n";
    Some(svg)
}

/// The distance of the lines of the grid: 1, 2 or 5 times a power of ten, five lines or so.
fn step(highest: f64) -> f64 {
    let rough = (highest / 5.0).max(1e-3);
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
    steps.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power)
}

struct Plot {
    /// Microseconds at the upper edge.
    top: f64,
}

impl Plot {
    fn x(&self, members: f64) -> f64 {
        let part = (members / FEWEST).ln() / (MOST / FEWEST).ln();
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, us: f64) -> f64 {
        HEIGHT - BELOW - us / self.top * (HEIGHT - ABOVE - BELOW)
    }

    fn grid(&self, svg: &mut String, step: f64, points: &[(usize, Spread)]) {
        let mut us = 0.0;
        while us <= self.top + step / 2.0 {
            let y = self.y(us);
            line(svg, "grid", (LEFT, y), (WIDTH - RIGHT, y));
            text(svg, (LEFT - 8.0, y + 4.0), "right", &round(us));
            us += step;
        }
        text(svg, (LEFT - 8.0, 24.0), "right", "us");
        for (members, _) in points {
            let x = self.x(*members as f64);
            line(svg, "grid", (x, ABOVE), (x, HEIGHT - BELOW));
            text(svg, (x, HEIGHT - BELOW + 20.0), "middle", &thousands(*members));
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        text(svg, (middle, HEIGHT - 12.0), "middle", "members of the room");
    }

    /// With its words where the costs are not: at the right they are low, at the left high.
    fn bound(&self, svg: &mut String, us: f64, is_right: bool, what: &str) {
        let y = self.y(us);
        line(svg, "bound", (LEFT, y), (WIDTH - RIGHT, y));
        let what = format!("{what}: {us:.1}");
        if is_right {
            text(svg, (WIDTH - RIGHT - 4.0, y - 6.0), "right bound-word", &what);
        } else {
            text(svg, (LEFT + 4.0, y + 16.0), "bound-word", &what);
        }
    }

    /// The medians, joined, each with the least and the most of its runs.
    fn cost(&self, svg: &mut String, points: &[(usize, Spread)]) {
        let at = |(members, each): &(usize, Spread)| (self.x(*members as f64), self.y(each.middle));
        let all: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        // It cannot fail: a `String` grows.
        let _ = writeln!(svg, "<polyline class=\"cost\" points=\"{}\"/>", all.join(" "));
        for point in points {
            let ((x, y), each) = (at(point), point.1);
            line(svg, "cost", (x, self.y(each.least)), (x, self.y(each.most)));
            let _ = writeln!(svg, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
            text(svg, (x, y - 10.0), "middle", &format!("{:.1}", each.middle));
        }
    }
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    // It cannot fail: a `String` grows.
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, at: (f64, f64), class: &str, words: &str) {
    // It cannot fail: a `String` grows.
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{words}</text>",
        at.0, at.1
    );
}

fn round(us: f64) -> String {
    let text = format!("{us:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn thousands(number: usize) -> String {
    match number {
        1_000.. => format!("{},{:03}", number / 1_000, number % 1_000),
        _ => number.to_string(),
    }
}
