//! A report's section: what is asked of which tenant, how its records are treated, and where they go.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::model::{ReportName, TenantName, Timestamp, Window};

use super::kind::{self, Look, Mismatch, Read, boolean, count, duration, look, word};
use super::output::OutputSpec;
use super::problem::{Problem, nearest, printable};
use super::reader::Section;
use super::tree::{Node, Tree};
use super::window::{Bound, Span, WindowForm, WindowOverrides, WindowSpec, Zone, pieces};

const DEFAULT_PAGE_SIZE: u64 = 5000;
const MOST_PAGE_SIZE: u64 = 10_000_000;

/// A report as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportConfig {
    /// Its name.
    pub name: ReportName,
    /// The tenant that has it.
    pub tenant: TenantName,
    /// The tenant's template.
    pub template_id: String,
    /// Which part of time is asked for.
    pub window: WindowSpec,
    /// The part of the window that one query asks for; all of it where there is none.
    pub split: Option<Span>,
    /// What the tenant filters by.
    pub filters: Vec<Filter>,
    /// Rows asked for in a page.
    pub page_size: u64,
    /// How records are treated.
    pub csv: CsvOptions,
    /// Whether a page may equal the one before it.
    pub repeated: Repeated,
    /// What a difference from the tenant's count means.
    pub on_mismatch: OnMismatch,
    /// Where the output goes.
    pub output: OutputSpec,
}

/// One filter of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The field.
    pub field: String,
    /// The operator.
    pub operator: String,
    /// Text, a number, a boolean, or a list of these.
    pub value: Value,
}

/// How records are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// What is done about raw newlines.
    pub repair: Repair,
    /// What is done about records of the wrong length.
    pub ragged: Ragged,
    /// What is done about bytes that are not UTF-8.
    pub invalid_utf8: InvalidUtf8,
    /// Whether fields that a spreadsheet would run are neutralised.
    pub excel_safe: bool,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $list:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        const $list: &[(&str, $name)] = &[$(($word, $name::$variant),)+];

        impl $name {
            /// The configuration's word for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// What is done about raw newlines in fields.
    Repair, REPAIRS {
        /// Nothing.
        #[default]
        Off = "off",
        /// Records are joined where there is one way only.
        Join = "join",
    }
}
words! {
    /// What is done about records of the wrong length.
    Ragged, RAGGED {
        /// The report fails.
        #[default]
        Fail = "fail",
        /// They go to the file of rejects.
        Reject = "reject",
    }
}
words! {
    /// What is done about bytes that are not UTF-8.
    InvalidUtf8, INVALID_UTF8 {
        /// They stay.
        #[default]
        Keep = "keep",
        /// The report fails.
        Fail = "fail",
        /// They are replaced and counted.
        Replace = "replace",
    }
}
words! {
    /// Whether a page may equal the one before it.
    Repeated, REPEATED {
        /// The report fails.
        #[default]
        Fail = "fail",
        /// It may.
        Accept = "accept",
    }
}
words! {
    /// What a difference from the tenant's count means.
    OnMismatch, ON_MISMATCH {
        /// A note in the manifest and the log.
        #[default]
        Warn = "warn",
        /// The report fails.
        Fail = "fail",
    }
}

impl ReportConfig {
    /// A report with the defaults for everything but what it is.
    pub fn new(
        name: ReportName,
        tenant: TenantName,
        template_id: &str,
        window: WindowSpec,
        output: OutputSpec,
    ) -> Self {
        Self {
            name,
            tenant,
            template_id: template_id.to_owned(),
            window,
            split: None,
            filters: Vec::new(),
            page_size: DEFAULT_PAGE_SIZE,
            csv: CsvOptions::default(),
            repeated: Repeated::default(),
            on_mismatch: OnMismatch::default(),
            output,
        }
    }

