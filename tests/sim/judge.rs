//! What must hold after every simulation, whatever went wrong in it.
//!
//! It judges by the mocks' ledgers and data and by what is on the disk, never by what the engine says of itself.

use std::collections::{BTreeMap, BTreeSet};

use cxtract::Ending;
use cxtract::mock::{CallKind, Ledger, LedgerEntry, Refused, Tenant};

use crate::forms::{Due, beside, files_on, sides};
use crate::scenario::{Fortune, MAX_ATTEMPTS, MAX_IN_FLIGHT, ReportPlan, Scenario, TenantPlan};
use crate::trouble::TokenPlan;
use crate::world::Aftermath;

/// How far ahead pages are asked for, per request that may be under way.
const PAGES_AHEAD_PER_REQUEST: u64 = 4;

/// Holds what is left to what was drawn; every breach in words.
///
/// `due` is what must be left of the reports whose records are mended or set aside.
pub fn breaches(scenario: &Scenario, due: &BTreeMap<String, Due>, after: &Aftermath) -> Vec<String> {
    let mut breaches = Vec::new();
    for report in &scenario.reports {
        judge_ending(report, due.get(&report.name), after, &mut breaches);
        judge_pages(report, after, &mut breaches);
    }
    for tenant in &scenario.tenants {
        judge_calls(scenario, tenant, after, &mut breaches);
        judge_manners(scenario, tenant, after, &mut breaches);
    }
    let stray = |name: &&std::path::PathBuf| name.to_string_lossy().contains("spill");
    if let Some(name) = after.disk.names().iter().find(stray) {
        breaches.push(format!("{} is left in scratch", name.display()));
    }
    breaches
}

fn judge_ending(report: &ReportPlan, due: Option<&Due>, after: &Aftermath, breaches: &mut Vec<String>) {
    let ReportPlan { name, tenant, fortune, form, .. } = report;
    let ending = match &after.endings[name] {
        Ok(ending) => ending,
        Err(failure) => return breaches.push(format!("{name} did not start: {failure}")),
    };
    let output = form.output(name);
    match (fortune, ending) {
        (Fortune::Complete | Fortune::CompleteOrParked, Ending::Complete(manifest)) => {
            if let Some(due) = due {
                let found = due.judge(name, &files_on(&after.disk, name, *form));
                breaches.extend(found.err());
                breaches.extend(due.judge_manifest(name, manifest).err());
            } else {
                let expected = after.tenants[tenant].lock().expected_csv(name);
                let found = after.disk.contents(&output).unwrap_or_default();
                match form.unpacked(&found) {
                    Ok(rows) if rows == expected => {}
                    other => breaches.push(format!(
                        "{name} has {:?} and not the {} expected",
                        other.map(|rows| rows.len()),
                        expected.len()
                    )),
                }
                if (manifest.output.bytes, manifest.output.rows) != (found.len() as u64, report.result.rows) {
                    breaches.push(format!("{name}: the manifest tells of {:?}", manifest.output));
                }
            }
            let parts = [output.clone()].into_iter().chain(sides(name)).map(|path| beside(&path, ".part"));
            for part in parts.filter(|part| after.disk.contents(part).is_some()) {
                breaches.push(format!("{name} left {} behind", part.display()));
            }
        }
        (Fortune::Failed(class), Ending::Failed(failure)) if failure.class == *class => {}
        (Fortune::Parked | Fortune::CompleteOrParked, Ending::Parked(_)) => {}
        _ => breaches.push(format!("{name} was to be {fortune:?} and is {ending:?}")),
    }
    if !matches!(ending, Ending::Complete(_)) && !files_on(&after.disk, name, *form).is_empty() {
        breaches.push(format!("{name} has its final name without being complete"));
    }
}

