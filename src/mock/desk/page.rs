//! The scorecard as a page for people: what is wrong comes first.
//!
//! It stands for itself: no script, nothing from elsewhere, and colours for light and dark.

use std::time::Duration;

use askama::Template;

use super::findings::{Finding, Grade};
use super::plot;
use super::scorecard::{QueryLine, Scorecard};
use super::words::{bytes, count, n_of, percent, rate, shown, span};

#[derive(Template)]
#[template(path = "mock/desk/scorecard.html")]
struct Page<'a> {
    card: &'a Scorecard,
    base_url: &'a str,
    headline: &'static str,
    summary: String,
    /// The worst first.
    findings: Vec<&'a Finding>,
    figures: Vec<(&'static str, String)>,
    plot: Option<String>,
    piece: String,
}

/// The page of a scorecard.
///
/// # Errors
/// If the template can't be filled.
pub(super) fn render(card: &Scorecard, base_url: &str) -> Result<String, askama::Error> {
    let mut findings: Vec<&Finding> = card.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.grade));
    let times = &card.figures.calls_over_time;
    let page = Page {
        card,
        base_url: if base_url.is_empty() { "BASE_URL" } else { base_url },
        headline: headline(card.grade),
        summary: summary(card),
        findings,
        figures: figures(card),
        plot: plot::calls_over_time(times),
        piece: if times.piece_ms == 1000 { "second".to_owned() } else { span(Duration::from_millis(times.piece_ms)) },
    };
    page.render()
}

fn headline(grade: Grade) -> &'static str {
    match grade {
        Grade::Unjudged => "No client has called yet",
        Grade::Good => "A well-behaved client",
        Grade::Fair => "It works, and wastes some of its calls",
        Grade::Poor => "A tenant would not put up with this client",
    }
}

fn summary(card: &Scorecard) -> String {
    let figures = &card.figures;
    let [Some(first), Some(last)] = [figures.first_call_ms, figures.last_call_ms] else {
        return "Findings appear with the first call.".to_owned();
    };
    let wrong = card.findings.iter().filter(|finding| !finding.ok).count();
    format!(
        "{} in {}, {}, {} of data. {}",
        n_of(card.verdict.calls as u64, "call"),
        span(Duration::from_secs_f64((last - first).max(0.0) / 1000.0)),
        n_of(figures.rows_served, "row"),
        bytes(figures.bytes_served),
        match wrong {
            0 => "Nothing to find fault with.".to_owned(),
            n => format!("{} to look at.", n_of(n as u64, "finding")),
        }
    )
}

fn figures(card: &Scorecard) -> Vec<(&'static str, String)> {
    let (verdict, figures) = (&card.verdict, &card.figures);
    let n = |n: usize| count(n as u64);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let kinds = figures.calls_by_kind;
    let against = or_dash(figures.most_against_allowed.map(percent));
    vec![
        ("allowed in a second", figures.allowed_per_second.map_or_else(|| "no limit".to_owned(), rate)),
        ("most in any second", n(verdict.most_in_any_second)),
        ("most against what was allowed", against),
        ("calls a second", or_dash(figures.calls_per_second.map(|calls| format!("{calls:.1}")))),
        ("rate used while reading", or_dash(verdict.budget_used.map(percent))),
        ("calls spent on pages", percent(figures.pages_share)),
        ("calls while told to wait", n(verdict.calls_while_told_to_wait)),
        ("429 and 503 sent", format!("{} and {}", n(figures.sent_429), n(figures.sent_503))),
        ("pages served", n(verdict.pages_served)),
        ("pages fetched again", n(verdict.pages_served_again)),
        ("most pages under way", n(verdict.most_pages_under_way)),
        ("rows served", count(figures.rows_served)),
        ("bytes served", bytes(figures.bytes_served)),
        ("queries accepted", n(figures.queries_accepted)),
        ("submitted again", n(verdict.duplicate_submissions)),
        ("polls", n(kinds.status)),
        ("tokens issued", n(verdict.tokens_issued)),
        ("token calls for a token", or_dash(figures.token_calls_per_token.map(|calls| format!("{calls:.1}")))),
        ("most token calls in a life", n(verdict.most_token_calls_in_a_life)),
    ]
}

impl Page<'_> {
    /// A query's window, without its times where they are a day's bounds.
    fn window(&self, query: &QueryLine) -> String {
        let from = query.from.strip_suffix("T00:00:00.000Z").unwrap_or(&query.from);
        let to = query.to.strip_suffix("T23:59:59.999Z").unwrap_or(&query.to);
        format!("{from} to {to}")
    }

    fn shown(&self, text: &str) -> String {
        shown(text)
    }

    fn count(&self, n: &u64) -> String {
        count(*n)
    }

    fn bytes(&self, n: &u64) -> String {
        bytes(*n)
    }

    /// What stands before a finding.
    fn mark(&self, finding: &Finding) -> &'static str {
        match finding.grade {
            Grade::Poor => "✗",
            Grade::Fair => "!",
            _ => "✓",
        }
    }
}