    /// The window to ask for now; see [`WindowSpec::resolve`]. A problem names the report.
    pub fn resolve_window(
        &self,
        now: Timestamp,
        watermark: Option<Timestamp>,
        overrides: &WindowOverrides,
    ) -> Result<Option<Window>, Problem> {
        self.window.resolve(now, watermark, overrides).map_err(|problem| self.named(problem))
    }

    /// Where the configured window begins; see [`WindowSpec::begins`]. A problem names the report.
    pub fn begins(&self, now: Timestamp, watermark: Option<Timestamp>) -> Result<Timestamp, Problem> {
        self.window.begins(now, watermark).map_err(|problem| self.named(problem))
    }

    fn named(&self, mut problem: Problem) -> Problem {
        problem.key = format!("{} of report {}", problem.key, self.name);
        problem
    }

    /// The windows of the queries that together make that window, in order; one where there is no `split`.
    pub fn parts(&self, window: Window) -> Result<Vec<Window>, Problem> {
        let key = || format!("reports.{}.split", self.name);
        let parts = self.split.map_or(Ok(vec![window]), |span| pieces(window, span, &self.window.zone));
        parts.map_err(|problem| Problem { key: key(), ..problem })
    }

    /// The windows that `--each` makes of that window, in order: each an extraction and a file of its own.
    ///
    /// # Errors
    /// If two of them would go to one file, or there are too many.
    pub fn pieces(&self, window: Window, span: Span) -> Result<Vec<Window>, Problem> {
        let problem = |found: String, expected: &str, remedy: &str| {
            Problem::new("command line", format!("--each of report {}", self.name), found, expected, remedy)
        };
        if !self.output.varies_by_window() {
            let found = format!("the path {}, one file for all pieces", printable(self.output.path.as_str()));
            let remedy = "write for example {report}-{from}.csv";
            return Err(problem(found, "{from} or {to} in the path, so that each piece has its own file", remedy));
        }
        let pieces = pieces(window, span, &self.window.zone)
            .map_err(|fault| problem(fault.found, &fault.expected, &fault.remedy))?;
        let mut files = HashSet::new();
        for file in pieces.iter().filter_map(|piece| self.output_file(piece)) {
            let shown = printable(&file.to_string_lossy());
            if !files.insert(file) {
                let found = format!("two pieces that would both be written to {shown}");
                return Err(problem(found, "a file for each piece", "choose a span of whole seconds"));
            }
        }
        Ok(pieces)
    }

    /// The file for that window; none for standard output.
    pub fn output_file(&self, window: &Window) -> Option<PathBuf> {
        self.output.file(&self.name, &self.tenant, window, &self.window.zone)
    }

    /// What the bytes of the output depend on besides tenant and window, by configuration key.
    pub fn extraction_form(&self) -> Vec<(&'static str, Value)> {
        let filters = self.filters.iter().map(|f| json!([f.field, f.operator, f.value])).collect();
        // Days of another zone are other parts.
        let split = self.split.map(|span| match span {
            Span::Days(_) => format!("{span} in {}", self.window.zone.name()),
            Span::Time(_) => span.to_string(),
        });
        let csv = json!({
            "repair": self.csv.repair.as_str(),
            "ragged": self.csv.ragged.as_str(),
            "invalid_utf8": self.csv.invalid_utf8.as_str(),
            "excel_safe": self.csv.excel_safe,
        });
        vec![
            ("template_id", json!(self.template_id)),
            ("filters", Value::Array(filters)),
            ("page_size", json!(self.page_size)),
            ("split", json!(split)),
            ("csv", csv),
            ("output", self.output.form()),
        ]
    }

