//! From what was counted to the report.
//!
//! Where the tenants are our own, what they saw decides: they count calls as they arrive, and know what they had told.
//! Otherwise the client's own count stands in for what it can know, and the rest is left out.

use std::collections::HashMap;
use std::time::Duration;

use crate::mock::Verdict;

use super::budget;
use super::figures::FIGURES;
use super::machine::{Cpu, Memory};
use super::meter::{TenantCount, Totals};
use super::outcome::Outcomes;
use super::percentiles::{KindLatency, Percentiles, at_share};
use super::report::{Check, LoadReport, TenantResult};
use super::samples::Samples;
use super::settings::Load;
use super::targets::Targets;

/// What there is when the load is over, before outputs are checked.
pub(super) struct Measured {
    pub(super) duration: Duration,
    pub(super) stopped: bool,
    pub(super) samples: Samples,
    pub(super) cpu: Option<Cpu>,
    pub(super) memory: Memory,
    pub(super) totals: Totals,
    pub(super) latency: Vec<KindLatency>,
    pub(super) tenants: Vec<TenantCount>,
    pub(super) breaker_opens: Vec<Option<u64>>,
    /// What each tenant has allowed in that time; none where it has no limit, or nobody here knows.
    pub(super) calls_allowed: Vec<Option<f64>>,
}

/// The report of a load.
pub(super) fn gathered(load: &Load, targets: &Targets, measured: Measured, outcomes: Outcomes) -> LoadReport {
    let tenants = tenants(targets, &measured, &outcomes);
    let mut found = figures(&measured, &outcomes, &tenants, targets.host.is_some());
    let unchecked = unchecked(&tenants);
    let mut settings = load.described();
    settings.extend(targets.rounded());
    LoadReport {
        settings,
        stopped: measured.stopped,
        check: if targets.host.is_some() { Check::Bytes } else { Check::Counts },
        unchecked,
        kept: None,
        figures: FIGURES.iter().map(|figure| (figure.name, found.remove(figure.name).flatten())).collect(),
        allowed_per_second: targets.allowed(),
        allowed_over_time: targets.allowed_over(measured.duration),
        latency: measured.latency,
        samples: measured.samples.into_all(),
        tenants,
        troubles: outcomes.troubles(),
        more_troubles: outcomes.more_troubles,
    }
}

/// Outputs that were delivered and found neither right nor wrong, whatever the reason.
fn unchecked(tenants: &[TenantResult]) -> u64 {
    tenants.iter().map(|tenant| tenant.complete.saturating_sub(tenant.verified + tenant.wrong)).sum()
}

/// The calls let in as a share of those that the tenants have allowed in the whole time; none where one has no limit or
/// is not ours, or it was over too soon to say.
fn rate_use(measured: &Measured) -> Option<f64> {
    let allowed = measured.calls_allowed.iter().copied().sum::<Option<f64>>()?;
    let let_in: u64 = measured.tenants.iter().map(|count| count.requests - count.throttled).sum();
    (measured.duration >= budget::SHORTEST && allowed > 0.0).then(|| let_in as f64 / allowed)
}

/// What was used of each tenant that was read, sorted; nothing where one of them was read too shortly to say: the mean
/// of the others would be no look at it.
fn budgets(tenants: &[TenantResult]) -> Vec<f64> {
    let read = tenants.iter().filter(|tenant| tenant.allowed_per_second.is_some() && tenant.pages > 0);
    let mut used = read.map(|tenant| tenant.budget_use).collect::<Option<Vec<f64>>>().unwrap_or_default();
    used.sort_by(f64::total_cmp);
    used
}

fn tenants(targets: &Targets, measured: &Measured, outcomes: &Outcomes) -> Vec<TenantResult> {
    let each = targets.tenants.iter().zip(&measured.tenants).zip(&outcomes.tenants).zip(&measured.breaker_opens);
    let results = each.map(|(((facts, count), ended), breaker_opens)| {
        let verdict: Option<Verdict> =
            targets.host.as_ref().and_then(|host| host.tenant(&facts.name)).map(|running| running.verdict());
        // Of no limit nothing is a share.
        // Where this side has read too shortly to say, the tenant has too.
        let used = |allowed| {
            let seen = count.used.share(allowed)?;
            verdict.as_ref().map_or(Some(seen), |verdict| verdict.budget_used)
        };
        let counted = |of: fn(&Verdict) -> usize| verdict.as_ref().map(|verdict| of(verdict) as u64);
        TenantResult {
            name: facts.name.clone(),
            url: facts.url.clone(),
            allowed_per_second: facts.allowed,
            complete: ended.complete,
            parked: ended.parked,
            failed: ended.failed,
            cut_off: ended.cut_off,
            verified: ended.verified,
            wrong: ended.wrong,
            requests: count.requests,
            pages: count.pages,
            throttled: count.throttled,
            failed_calls: count.failed,
            budget_use: facts.allowed.and_then(used),
            told_to_wait: counted(|verdict| verdict.calls_while_told_to_wait),
            refused_too_fast: counted(|verdict| verdict.refused_too_fast),
            duplicate_submissions: counted(|verdict| verdict.duplicate_submissions),
            pages_again: counted(|verdict| verdict.pages_served_again),
            dead_token_calls: counted(|verdict| verdict.dead_token_calls),
            breaker_opens: *breaker_opens,
        }
    });
    results.collect()
}

