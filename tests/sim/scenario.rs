//! From a seed to a world with faults, and to what must become of each report in it.
//!
//! Every draw comes from the seed, and expectations are drawn together with the faults: a report is told to end badly
//! only where its tenant is told to make it so. Faults that pass stay below the tries that a request has.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use cxtract::mock::{
    CallKind, Count, End, Fate, Fault, FaultRule, LinkStyle, Matcher, MockReport, MockTenant, MockTenantBuilder,
    Newline, OnPages, Outage, OutageKind, PageSizes, RetryAfter,
};
use cxtract::model::{FailureClass, Timestamp};
use fastrand::Rng;

use crate::forms::{self, Due, Form, Formed};
use crate::trouble::{self, TokenPlan};
use crate::world::{Asked, Partition, World};

/// Tries that a request has.
pub const MAX_ATTEMPTS: u32 = 8;

/// Requests of a tenant that may be under way at once.
pub const MAX_IN_FLIGHT: u64 = 4;

/// The lot of tenants that spoil a page for good.
const DOOM: u32 = 0;

/// The lots of tenants that can't be reached for a while.
const OUTAGES: std::ops::RangeInclusive<u32> = 3..=6;

/// The lot of tenants to whom submissions get lost.
const LOSES_SUBMISSIONS: u32 = 7;

/// The lots of tenants that ask for patience again and again, that allow less than is known, whose tokens are trouble,
/// and that nothing ails. No other faults come to these.
const THROTTLES: u32 = 8;
const LOWER_LIMIT: u32 = 9;
const TOKENS: u32 = 10;
const CALM: u32 = 11;

/// How many lots there are; to those that have no name, faults come that pass.
const N_LOTS: u32 = 15;

/// What must become of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fortune {
    /// Delivered.
    Complete,
    /// Failed in that way.
    Failed(FailureClass),
    /// Parked.
    Parked,
    /// Either, as luck has it.
    CompleteOrParked,
}

/// A report and its fortune.
#[derive(Clone, Debug)]
pub struct ReportPlan {
    /// Its name, which is its template's too.
    pub name: String,
    /// Its tenant.
    pub tenant: String,
    /// The result that the tenant has for it.
    pub result: MockReport,
    /// The page size asked for.
    pub page_size: u64,
    /// What is to be done to its records and bytes.
    pub form: Form,
    /// What must become of it.
    pub fortune: Fortune,
}

/// A tenant as the judge sees it.
#[derive(Clone, Debug)]
pub struct TenantPlan {
    /// Its name.
    pub name: String,
    /// What the engine is told to keep to.
    pub rate: u64,
    /// Whether submissions of unknown outcome, and with them queries without an owner, are due.
    pub loses_submissions: bool,
    /// Whether the tenant allows less than that, at least for a while.
    pub allows_less: bool,
    /// Whether nothing ails it but what is no reason to take it to be down.
    pub is_up: bool,
    /// Whether nothing at all ails it.
    pub is_calm: bool,
    /// Its tokens, where they alone are trouble, or none are.
    pub tokens: Option<TokenPlan>,
    /// When it answers 503 to everything.
    pub refusals: Vec<Range<Duration>>,
}