    /// SHA-256 of [`Self::extraction_form`] in hexadecimal: two extractions with one hash may be taken for each other.
    pub fn extraction_hash(&self) -> String {
        let text = json!(self.extraction_form()).to_string();
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn read(name: &str, section: &Section<'_>, tenants: &[&str], output: &OutputSpec) -> Option<Self> {
        let tenant = section.need("tenant", kind::text, "the name of a tenant");
        if let Some(tenant) = &tenant
            && !tenants.contains(&tenant.as_str())
        {
            let remedy = match nearest(tenant, tenants.iter().copied()) {
                Some(near) => format!("did you mean {}?", printable(near)),
                None => "add it below tenants".to_owned(),
            };
            section.problem("tenant", printable(tenant), "the name of a configured tenant", &remedy);
        }
        let template_id = section.need("template_id", kind::text, "the id of one of the tenant's templates");
        let window = read_window(section);
        let place = section.section("output");
        let output = OutputSpec::read(&place, output);
        let split = section.optional("split", span("a span such as 1d, 30d or 6h, more than nothing"));
        let filters = section.items("filters").iter().map(read_filter).collect::<Vec<_>>();
        let page_size = section.or("page_size", count(1..=MOST_PAGE_SIZE), DEFAULT_PAGE_SIZE);
        let csv = read_csv(&section.section("csv"));
        let pages = section.section("pages");
        let repeated = pages.or("repeated", word(REPEATED), Repeated::default());
        let total_count = section.section("total_count");
        let on_mismatch = total_count.or("on_mismatch", word(ON_MISMATCH), OnMismatch::default());
        let report = Self {
            name: ReportName::new(name),
            tenant: TenantName::new(&tenant?),
            template_id: template_id?,
            window: window?,
            split,
            filters: filters.into_iter().collect::<Option<_>>()?,
            page_size,
            csv,
            repeated,
            on_mismatch,
            output,
        };
        report.check_path(&place);
        Some(report)
    }

    fn check_path(&self, place: &Section<'_>) {
        if self.output.is_stdout() {
            return;
        }
        if let Some(found) = self.output.too_long(&self.name, &self.tenant) {
            place.problem("path", found, "a path whose names have at most 235 bytes", "shorten the path");
        }
        if self.output.varies_by_window() {
            return;
        }
        match self.window.form {
            WindowForm::Since { .. } => {
                let expected = "{from} or {to} in the path of a report with a since window";
                let remedy = "write for example {report}-{from}.csv, or each run would replace the last one's file";
                place.problem("path", printable(self.output.path.as_str()), expected, remedy);
            }
            WindowForm::Last(_) => place.log.warn(format!(
                "{}: no {{from}} or {{to}} in it, so that each run replaces the last one's file",
                place.key("path")
            )),
            WindowForm::FromTo { .. } => {}
        }
    }
}

fn read_csv(section: &Section<'_>) -> CsvOptions {
    CsvOptions {
        repair: section.or("repair", word(REPAIRS), Repair::default()),
        ragged: section.or("ragged", word(RAGGED), Ragged::default()),
        invalid_utf8: section.or("invalid_utf8", word(INVALID_UTF8), InvalidUtf8::default()),
        excel_safe: section.or("excel_safe", boolean, false),
    }
}

fn read_window(outer: &Section<'_>) -> Option<WindowSpec> {
    const FORMS: &str = "{from: …, to: …}, {last: 1d} or {since: …}";
    let Some(Node { tree: Tree::Map(_), .. }) = outer.raw("window") else {
        if outer.raw("window").is_none_or(Node::is_null) {
            outer.problem("window", "nothing", FORMS, "choose one of them");
        }
        drop(outer.section("window"));
        return None;
    };
    let section = outer.section("window");
    let zone = section.or("timezone", zone, Zone::UTC);
    let (from, to) = (section.get("from", bound), section.get("to", bound));
    let last = section.get("last", span("a span such as 1d, 7d or 6h, more than nothing"));
    let since = section.get("since", bound);
    let lag = section.or("lag", duration(Duration::ZERO), Duration::ZERO);
    let has = |key| section.has(key);
    let form = match (has("from") || has("to"), has("last"), has("since") || has("lag")) {
        (true, false, false) if has("from") && has("to") => WindowForm::FromTo { from: from?, to: to? },
        (true, false, false) => {
            let (key, found) = if has("from") { ("to", "from without to") } else { ("from", "to without from") };
            section.problem(key, found, "both from and to", "add the other bound");
            return None;
        }
        (false, true, false) => WindowForm::Last(last?),
        (false, false, true) if has("since") => WindowForm::Since { since: since?, lag },
        (false, false, true) => {
            section.problem("lag", "lag without since", "lag beside since only", "add since, or remove lag");
            return None;
        }
        (false, false, false) => {
            section.problem("", "no form of a window", FORMS, "choose one of them");
            return None;
        }
        _ => {
            section.problem("", "several forms of a window", FORMS, "keep one of them");
            return None;
        }
    };
    let spec = WindowSpec { form, zone };
    if let Some(found) = spec.fault() {
        let expected = "bounds that the zone's clocks show once, the beginning not after the end";
        section.problem("", found, expected, "correct the bounds, or write them with their offset");
        return None;
    }
    Some(spec)
}

/// A bound may be written bare: dates are what is due here.
fn bound(node: &Node) -> Read<Bound> {
    let expected = "a date such as 2024-01-31 or a time such as 2024-01-31T12:00:00Z";
    match &node.tree {
        Tree::Scalar(scalar) => Bound::parse(&scalar.text),
        _ => None,
    }
    .ok_or_else(|| Mismatch::new(expected, "write it in one of these forms, the year with four digits"))
}

fn zone(node: &Node) -> Read<Zone> {
    let name = kind::text(node)?;
    Zone::named(&name).ok_or_else(|| Mismatch::new("the name of a time zone", "write for example Europe/Berlin or UTC"))
}

fn span(expected: &'static str) -> impl Fn(&Node) -> Read<Span> {
    move |node| {
        let Tree::Scalar(scalar) = &node.tree else {
            return Err(Mismatch::new(expected, "write a single value"));
        };
        if look(scalar) == Look::Number {
            return Err(Mismatch::new(expected, "add a unit: ms, s, m, h or d"));
        }
        Span::parse(&scalar.text)
            .ok_or_else(|| Mismatch::new(expected, "write a whole number of days, or another unit such as 36h"))
    }
}

fn read_filter(section: &Section<'_>) -> Option<Filter> {
    let field = section.need("field", kind::text, "the field to filter by");
    let operator = section.need("operator", kind::text, "the tenant's word for the comparison, such as eq");
    let value = section.need("value", filter_value, "what to compare with");
    Some(Filter { field: field?, operator: operator?, value: value? })
}

fn filter_value(node: &Node) -> Read<Value> {
    match &node.tree {
        Tree::List(items) => items.iter().map(single_value).collect::<Read<_>>().map(Value::Array),
        _ => single_value(node),
    }
}

/// A value goes to the tenant as it is written, so that a number which JSON would write otherwise is refused.
fn single_value(node: &Node) -> Read<Value> {
    let expected = "text, a number, a boolean, or a list of these";
    let Tree::Scalar(scalar) = &node.tree else {
        return Err(Mismatch::new(expected, "write plain values"));
    };
    let text = scalar.text.as_str();
    match look(scalar) {
        Look::Text | Look::Date => return Ok(json!(text)),
        Look::Boolean if text == "true" => return Ok(json!(true)),
        Look::Boolean if text == "false" => return Ok(json!(false)),
        Look::Boolean => return Err(Mismatch::new("true or false in small letters", "or quote it, if it is text")),
        Look::Null => return Err(Mismatch::new(expected, "write a value, in quotes if it is meant to be text")),
        Look::Number => {}
    }
    let number: Option<Value> = serde_json::from_str(text).ok();
    number.filter(|n| n.is_number() && format!("{n}") == text).ok_or_else(|| {
        Mismatch::new("a number as JSON writes it, without leading or trailing zeros", "quote it, if it is text")
    })
}
