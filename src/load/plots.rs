//! Plots as SVG that stands inside a page: lines over time, and latencies over percentiles.
//!
//! Colours are placeholders that the page's style turns into those of a light or a dark surface, so that one drawing is
//! right on both.

use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, DefaultFormatting, KeyPointHint, Ranged, ValueFormatter};
use plotters::prelude::*;

/// A plot's size in its own units; the page stretches it.
const SIZE: (u32, u32) = (960, 260);

const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);

/// One line of a plot.
pub(super) struct Line {
    /// Its name in the legend.
    pub(super) name: String,
    /// Which colour, from 1.
    pub(super) colour: u8,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether the surface below it is tinted.
    pub(super) filled: bool,
}

impl Line {
    pub(super) fn new(name: &str, colour: u8, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), colour, points, filled: false }
    }

    #[must_use]
    pub(super) fn filled(mut self) -> Self {
        self.filled = true;
        self
    }

    fn rgb(&self) -> RGBColor {
        let level = 16 + self.colour;
        RGBColor(level, level, level)
    }
}

type Failed = Box<dyn std::error::Error>;

/// Lines over time, in seconds. None where there is nothing to draw.
pub(super) fn over_time(lines: &[Line]) -> Option<String> {
    let end = lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max);
    let top = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    if end <= 0.0 {
        return None;
    }
    let top = if top > 0.0 { top * 1.08 } else { 1.0 };
    drawn(lines, 0.0..end, 0.0..top, 0.0, |x| span(*x), |y| short(*y))
}

/// Latencies in milliseconds over quantiles, both stretched so that the slow tail can be read. None where there is
/// nothing to draw.
pub(super) fn over_percentiles(lines: &[Line]) -> Option<String> {
    let stretched: Vec<Line> = lines.iter().map(stretched).filter(|line| line.points.len() > 1).collect();
    let all = || stretched.iter().flat_map(|line| &line.points);
    let end = all().map(|point| point.0).fold(0.0, f64::max);
    let top = all().map(|point| point.1).fold(0.0, f64::max);
    let bottom = all().map(|point| point.1).fold(f64::INFINITY, f64::min);
    if end <= 0.0 || top <= 0.0 {
        return None;
    }
    let bottom = 10_f64.powf(bottom.log10().floor());
    let y = (bottom..top * 1.3).log_scale();
    drawn(&stretched, Nines(end), y, bottom, |x| percent(*x), |y| short(*y))
}

/// An axis from no nines to so many, with marks at the quantiles that people know.
struct Nines(f64);

impl Ranged for Nines {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (f64::from(limit.1 - limit.0) * (value / self.0).clamp(0.0, 1.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999].map(nines).into_iter().filter(|mark| *mark <= self.0 + 1e-9).collect()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.0
    }
}

/// How many nines a quantile has: 0.9 is one, 0.99 is two.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

fn stretched(line: &Line) -> Line {
    // A logarithm has no zero; a microsecond is as little as is measured.
    let points = line.points.iter().map(|(quantile, ms)| (nines(*quantile), ms.max(1e-3))).collect();
    Line { name: line.name.clone(), colour: line.colour, points, filled: line.filled }
}

fn drawn<X, Y>(
    lines: &[Line],
    x: X,
    y: Y,
    floor: f64,
    x_text: impl Fn(&f64) -> String,
    y_text: impl Fn(&f64) -> String,
) -> Option<String>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut svg = String::new();
    let drawn = draw(&mut svg, lines, x, y, floor, &x_text, &y_text);
    if let Err(error) = &drawn {
        tracing::warn!(%error, "a plot can't be drawn");
    }
    drawn.is_ok().then_some(svg)
}

fn draw<X, Y>(
    svg: &mut String,
    lines: &[Line],
    x: X,
    y: Y,
    floor: f64,
    x_text: &dyn Fn(&f64) -> String,
    y_text: &dyn Fn(&f64) -> String,
) -> Result<(), Failed>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin_top(10)
        .margin_right(24)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)
        .map_err(|error| error.to_string())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .x_labels(10)
        .y_labels(6)
        .x_label_formatter(x_text)
        .y_label_formatter(y_text)
        .draw()
        .map_err(|error| error.to_string())?;
    for line in lines {
        let points = line.points.iter().copied();
        if line.filled {
            let tint = AreaSeries::new(points.clone(), floor, line.rgb().mix(0.18));
            chart.draw_series(tint).map_err(|error| error.to_string())?;
        }
        let stroke = line.rgb().stroke_width(2);
        chart.draw_series(LineSeries::new(points, stroke)).map_err(|error| error.to_string())?;
    }
    area.present().map_err(|error| error.to_string())?;
    Ok(())
}

/// Seconds as on a clock.
fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if (seconds - whole as f64).abs() > 1e-6 => format!("{seconds:.1} s"),
        0..120 => format!("{whole} s"),
        120..7200 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02} h", whole / 3600, whole % 3600 / 60),
    }
}

fn percent(nines: f64) -> String {
    let digits = (nines.round() as usize).saturating_sub(2);
    format!("{:.digits$} %", (1.0 - 10_f64.powf(-nines)) * 100.0)
}

fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", trimmed(v / 1e6)),
        v if v >= 1e4 => format!("{} k", trimmed(v / 1e3)),
        v => trimmed(v),
    }
}

fn trimmed(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rising() -> Line {
        Line::new("a", 1, (0..30).map(|n| (f64::from(n), f64::from(n * n))).collect()).filled()
    }

    #[test]
    fn a_plot_over_time_has_its_line_its_axes_and_its_tint() {
        let svg = over_time(&[rising()]).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<polyline") && svg.contains("<polygon"), "{svg}");
        assert!(svg.contains("#111111") && svg.contains("10 s"), "{svg}");
    }

    #[test]
    fn a_plot_over_percentiles_names_the_nines() {
        let line = Line::new("page", 2, vec![(0.0, 1.0), (0.5, 2.0), (0.9, 4.0), (0.99, 30.0), (0.999, 900.0)]);
        let svg = over_percentiles(&[line]).unwrap();
        for label in ["50 %", "90 %", "99 %", "99.9 %"] {
            assert!(svg.contains(label), "{label}: {svg}");
        }
    }

    #[test]
    fn nothing_to_draw_is_no_plot() {
        assert!(over_time(&[]).is_none());
        assert!(over_time(&[Line::new("a", 1, vec![(0.0, 1.0)])]).is_none());
        assert!(over_percentiles(&[Line::new("a", 1, vec![(0.0, 1.0)])]).is_none());
        assert!(over_time(&[Line::new("a", 1, vec![(1.0, 0.0), (2.0, 0.0)])]).is_some(), "nothing over time is a line");
    }

    #[test]
    fn labels_are_short_and_exact() {
        assert_eq!([0.5, 3.0, 90.0, 125.0, 7500.0].map(span), ["0.5 s", "3 s", "90 s", "2:05", "2:05 h"]);
        assert_eq!([0.0, 0.25, 10.0, 1500.0, 20_000.0].map(short), ["0", "0.25", "10", "1500", "20 k"]);
        assert_eq!([0.0, 0.5, 0.99, 0.9999].map(nines).map(percent), ["0 %", "50 %", "99 %", "99.99 %"]);
    }
}