/// A world and what must come of it.
#[derive(Clone)]
pub struct Scenario {
    /// The world.
    pub world: World,
    /// Its tenants.
    pub tenants: Vec<TenantPlan>,
    /// Its reports.
    pub reports: Vec<ReportPlan>,
    /// Whether messages keep their distances well enough for a tenant to see the pace that they were sent at.
    pub is_near: bool,
    /// Decides what is done to records and bytes; it came later than the rest, whose draws stay what they were.
    forms: Option<Rng>,
    /// The tenants' data alone.
    data: BTreeMap<String, MockTenantBuilder>,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        Self::with_forms(seed, Some(Rng::with_seed(seed ^ 0x00F0_0055)))
    }

    /// The same scenario with reports that ask for their bytes as they come.
    pub fn plain(seed: u64) -> Self {
        Self::with_forms(seed, None)
    }

    fn with_forms(seed: u64, forms: Option<Rng>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(seed);
        let is_near = rng.u32(0..3) == 0;
        if !is_near {
            world.latency = Duration::from_millis(rng.u64(15..30));
            world.tick = Duration::from_millis(25);
        }
        let mut scenario =
            Self { world, tenants: Vec::new(), reports: Vec::new(), is_near, forms, data: BTreeMap::new() };
        for nth in 0..rng.usize(1..=3) {
            scenario.add_tenant(nth, &mut rng);
        }
        scenario.world.yaml.push_str("reports:\n");
        for report in scenario.reports.clone() {
            scenario.world.add_report_lines(&report.name, &report.tenant, &report.name, &report.lines());
        }
        scenario
    }

    /// What must be left of the reports whose form is `of_interest`.
    ///
    /// # Errors
    /// If an undisturbed run leaves it otherwise than the tenants' rows allow.
    pub fn due(&self, more_lines: &str, of_interest: impl Fn(Form) -> bool) -> Result<BTreeMap<String, Due>, String> {
        let formed = self.reports.iter().filter(|report| of_interest(report.form)).map(|report| Formed {
            asked: Asked { report: report.name.clone(), tenant: report.tenant.clone(), template: report.name.clone() },
            form: report.form,
            lines: format!("{}\n{more_lines}", report.lines()),
        });
        let world = World { tenants: self.data.clone(), ..self.world.clone() };
        forms::undisturbed(&world, &formed.collect::<Vec<_>>())
    }

    fn add_tenant(&mut self, nth: usize, rng: &mut Rng) {
        let name = format!("t{nth}");
        let rate = rng.u64(5..=20);
        let data_seed = rng.u64(..);
        let mut mock = MockTenant::builder()
            .seed(data_seed)
            .requests_per_second(rate as f64)
            .ready_after(Duration::from_millis(rng.u64(0..15_000)))
            .latency(Duration::from_millis(rng.u64(0..200)))
            .latency_spread(Duration::from_millis(rng.u64(0..400)));
        let luck = rng.u32(0..N_LOTS);
        let wall = trouble::clock(rng);
        mock = mock.wall_start(wall);
        // A report that is to meet a page spoiled for good must not meet an open breaker first.
        let threshold = if luck == DOOM { 1000 } else { rng.u32(3..=5) };
        // What an outage meets on its way decides how it ends: submissions and tokens are out of it.
        let is_outage = OUTAGES.contains(&luck);
        let max_queries = if is_outage { 3 } else { rng.usize(1..=3) };
        let lines = format!(
            "rate_limit: {{requests_per_second: {rate}, burst: {}}}\nmax_in_flight: {MAX_IN_FLIGHT}\n\
             max_queries: {max_queries}\ntimeouts: {{connect: 5s, response: 20s, idle: 10s}}\n\
             retry: {{max_attempts: {MAX_ATTEMPTS}, base_delay: 500ms, max_delay: 8s}}\n\
             circuit_breaker: {{failure_threshold: {}, open_for: 5s, max_failed_probes: 200}}\npoll: {{initial_delay: 1s, max_delay: 10s}}",
            rng.u32(1..=6),
            threshold,
        );
        self.world.add_tenant_lines(&name, &lines);
        let first = self.reports.len();
        for nth in 0..if luck == CALM { 1 } else { rng.usize(1..=3) } {
            let mut report = report_plan(format!("{name}r{nth}"), &name, rng);
            if luck == CALM {
                report.result.rows = report.page_size * rng.u64(80..160);
                report.result.page_sizes = PageSizes::AsAsked;
            }
            if let Some(forms) = &mut self.forms {
                let form = Form::draw(forms);
                // Those that have to use up all of a rate are long, and show nothing more.
                report.form = if luck == CALM { Form::PLAIN } else { form };
                report.result.flaw_every = report.form.mends.then(|| forms.u64(3..12));
                // A page that ends within quotes and without a line ending is one that was cut off.
                report.result.final_newline |= report.form.mends;
            }
            mock = mock.report(&report.name, report.result.clone());
            self.reports.push(report);
        }
        let reports = &mut self.reports[first..];
        let mut plan = TenantPlan {
            name: name.clone(),
            rate,
            loses_submissions: false,
            allows_less: luck == LOWER_LIMIT,
            is_up: matches!(luck, LOWER_LIMIT | TOKENS | CALM),
            is_calm: luck == CALM,
            tokens: matches!(luck, LOWER_LIMIT | CALM).then_some(TokenPlan::QUIET),
            refusals: Vec::new(),
        };
        match luck {
            DOOM => mock = doomed(mock, &mut reports[0], rng),
            1 => {
                mock = mock.every_fate(Fate::Fails("the template is broken".to_owned()));
                reports.iter_mut().for_each(|report| report.fortune = Fortune::Failed(FailureClass::Denied));
            }
            2 => {
                let long = Fault::told_to_wait(429, rng.u64(2000..5000));
                mock = mock.fault(FaultRule::new(Matcher::kind(CallKind::Status).first(1), long));
                reports.iter_mut().for_each(|report| report.fortune = Fortune::Parked);
            }
            3 | 4 => {
                for Range { start, end } in outage_times(rng) {
                    let lasts = end - start;
                    self.world.partitions.push(Partition { tenant: name.clone(), from: start, lasts });
                }
            }
            5 => {
                for Range { start: from, end: to } in outage_times(rng) {
                    mock = mock.outage(Outage { from, to, kind: OutageKind::Reset });
                }
            }
            6 => {
                plan.refusals = outage_times(rng);
                for Range { start: from, end: to } in plan.refusals.clone() {
                    mock = mock.outage(Outage { from, to, kind: OutageKind::Unavailable });
                }
                // Tries that are answered may be used up before it is over.
                reports.iter_mut().for_each(|report| report.fortune = Fortune::CompleteOrParked);
            }
            THROTTLES => mock = trouble::throttles(mock, wall, rng),
            LOWER_LIMIT => mock = trouble::lower_limit(mock, rate, rng),
            TOKENS => {
                let (troubled, tokens) = trouble::tokens(mock, rng);
                (mock, plan.tokens) = (troubled, Some(tokens));
            }
            CALM => mock = mock.latency(Duration::from_millis(rng.u64(0..60))).latency_spread(Duration::ZERO),
            LOSES_SUBMISSIONS => {
                mock = mock.fault(FaultRule::new(Matcher::kind(CallKind::Submit).first(1), Fault::NoAnswer));
                plan.loses_submissions = true;
            }
            _ => {}
        }
        if !(THROTTLES..=CALM).contains(&luck) {
            if !is_outage {
                mock = passing_token_faults(mock, rng);
            }
            if !is_outage && luck != LOSES_SUBMISSIONS {
                mock = passing_submission_faults(mock, rng);
            }
            mock = passing_faults(mock, wall, rng);
        }
        let mut data = forms::calm_tenant(data_seed);
        for report in &self.reports[first..] {
            data = data.report(&report.name, report.result.clone());
        }
        self.data.insert(name.clone(), data);
        self.world.tenants.insert(name, mock);
        self.tenants.push(plan);
    }
}