/// Pages are looked for a little beyond the end, and no page is asked for more often than it has tries.
fn judge_pages(report: &ReportPlan, after: &Aftermath, breaches: &mut Vec<String>) {
    let tenant = after.tenants[&report.tenant].lock();
    let ledger = tenant.ledger();
    for query in tenant.queries().iter().filter(|query| query.template == report.name) {
        let asked = ledger.pages_asked(&query.id);
        // A refusal costs no try.
        let of_query = |e: &&LedgerEntry| e.kind == CallKind::Page && e.query.as_deref() == Some(&*query.id);
        let n_throttled = ledger.iter().filter(of_query).filter(|e| e.status == 429).count();
        let smallest = match report.result.page_sizes {
            cxtract::mock::PageSizes::AsAsked => report.page_size,
            cxtract::mock::PageSizes::Varying => report.page_size - report.page_size / 4,
            cxtract::mock::PageSizes::AtMost(most) => report.page_size.min(most),
        };
        let n_pages = report.result.rows.div_ceil(smallest).max(1);
        let highest = asked.iter().copied().max().unwrap_or(0);
        // Where tries fail, the pages that would tell the end come late; then the window alone is the bound.
        let fails = ledger
            .iter()
            .any(|e| e.query.as_deref() == Some(&*query.id) && (e.faulted || !matches!(e.status, 200 | 404)));
        let most_ahead = if fails { MAX_IN_FLIGHT * PAGES_AHEAD_PER_REQUEST } else { MAX_IN_FLIGHT + 1 };
        if highest > n_pages + most_ahead {
            breaches.push(format!("{}: page {highest} asked for; there are {n_pages}", report.name));
        }
        let distinct = asked.iter().collect::<BTreeSet<_>>().len();
        if asked.len() > distinct * (MAX_ATTEMPTS as usize + 2) + n_throttled {
            breaches.push(format!("{}: {} calls for {distinct} pages", report.name, asked.len()));
        }
    }
}

fn judge_calls(scenario: &Scenario, tenant: &TenantPlan, after: &Aftermath, breaches: &mut Vec<String>) {
    let ledger = after.ledger(&tenant.name);
    let name = &tenant.name;
    let early: Vec<_> = ledger.iter().filter(|e| e.told_to_wait && !was_unheard(scenario, name, &ledger, e)).collect();
    if !early.is_empty() {
        breaches.push(format!("{name}: {} calls while told to wait, the first {:?}", early.len(), early[0]));
    }
    let in_flight = max_in_flight(&after.tenants[name].lock(), scenario);
    if in_flight > MAX_IN_FLIGHT {
        breaches.push(format!("{name}: {in_flight} pages under way at once"));
    }
    if scenario.is_near {
        let hasty = |e: &&LedgerEntry| e.refused == Some(Refused::TooFast);
        if let Some(entry) = ledger.iter().find(hasty).filter(|_| !tenant.allows_less) {
            breaches.push(format!("{name}: too fast at {:?}", entry.at));
        }
        let most = ledger.max_in_any_second() as u64;
        if most > tenant.rate {
            breaches.push(format!("{name}: {most} calls in a second, {} allowed", tenant.rate));
        }
    }
    let owned = scenario.reports.iter().filter(|report| report.tenant == *name).count();
    let n_queries = after.tenants[name].lock().queries().len();
    if n_queries > owned && !tenant.loses_submissions {
        breaches.push(format!("{name}: {n_queries} queries for {owned} reports"));
    }
}

/// Complaints of a tenant that allows less than is known: so many while its limit is found, and so many a minute.
const COMPLAINTS: (usize, f64) = (12, 6.0);

/// Openings of a breaker, as configured here: they last 5 s, 10 s, and from then on 20 s.
const OPENINGS: [u64; 3] = [5, 10, 20];

/// The rate is used where nothing ails; nobody is taken to be down who isn't; who is down is spared; and tokens are
/// asked for no more often than they die.
fn judge_manners(scenario: &Scenario, tenant: &TenantPlan, after: &Aftermath, breaches: &mut Vec<String>) {
    let (name, ledger) = (&tenant.name, after.ledger(&tenant.name));
    let verdict = after.tenants[name].lock().verdict();
    if tenant.is_calm {
        let least = if scenario.is_near { 0.94 } else { 0.85 };
        // A calm tenant's pages come evenly, so that reading tells of the rate however short it is.
        let served = ledger.iter().filter(|call| call.is_page_served()).map(|call| call.at);
        let reading = served.clone().min().zip(served.max());
        let used = reading.and_then(|(from, to)| ledger.budget_used(from, to, tenant.rate as f64)).unwrap_or(0.0);
        if used < least && verdict.refused_too_fast == 0 {
            breaches.push(format!("{name}: {:.1} % of the rate used", used * 100.0));
        }
    }
    if tenant.allows_less {
        let most = COMPLAINTS.0 + (COMPLAINTS.1 * after.took.as_secs_f64() / 60.0) as usize;
        let n_complaints = verdict.refused_too_fast + verdict.refused_waiting;
        if n_complaints > most {
            breaches.push(format!("{name}: {n_complaints} complaints in {:?}", after.took));
        }
    }
    if tenant.is_up {
        for report in scenario.reports.iter().filter(|report| report.tenant == *name) {
            if let Ok(Ending::Complete(manifest)) = &after.endings[&report.name]
                && manifest.http.breaker_opens > 0
            {
                breaches.push(format!("{name}: it was up, and taken to be down"));
            }
        }
    }
    for outage in &tenant.refusals {
        let calls = ledger.iter().filter(|e| outage.contains(&e.at) && e.kind != CallKind::Token).count() as u64;
        let mut lasts = (outage.end - outage.start).as_secs();
        let mut n_probes = 0;
        while let Some(left) = lasts.checked_sub(OPENINGS[OPENINGS.len().min(n_probes + 1) - 1]) {
            (lasts, n_probes) = (left, n_probes + 1);
        }
        // As many as it takes to know, those under way by then, and the probes.
        let most = 5 + MAX_IN_FLIGHT + n_probes as u64 + 1;
        if calls > most {
            breaches.push(format!("{name}: {calls} calls in an outage of {:?}", outage.end - outage.start));
        }
    }
    if let Some(tokens) = tenant.tokens {
        judge_tokens(name, tokens, &ledger, breaches);
    }
}

