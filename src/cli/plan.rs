//! What a run does, report by report and window by window, found out before anything is done.
//!
//! The call says which windows it wants; what is stored says what becomes of each. Who knows what is stored is an
//! argument: the engine when a run is to follow, the store as it lies there for a dry run.

use std::sync::Arc;

use cxtract::Extract;
use cxtract::config::{Problem, ReportConfig, Span, WindowForm, WindowOverrides};
use cxtract::model::{Asked, Timestamp, Window};
use cxtract::state::agenda::{Agenda, Step, Task};

use crate::cli::exit::{Exit, Trouble};
use crate::cli::windows;

/// One report of a call.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) report: Arc<ReportConfig>,
    pub(crate) wanted: Wanted,
    pub(crate) fresh: bool,
}

/// Which windows the call wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What is due; the present window in such pieces, where there is a span.
    Due(Option<Span>),
    /// These, one after the other.
    These(Vec<Asked>),
}

/// What a run does for one report.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) job: Job,
    pub(crate) turns: Vec<Turn>,
    /// What people should know, each with the report's name. A run says it by itself, when it comes to it.
    pub(crate) remarks: Vec<String>,
}

/// One extraction of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) asked: Asked,
    pub(crate) window: Window,
    pub(crate) step: Step,
    /// Whether there is nothing at all to do for it, not even to give something up.
    pub(crate) is_done: bool,
}

impl Job {
    /// What the call makes of a report. `watermark` is where a `since` window that the call gives no beginning begins.
    ///
    /// # Errors
    /// If the call makes no sense with this report.
    pub(crate) fn new(
        report: &Arc<ReportConfig>,
        overrides: &WindowOverrides,
        each: Option<Span>,
        fresh: bool,
        now: Timestamp,
        watermark: Option<Timestamp>,
    ) -> Result<Self, Problem> {
        if each.is_some() && !report.output.varies_by_window() {
            return Err(Problem::new(
                "command line",
                "--each",
                format!("one path for all pieces, in report {}", report.name),
                "{from} or {to} in the path, so that each piece has a file of its own",
                "write for example {report}-{from}.csv, or leave --each out",
            ));
        }
        let is_fixed = matches!(report.window.form, WindowForm::FromTo { .. });
        let wanted = if overrides.is_empty() && (each.is_none() || !is_fixed) {
            Wanted::Due(each)
        } else {
            let asked = if overrides.is_empty() { Asked::Configured } else { Asked::Given };
            let windows = match (report.resolve_window(now, watermark, overrides)?, each) {
                (None, _) => Vec::new(),
                (Some(window), None) => vec![window],
                (Some(window), Some(span)) => report.pieces(window, span)?,
            };
            Wanted::These(windows.into_iter().map(asked).collect())
        };
        Ok(Self { report: report.clone(), wanted, fresh })
    }

    /// The windows that are known without asking what is stored.
    pub(crate) fn windows(&self) -> Vec<Window> {
        match &self.wanted {
            Wanted::Due(_) => Vec::new(),
            Wanted::These(all) => all.iter().filter_map(window_of).collect(),
        }
    }

    fn order(&self, asked: Asked) -> Extract {
        Extract { asked, fresh: self.fresh, ..Extract::report(self.report.name.as_str()) }
    }
}

impl Planned {
    /// Whether the turns after one that did not get its file must wait: what a `since` report passed over would never
    /// be asked for again.
    pub(crate) fn is_a_chain(&self) -> bool {
        self.job.report.window.is_since() && self.turns.iter().all(|turn| !matches!(turn.asked, Asked::Given(_)))
    }

    /// How a window of this report is told from its others.
    pub(crate) fn shown(&self, window: &Window) -> String {
        windows::shown(window, &self.job.report.window.zone)
    }
}

/// The window that is asked for by name.
pub(crate) fn window_of(asked: &Asked) -> Option<Window> {
    match asked {
        Asked::Due => None,
        Asked::Configured(window) | Asked::Given(window) => Some(*window),
    }
}