fn report_plan(name: String, tenant: &str, rng: &mut Rng) -> ReportPlan {
    let page_size = rng.u64(5..40);
    let end = [End::EmptyBody, End::HeaderOnly, End::NotFound404, End::LinkWithoutNext][rng.usize(..4)];
    let rows = match rng.u32(0..8) {
        // Zero rows behind a 404 need a count that says so.
        0 => 0,
        1 => page_size * rng.u64(1..6),
        _ => rng.u64(1..page_size * 12),
    };
    let count = |rng: &mut Rng| match rng.u32(0..4) {
        _ if rows == 0 => Count::Right,
        0 => Count::Absent,
        1 => Count::Stale(rng.i64(-30..60)),
        _ => Count::Right,
    };
    let result = MockReport {
        header: if rng.bool() { OnPages::First } else { OnPages::Every },
        bom: [OnPages::Never, OnPages::First, OnPages::Every, OnPages::Random][rng.usize(..4)],
        newline: if rng.bool() { Newline::Lf } else { Newline::CrLf },
        final_newline: rng.bool(),
        total_count: count(rng),
        total_rows: count(rng),
        link: if end == End::LinkWithoutNext || rng.bool() { LinkStyle::Proper } else { LinkStyle::Absent },
        end,
        page_sizes: match rng.u32(0..3) {
            0 => PageSizes::AsAsked,
            1 => PageSizes::Varying,
            _ => PageSizes::AtMost(rng.u64(4..30)),
        },
        chunked: rng.bool(),
        gzip: rng.bool(),
        ..MockReport::with_rows(rows)
    };
    ReportPlan { name, tenant: tenant.to_owned(), result, page_size, form: Form::PLAIN, fortune: Fortune::Complete }
}

impl ReportPlan {
    /// Its lines in the configuration.
    fn lines(&self) -> String {
        format!("page_size: {}\n{}", self.page_size, self.form.lines())
    }
}

fn passing_token_faults(mut mock: MockTenantBuilder, rng: &mut Rng) -> MockTenantBuilder {
    // Not both: a token that is fetched ahead of time and taken back at once is two rejections for one call.
    match rng.u32(0..2) {
        0 if rng.bool() => mock = mock.revoke_tokens_at(Duration::from_secs(rng.u64(2..20))),
        1 if rng.bool() => mock = mock.token_life(Duration::from_secs(rng.u64(5..60))),
        _ => {}
    }
    if rng.u32(0..6) == 0 {
        let fault = passing_fault(rng);
        mock = mock.fault(FaultRule::new(Matcher::kind(CallKind::Token).first(rng.u64(1..=2)), fault));
    }
    mock
}

