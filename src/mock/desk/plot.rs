//! Calls over time against the limit, as a picture.
//!
//! SVG that stands within the page and takes its colours from there. Only numbers go into it.

use std::fmt::Write as _;

use super::scorecard::CallsOverTime;
use super::words::{count, rate};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// A limit that lies farther above the calls than so many times is not drawn: the calls would be a line on the ground.
const LIMIT_IN_SIGHT: f64 = 4.0;

/// The picture; none without calls.
pub(super) fn calls_over_time(times: &CallsOverTime) -> Option<String> {
    let most = *times.calls.iter().max()? as f64;
    let highest = times.allowed.iter().copied().flatten().fold(0.0, f64::max);
    let shows_limit = highest > 0.0 && highest <= most * LIMIT_IN_SIGHT;
    let top = if shows_limit { most.max(highest) } else { most } * 1.08;
    let (across, up) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let step = across / times.calls.len() as f64;
    let x = |nth: usize| LEFT + step * nth as f64;
    let y = |calls: f64| TOP + up * (1.0 - calls / top);
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"calls over time\">\
         <line class=\"axis\" x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\"/>",
        y(0.0),
        WIDTH - RIGHT
    );
    let mut add = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).unwrap_or_default();
    let mut bar = |class: &str, nth: usize, from: f64, to: f64| {
        if to > from {
            let width = (step * 0.84).min(28.0);
            let left = x(nth) + (step - width) / 2.0;
            let (high, low) = (y(to), y(from));
            add(format_args!(
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{high:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
                low - high
            ));
        }
    };
    for (nth, (&calls, &refused)) in times.calls.iter().zip(&times.refused).enumerate() {
        let let_in = (calls - refused) as f64;
        bar("let-in", nth, 0.0, let_in);
        bar("refused", nth, let_in, calls as f64);
    }
    if shows_limit {
        let mut line = String::new();
        for (nth, allowed) in times.allowed.iter().enumerate() {
            let high = y(allowed.unwrap_or(top).min(top));
            let _ = write!(line, "{:.1},{high:.1} {:.1},{high:.1} ", x(nth), x(nth + 1));
        }
        add(format_args!("<polyline class=\"limit\" points=\"{}\"/>", line.trim_end()));
    }
    let mut label = |anchor: &str, x: f64, y: f64, text: &str| {
        add(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"));
    };
    label("end", LEFT - 6.0, y(0.0) + 4.0, "0");
    label("end", LEFT - 6.0, y(most) + 4.0, &count(most as u64));
    if shows_limit && (y(highest) - y(most)).abs() > 13.0 {
        label("end", LEFT - 6.0, y(highest) + 4.0, &rate(highest.round()));
    }
    let seconds = |ms: u64| format!("{} s", count(ms / 1000));
    label("start", LEFT, HEIGHT - 10.0, &seconds(times.from_ms));
    let end = times.from_ms + times.piece_ms * times.calls.len() as u64;
    label("end", WIDTH - RIGHT, HEIGHT - 10.0, &seconds(end));
    svg.push_str("</svg>");
    Some(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(calls: &[u64], refused: &[u64], allowed: Option<f64>) -> CallsOverTime {
        CallsOverTime {
            from_ms: 3000,
            piece_ms: 1000,
            calls: calls.to_vec(),
            refused: refused.to_vec(),
            allowed: vec![allowed; calls.len()],
        }
    }

    #[test]
    fn a_bar_stands_for_each_piece_and_what_was_refused_stands_on_it() {
        let svg = calls_over_time(&times(&[10, 0, 25], &[0, 0, 5], Some(20.0))).unwrap();
        assert_eq!(svg.matches("class=\"let-in\"").count(), 2);
        assert_eq!(svg.matches("class=\"refused\"").count(), 1);
        assert!(svg.contains("class=\"limit\"") && svg.contains(">3 s<") && svg.contains(">6 s<"), "{svg}");
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
    }

    #[test]
    fn a_limit_out_of_sight_and_no_limit_are_not_drawn() {
        for allowed in [Some(1e6), None] {
            let svg = calls_over_time(&times(&[10], &[0], allowed)).unwrap();
            assert!(!svg.contains("limit\""), "{svg}");
        }
        assert_eq!(calls_over_time(&CallsOverTime::default()), None);
    }
}