fn judge_tokens(name: &str, tokens: TokenPlan, ledger: &Ledger, breaches: &mut Vec<String>) {
    let last = ledger.last().map_or(0.0, |e| e.at.as_secs_f64());
    // A fifth of a life is kept in hand, and each of them is judged by its client's clock.
    let by_age = (last / (tokens.life.as_secs_f64() * 0.75)) as u64;
    let most = 1 + by_age + tokens.n_revocations;
    let of_tokens = || ledger.iter().filter(|e| e.kind == CallKind::Token);
    let failed = of_tokens().filter(|e| e.status != 200 || e.faulted).count() as u64;
    let refused_refreshes = of_tokens().filter(|e| e.status == 400).count() as u64;
    let n_good = of_tokens().count() as u64 - failed;
    if n_good > most {
        breaches.push(format!("{name}: {n_good} tokens in {last:.0} s, {tokens:?}"));
    }
    let excused = of_tokens().filter(|e| e.faulted || e.refused.is_some()).count() as u64 + most.max(refused_refreshes);
    if failed > excused {
        breaches.push(format!("{name}: {failed} calls for tokens in vain"));
    }
    let deaths = tokens.n_revocations + if tokens.lies { n_good } else { 0 };
    let dead = ledger.iter().filter(|e| e.dead_token).count() as u64;
    if dead > MAX_IN_FLIGHT * deaths {
        breaches.push(format!("{name}: {dead} calls with dead tokens, {deaths} deaths"));
    }
}

/// Whether what a call offends against was told into a cable that was cut.
fn was_unheard(scenario: &Scenario, tenant: &str, ledger: &Ledger, call: &LedgerEntry) -> bool {
    let told_last =
        ledger.iter().filter(|e| e.at < call.at && matches!(e.status, 429 | 503)).filter_map(|e| e.ended).max();
    let cuts = scenario.world.partitions.iter().filter(|cut| cut.tenant == tenant);
    let way = scenario.world.latency + scenario.world.tick;
    told_last.is_some_and(|told| cuts.clone().any(|cut| told + way >= cut.from && told <= cut.from + cut.lasts))
}

/// The most pages under way at once. Answers that went wrong are left out, since a tenant that stalls still counts
/// calls that were given up long ago, and so are pages past the end, which are given up when it is found.
fn max_in_flight(tenant: &Tenant, scenario: &Scenario) -> u64 {
    let has_rows = |entry: &LedgerEntry| {
        let query = tenant.queries().iter().find(|query| Some(&*query.id) == entry.query.as_deref());
        let report = query.and_then(|query| scenario.reports.iter().find(|report| report.name == query.template));
        report.zip(entry.page).is_some_and(|(report, page)| page * report.page_size <= report.result.rows)
    };
    let whole = |e: &&LedgerEntry| e.kind == CallKind::Page && !e.faulted && e.status == 200 && has_rows(e);
    let spans: Vec<_> = tenant.ledger().iter().filter(whole).filter_map(|e| Some((e.at, e.ended?))).collect();
    let at_once = |at| spans.iter().filter(|(from, to)| *from <= at && at < *to).count() as u64;
    spans.iter().map(|(from, _)| at_once(*from)).max().unwrap_or(0)
}