/// Plans all reports. `ask` tells what becomes of an order.
///
/// # Errors
/// Everything that stands against any of them.
pub(crate) async fn of_all(
    jobs: &[Job],
    ask: &impl AsyncFn(Extract) -> Result<Agenda, Trouble>,
) -> Result<Vec<Planned>, Trouble> {
    let (mut plan, mut troubles) = (Vec::with_capacity(jobs.len()), Vec::new());
    for job in jobs {
        match of(job, ask).await {
            Ok(planned) => plan.push(planned),
            Err(several) => troubles.extend(several),
        }
    }
    if troubles.is_empty() {
        return Ok(plan);
    }
    let exit = Exit::worst(troubles.iter().map(|trouble| trouble.exit));
    let messages: Vec<String> = troubles.into_iter().map(|trouble| trouble.message).collect();
    Err(Trouble { exit, message: messages.join("\n") })
}

/// Plans one report. `ask` tells what becomes of an order.
///
/// # Errors
/// Everything that stands against it.
async fn of(job: &Job, ask: &impl AsyncFn(Extract) -> Result<Agenda, Trouble>) -> Result<Planned, Vec<Trouble>> {
    let mut planned = Planned { job: job.clone(), turns: Vec::new(), remarks: Vec::new() };
    let mut troubles = Vec::new();
    let orders = match &job.wanted {
        Wanted::These(all) => all.clone(),
        Wanted::Due(each) => match ask(job.order(Asked::Due)).await {
            Err(trouble) => return Err(vec![trouble]),
            Ok(agenda) => {
                let pieces = planned.due(agenda, *each).map_err(|problem| vec![Trouble::refused(&problem)])?;
                pieces.into_iter().map(Asked::Configured).collect()
            }
        },
    };
    for asked in orders {
        match ask(job.order(asked)).await {
            Ok(agenda) => planned.take(agenda),
            Err(trouble) => troubles.push(trouble),
        }
    }
    if troubles.is_empty() { Ok(planned) } else { Err(troubles) }
}

impl Planned {
    /// Takes over what is due. The pieces of what would begin now are still to be asked about.
    fn due(&mut self, agenda: Agenda, each: Option<Span>) -> Result<Vec<Window>, Problem> {
        let Some(span) = each else {
            self.take(agenda);
            return Ok(Vec::new());
        };
        let (begun, present): (Vec<_>, Vec<_>) = agenda.tasks.into_iter().partition(|task| task.step == Step::GoOn);
        self.take(Agenda { tasks: begun, ..agenda });
        let mut pieces = Vec::new();
        for task in present {
            pieces.extend(self.job.report.pieces(task.key.window, span)?);
        }
        // A piece that an earlier run left unfinished is due by itself.
        pieces.retain(|piece| self.turns.iter().all(|turn| turn.window != *piece));
        if self.job.report.window.is_since() {
            // None of them was ever begun, and until the one before it is complete none of them can be.
            let turn = |window| Turn { asked: Asked::Configured(window), window, step: Step::Start, is_done: false };
            self.turns.extend(pieces.drain(..).map(turn));
        }
        Ok(pieces)
    }

    fn take(&mut self, agenda: Agenda) {
        let drops_nothing = agenda.drops.is_empty();
        let turn = |task: Task| Turn {
            asked: task.asked(),
            window: task.key.window,
            is_done: drops_nothing && matches!(task.step, Step::Skip(_)),
            step: task.step,
        };
        self.turns.extend(agenda.tasks.into_iter().map(turn));
        for remark in agenda.remarks {
            if !self.remarks.contains(&remark) {
                self.remarks.push(remark);
            }
        }
    }