/// Every figure by its name.
fn figures(
    measured: &Measured,
    outcomes: &Outcomes,
    tenants: &[TenantResult],
    is_own: bool,
) -> HashMap<&'static str, Option<f64>> {
    let seconds = Some(measured.duration.as_secs_f64()).filter(|seconds| *seconds > 0.0);
    let rate = |n: u64| seconds.map(|seconds| n as f64 / seconds);
    let sum = |of: fn(&TenantResult) -> u64| Some(tenants.iter().map(of).sum::<u64>() as f64);
    let known = |of: fn(&TenantResult) -> Option<u64>| tenants.iter().map(of).sum::<Option<u64>>().map(|n| n as f64);
    let totals = measured.totals;
    let used = budgets(tenants);
    let mut took = outcomes.took.clone();
    took.sort_by(f64::total_cmp);
    let gigabytes = Some(totals.bytes as f64 / 1e9).filter(|gb| *gb > 0.0);
    let cpu = measured.cpu;
    let mut figures = HashMap::from([
        ("duration_s", seconds),
        ("tenants", Some(tenants.len() as f64)),
        ("complete", sum(|tenant| tenant.complete)),
        ("parked", sum(|tenant| tenant.parked)),
        ("failed", sum(|tenant| tenant.failed)),
        ("cut_off", sum(|tenant| tenant.cut_off)),
        ("verified", sum(|tenant| tenant.verified)),
        ("wrong", sum(|tenant| tenant.wrong)),
        ("unchecked", Some(unchecked(tenants) as f64)),
        ("throughput_mb_s", rate(totals.bytes).map(|bytes| bytes / 1e6)),
        ("rows_per_second", rate(outcomes.rows)),
        ("pages_per_second", rate(totals.pages)),
        ("requests_per_second", rate(totals.requests)),
        ("bytes", Some(totals.bytes as f64)),
        ("rows", Some(outcomes.rows as f64)),
        ("pages", Some(totals.pages as f64)),
        ("requests", Some(totals.requests as f64)),
        ("rate_use", rate_use(measured)),
        ("budget_use", (!used.is_empty()).then(|| used.iter().sum::<f64>() / used.len() as f64)),
        ("budget_use_median", at_share(&used, 0.5)),
        ("budget_use_least", used.first().copied()),
        ("throttled", Some(totals.throttled as f64)),
        ("told_to_wait", known(|tenant| tenant.told_to_wait)),
        ("refused_too_fast", known(|tenant| tenant.refused_too_fast)),
        ("failed_calls", Some(totals.failed as f64)),
        ("unused_calls", Some(totals.unused as f64)),
        ("duplicate_submissions", known(|tenant| tenant.duplicate_submissions)),
        ("pages_again", known(|tenant| tenant.pages_again)),
        ("breaker_opens", known(|tenant| tenant.breaker_opens)),
        ("dead_token_calls", known(|tenant| tenant.dead_token_calls)),
        ("p50_report_s", at_share(&took, 0.5)),
        ("p90_report_s", at_share(&took, 0.9)),
        ("p99_report_s", at_share(&took, 0.99)),
        ("max_report_s", took.last().copied()),
        ("memory_mb", measured.memory.peak.map(|bytes| bytes as f64 / 1e6)),
        ("resident_mb", measured.memory.resident.map(|bytes| bytes as f64 / 1e6)),
        ("cpu_s", cpu.map(|cpu| cpu.engine)),
        ("cpu_mock_s", cpu.filter(|_| is_own).map(|cpu| cpu.mock)),
        ("cpu_s_per_gb", cpu.zip(gigabytes).map(|(cpu, gb)| cpu.engine / gb)),
    ]);
    let kind = |name: &str| measured.latency.iter().find(|latency| latency.kind == name);
    figures.insert("token_calls", kind("token").map(|latency| latency.calls as f64));
    let percentiles: [(&'static str, Option<&Percentiles>); 5] = [
        ("page", kind("page").and_then(|latency| latency.took.as_ref())),
        ("page_wait", kind("page").and_then(|latency| latency.waited.as_ref())),
        ("status", kind("status").and_then(|latency| latency.took.as_ref())),
        ("submit", kind("submit").and_then(|latency| latency.took.as_ref())),
        ("token", kind("token").and_then(|latency| latency.took.as_ref())),
    ];
    for figure in &FIGURES {
        let Some((share, of)) = figure.name.strip_suffix("_ms").and_then(|name| name.split_once('_')) else { continue };
        let found = percentiles.iter().find(|(name, _)| *name == of).and_then(|(_, found)| *found);
        figures.insert(figure.name, found.and_then(|found| found.named(share)));
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::percentiles::Latencies;

    fn measured() -> Measured {
        let mut took = Latencies::default();
        took.note(Duration::from_millis(8));
        let kinds = ["token", "submit", "status", "page"];
        let latency = kinds.map(|kind| KindLatency {
            kind,
            calls: 1,
            failed: 0,
            throttled: 0,
            took: took.percentiles(),
            waited: took.percentiles(),
        });
        Measured {
            duration: Duration::from_secs(10),
            stopped: false,
            samples: Samples::default(),
            cpu: Some(Cpu { mock: 1.0, engine: 2.0 }),
            memory: Memory { resident: Some(1 << 20), peak: Some(1 << 21) },
            totals: Totals { requests: 200, pages: 150, bytes: 500_000_000, throttled: 3, failed: 2, unused: 1 },
            latency: latency.into(),
            tenants: vec![TenantCount { requests: 200, throttled: 40, ..TenantCount::default() }],
            breaker_opens: Vec::new(),
            calls_allowed: vec![Some(150.0), Some(50.0)],
        }
    }

    fn tenant(used: f64, told_to_wait: Option<u64>) -> TenantResult {
        let (known, budget_use) = (told_to_wait, Some(used));
        TenantResult {
            complete: 2,
            verified: 1,
            allowed_per_second: Some(10.0),
            pages: 1,
            budget_use,
            told_to_wait,
            breaker_opens: known,
            refused_too_fast: known,
            duplicate_submissions: known,
            pages_again: known,
            dead_token_calls: known,
            ..TenantResult::default()
        }
    }

    #[test]
    fn every_figure_is_measured_where_everything_is_known() {
        let mut outcomes = Outcomes::default();
        (outcomes.took, outcomes.rows) = (vec![3.0, 1.0, 2.0], 1_000);
        let tenants = [tenant(0.9, Some(1)), tenant(0.5, Some(2)), tenant(1.0, Some(0))];
        let found = figures(&measured(), &outcomes, &tenants, true);
        for figure in &FIGURES {
            assert!(found.get(figure.name).is_some_and(Option::is_some), "{} is not measured", figure.name);
        }
        assert_eq!(found.len(), FIGURES.len(), "a figure without a name in the list");
        let due = [
            ("throughput_mb_s", 50.0),
            ("budget_use", 0.8),
            ("budget_use_median", 0.9),
            ("budget_use_least", 0.5),
            ("cpu_s_per_gb", 4.0),
            ("told_to_wait", 3.0),
            ("complete", 6.0),
            ("unchecked", 3.0),
            ("rate_use", 0.8),
            ("p50_report_s", 2.0),
            ("rows_per_second", 100.0),
        ];
        for (name, due) in due {
            assert!((found[name].unwrap() - due).abs() < 1e-9, "{name}: {:?}", found[name]);
        }
    }

    #[test]
    fn a_share_is_that_of_all_who_were_read_or_there_is_none() {
        let mut tenants = [tenant(0.9, Some(0)), tenant(0.5, Some(0))];
        tenants[1].budget_use = None;
        let names = ["budget_use", "budget_use_median", "budget_use_least"];
        let found = figures(&measured(), &Outcomes::default(), &tenants, true);
        assert!(names.iter().all(|name| found[name].is_none()), "one was read, and not long enough to say");
        tenants[1].pages = 0;
        let found = figures(&measured(), &Outcomes::default(), &tenants, true);
        assert!(names.iter().all(|name| found[name] == Some(0.9)), "one was not read at all");
    }

    #[test]
    fn the_rate_that_was_used_is_that_of_the_whole_time() {
        let measured = measured();
        assert_eq!(rate_use(&measured), Some(0.8));
        assert_eq!(rate_use(&Measured { duration: Duration::from_secs(4), ..measured }), None);
        let unlimited = super::tests::measured();
        assert_eq!(rate_use(&Measured { calls_allowed: vec![Some(150.0), None], ..unlimited }), None);
    }

    #[test]
    fn what_nobody_here_can_know_is_left_out() {
        let tenants = [tenant(0.9, None)];
        let found = figures(&measured(), &Outcomes::default(), &tenants, false);
        for name in ["told_to_wait", "duplicate_submissions", "pages_again", "cpu_mock_s", "p50_report_s"] {
            assert_eq!(found[name], None, "{name}");
        }
        assert_eq!(found["throttled"], Some(3.0));
    }
}