/// A submission is repeated only where the tenant can't have acted on it.
fn passing_submission_faults(mock: MockTenantBuilder, rng: &mut Rng) -> MockTenantBuilder {
    let fault = match rng.u32(0..9) {
        0 => Fault::status(429),
        1 => Fault::told_to_wait(503, rng.u64(1..10)),
        2 => Fault::told_to_wait(429, rng.u64(1..20)),
        _ => return mock,
    };
    mock.fault(FaultRule::new(Matcher::kind(CallKind::Submit).first(rng.u64(1..=2)), fault))
}

/// From when to when a tenant can't be reached, once or twice. By then the queries are submitted.
fn outage_times(rng: &mut Rng) -> Vec<Range<Duration>> {
    let mut times = Vec::new();
    let mut end = 0;
    for _ in 0..rng.u32(1..=2) {
        let from = end + rng.u64(4..20);
        end = from + rng.u64(1..70);
        times.push(Duration::from_secs(from)..Duration::from_secs(end));
    }
    times
}

/// Up to three kinds of fault that pass: no request meets more than five of them, of the eight tries that it has.
fn passing_faults(mut mock: MockTenantBuilder, wall: Timestamp, rng: &mut Rng) -> MockTenantBuilder {
    if rng.u32(0..4) == 0 {
        let forms = [RetryAfter::HttpDate, RetryAfter::Rfc850, RetryAfter::Asctime, RetryAfter::Missing];
        mock = mock.retry_after(forms[rng.usize(..4)].clone());
    }
    if rng.bool() {
        let fault = passing_fault(rng);
        mock = mock.fault(FaultRule::new(Matcher::kind(CallKind::Status).first(rng.u64(1..=3)), fault));
    }
    if rng.bool() {
        let rule = Matcher::pages().each().first(rng.u64(1..=2)).by_chance(rng.f64(), rng.u64(..));
        mock = mock.fault(FaultRule::new(rule, passing_fault(rng)));
    }
    for _ in 0..rng.u32(0..=2) {
        let page = Matcher::page(rng.u64(1..8)).each().first(rng.u64(1..=2));
        mock = mock.fault(FaultRule::new(page, passing_fault(rng)));
    }
    if rng.u32(0..4) == 0 {
        let from = rng.u64(0..20);
        mock = mock.fault(FaultRule::new(Matcher::pages().matches(from..from + 1), trouble::pause(wall, rng)));
    }
    mock
}

fn passing_fault(rng: &mut Rng) -> Fault {
    match rng.u32(0..18) {
        0 => Fault::status(500),
        1 => Fault::status(502),
        2 => Fault::status(503),
        3 => Fault::status(504),
        4 => Fault::status(408),
        5 => Fault::status(429),
        6 => Fault::told_to_wait(429, rng.u64(0..30)),
        7 => Fault::told_to_wait(503, rng.u64(1..30)),
        8 => Fault::NoAnswer,
        9 => Fault::Reset,
        10 => Fault::CutAt(rng.u64(0..2000)),
        11 => Fault::ResetAt(rng.u64(0..2000)),
        12 => Fault::StallAfter(rng.u64(0..500), Duration::from_secs(rng.u64(1..40))),
        13 => Fault::Delay(Duration::from_secs(rng.u64(1..40))),
        14 => Fault::CutBeforeFinalChunk,
        15 => Fault::ClosedIdle,
        16 => Fault::Delay(Duration::from_millis(rng.u64(1..3000))),
        _ => Fault::WrongContentType,
    }
}

/// Makes one report fail for good.
fn doomed(mock: MockTenantBuilder, report: &mut ReportPlan, rng: &mut Rng) -> MockTenantBuilder {
    // It needs pages that can be spoiled.
    report.result.rows = report.page_size * 6;
    report.result.page_sizes = PageSizes::AsAsked;
    report.result.total_count = Count::Right;
    let mock = mock.report(&report.name, report.result.clone());
    let (fault, class) = match rng.u32(0..3) {
        0 => (Fault::WrongContentType, FailureClass::Data),
        1 => (Fault::SamePageAs(2), FailureClass::Data),
        _ => (Fault::status(403), FailureClass::Denied),
    };
    report.fortune = Fortune::Failed(class);
    mock.fault(FaultRule::new(Matcher::page(3).of_template(&report.name), fault))
}