    /// Why there is nothing to do, where there is nothing.
    pub(crate) fn why_nothing(&self) -> Option<String> {
        if !self.turns.is_empty() {
            return None;
        }
        let prefix = format!("{}: ", self.job.report.name);
        let told = self.remarks.last().map(|remark| remark.strip_prefix(&prefix).unwrap_or(remark).to_owned());
        Some(told.unwrap_or_else(|| "nothing to ask for yet".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use cxtract::Config;
    use cxtract::config::Sources;
    use cxtract::model::{ReportState, WallClock};
    use cxtract::state::{Begun, ExtractionKey, MemoryStore, Origin, Store};
    use futures::FutureExt;

    use super::*;
    use crate::cli::dry_run;

    const DAYS: Option<Span> = Some(Span::Days(1));

    fn now() -> Timestamp {
        Timestamp::parse("2024-01-05T12:00:00Z").unwrap()
    }

    /// A report with that window and path, and whatever else.
    fn config(window: &str, path: &str, more: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        let report = |name: &str| {
            format!("  {name}: {{tenant: t, template_id: x, window: {window}, output: {{path: '{path}'}}{more}}}\n")
        };
        let text = format!("tenants: {{t: {{mock: {{}}}}}}\nreports:\n{}{}", report("a"), report("b"));
        std::fs::write(&file, text).unwrap();
        Config::load(&Sources::file(file)).unwrap()
    }

    fn daily(window: &str) -> Config {
        config(window, "{report}-{from}.csv", "")
    }

    fn store() -> MemoryStore {
        MemoryStore::new(WallClock::new(now))
    }

    fn days(from: &str, to: &str) -> Window {
        windows::parse(&format!("2024-01-{from}..2024-01-{to}"), &cxtract::config::Zone::UTC).unwrap()
    }

    /// Something of report `a` that was begun under the configuration `of`.
    fn begun(store: &MemoryStore, of: &Config, window: Window) -> ExtractionKey {
        let report = of.report("a").unwrap();
        let key = ExtractionKey {
            report: report.name.clone(),
            tenant: report.tenant.clone(),
            window,
            hash: report.extraction_hash(),
        };
        let form: serde_json::Map<_, _> =
            report.extraction_form().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let output = report.output_file(&window).unwrap().to_string_lossy().into_owned();
        let form = serde_json::Value::Object(form).to_string();
        store.begin(&key, &Begun { origin: Origin::Configured, form, output }).unwrap();
        store.save_state(&key, ReportState::Parked, None).unwrap();
        key
    }

    fn plan(
        store: &MemoryStore,
        config: &Config,
        overrides: &WindowOverrides,
        each: Option<Span>,
    ) -> Result<Vec<Planned>, Trouble> {
        let job = |report| Job::new(report, overrides, each, false, now(), None).unwrap();
        let jobs: Vec<Job> = config.reports.iter().map(job).collect();
        let ask = async |order: Extract| {
            dry_run::agenda(Some(store), config.report(order.report.as_str()).unwrap(), &order, now())
        };
        of_all(&jobs, &ask).now_or_never().unwrap()
    }

    fn none() -> WindowOverrides {
        WindowOverrides::default()
    }

    fn given(from: &str, to: &str) -> WindowOverrides {
        WindowOverrides { from: Some(from.to_owned()), to: Some(to.to_owned()), until: None }
    }

    /// What is asked for, with `+` where it goes on.
    fn turns(planned: &Planned) -> Vec<String> {
        let shown = |turn: &Turn| {
            let sign = if turn.step == Step::GoOn { "+" } else { "" };
            let kind = if matches!(turn.asked, Asked::Given(_)) { "given " } else { "" };
            format!("{kind}{}{sign}", planned.shown(&turn.window))
        };
        planned.turns.iter().map(shown).collect()
    }

    #[test]
    fn without_more_said_a_report_gets_what_is_due() {
        let config = daily("{since: 2024-01-03}");
        let store = store();
        begun(&store, &config, days("03", "03"));
        let plan = plan(&store, &config, &none(), None).unwrap();
        assert_eq!(turns(&plan[0]), ["2024-01-03+", "2024-01-04..2024-01-05T12:00:00.000Z"]);
        assert!(plan[0].is_a_chain());
    }

    #[test]
    fn the_pieces_of_a_since_report_follow_what_is_unfinished_and_form_a_chain() {
        let config = daily("{since: 2024-01-03}");
        let store = store();
        begun(&store, &config, days("03", "03"));
        let plan = plan(&store, &config, &none(), DAYS).unwrap();
        assert_eq!(turns(&plan[0]), ["2024-01-03+", "2024-01-04", "2024-01-05..2024-01-05T12:00:00.000Z"]);
        assert_eq!(turns(&plan[1]), ["2024-01-03", "2024-01-04", "2024-01-05..2024-01-05T12:00:00.000Z"]);
        assert!(plan.iter().all(Planned::is_a_chain));
    }

    #[test]
    fn a_piece_that_is_unfinished_is_gone_on_with_and_asked_for_once() {
        for window in ["{last: 3d}", "{from: 2024-01-02, to: 2024-01-04}"] {
            let config = daily(window);
            let store = store();
            begun(&store, &config, days("03", "03"));
            let plan = plan(&store, &config, &none(), DAYS).unwrap();
            let mut all = turns(&plan[0]);
            all.sort();
            assert_eq!(all, ["2024-01-02", "2024-01-03+", "2024-01-04"], "{window}");
            assert!(!plan[0].is_a_chain());
        }
    }

    #[test]
    fn windows_from_the_call_are_given_ones_whole_or_in_pieces() {
        for window in ["{since: 2023-01-01}", "{last: 1d}", "{from: 2023-01-01, to: 2023-01-02}"] {
            let config = daily(window);
            let bounds = given("2024-01-01", "2024-01-02");
            let whole = plan(&store(), &config, &bounds, None).unwrap();
            assert_eq!(turns(&whole[0]), ["given 2024-01-01..2024-01-02"], "{window}");
            let pieces = plan(&store(), &config, &bounds, DAYS).unwrap();
            assert_eq!(turns(&pieces[0]), ["given 2024-01-01", "given 2024-01-02"], "{window}");
            assert!(!pieces[0].is_a_chain());
        }
    }

    #[test]
    fn a_since_window_that_is_given_an_end_alone_begins_after_the_watermark() {
        let config = daily("{since: 2023-01-01}");
        let overrides = WindowOverrides { to: Some("2024-01-02".to_owned()), ..none() };
        let mark = Timestamp::parse("2023-12-31T23:59:59.999Z");
        let wanted = Job::new(&config.reports[0], &overrides, None, false, now(), mark).unwrap().wanted;
        assert_eq!(wanted, Wanted::These(vec![Asked::Given(days("01", "02"))]));
        let mark = Timestamp::parse("2024-01-02T23:59:59.999Z");
        assert!(Job::new(&config.reports[0], &overrides, None, false, now(), mark).is_err());
    }

    #[test]
    fn pieces_without_a_file_of_their_own_are_refused() {
        let config = config("{last: 1d}", "{report}.csv", "");
        let refused = Job::new(&config.reports[0], &none(), DAYS, false, now(), None).unwrap_err().to_string();
        assert!(refused.contains("--each") && refused.contains("{from} or {to}"), "{refused}");
    }

    #[test]
    fn nothing_to_ask_for_is_no_turn_and_says_why() {
        let config = daily("{since: 2024-02-01}");
        let plan = plan(&store(), &config, &none(), DAYS).unwrap();
        assert!(plan[0].turns.is_empty());
        let why = plan[0].why_nothing().unwrap();
        assert!(why.contains("2024-02-01") && !why.starts_with("a:"), "{why}");
    }

    #[test]
    fn f2_everything_that_stands_against_the_orders_is_told_at_once() {
        let window = "{from: 2024-01-01, to: 2024-01-02}";
        let store = store();
        let former = config(window, "{report}-{from}.csv", ", page_size: 7");
        begun(&store, &former, days("01", "01"));
        begun(&store, &former, days("02", "02"));
        let trouble = plan(&store, &daily(window), &none(), DAYS).unwrap_err();
        assert_eq!(trouble.exit.code(), 2);
        assert_eq!(trouble.message.matches("page_size").count(), 2, "{}", trouble.message);
        assert!(trouble.message.contains("--fresh"), "{}", trouble.message);
    }
}
