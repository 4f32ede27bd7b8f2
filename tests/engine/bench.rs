//! What fault tests ask of a [`Stand`]: single settings, the kind of an ending, and what the tenant was asked.
//!
//! An ending is never looked at alone: a report that failed or parked has left nothing under its final name, and its
//! message is fit for a log.

use std::ops::Deref;
use std::time::Duration;

use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport, MockTenant, MockTenantBuilder};
use cxtract::model::{FailureClass, ParkReason};
use cxtract::{Config, Ending, Failure, Manifest, Park};

use crate::support::Stand;

/// Tries of one request in these tests.
pub const TRIES: usize = 3;

/// A tenant without a limit, whose report `detail` is that one.
pub fn tenant_with(report: MockReport) -> MockTenantBuilder {
    MockTenant::builder().requests_per_second(f64::INFINITY).report("detail", report)
}

/// The same with so many rows, in pages of 100.
pub fn tenant_of(n_rows: u64) -> MockTenantBuilder {
    tenant_with(MockReport::with_rows(n_rows))
}

/// A stand with three tries and a breaker that keeps out of the way.
pub fn stand(mock: MockTenantBuilder) -> Stand {
    Stand::new(mock)
        .set("retry", "{base_delay: 5ms, max_delay: 10ms, max_attempts: 3}")
        .set("circuit_breaker", "{failure_threshold: 1000, open_for: 50ms}")
        .set("poll", "{initial_delay: 5ms, max_delay: 20ms}")
}

/// A stand whose tenant has five pages and that fault.
pub fn with_fault(on: Matcher, then: Fault) -> Stand {
    stand(tenant_of(450).fault(FaultRule::new(on, then)))
}

impl Stand {
    /// Sets one key of the tenant.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let others = self.tenant.lines().map(str::trim).filter(|line| !line.starts_with(&format!("{key}:")));
        let mut lines: Vec<String> = others.map(str::to_owned).collect();
        lines.push(format!("{key}: {value}"));
        self.tenant = lines.join("\n    ");
        self
    }

    /// Adds lines at the top level of the configuration.
    pub fn top(mut self, lines: &str) -> Self {
        self.top.push_str(lines);
        self.top.push('\n');
        self
    }

    /// The configuration with another address in the tenant's place.
    pub fn config_at(&self, base_url: &str) -> Config {
        let yaml = self.yaml().replace(&self.mock.base_url(), base_url);
        let sources = cxtract::config::Sources::text(self.folder.path().join("config.yaml"), &yaml);
        Config::load(&sources).expect("the configuration is right")
    }

    /// How many calls of that kind the tenant saw.
    pub fn n_calls(&self, kind: CallKind) -> usize {
        self.mock.ledger().iter().filter(|entry| entry.kind == kind).count()
    }

    /// How often the tenant was asked for that page, over all queries.
    pub fn n_asked(&self, page: u64) -> usize {
        self.mock.ledger().iter().filter(|entry| entry.page == Some(page)).count()
    }

    /// How many queries the tenant accepted.
    pub fn n_queries(&self) -> usize {
        self.mock.with(|tenant| tenant.queries().len())
    }

    /// The output's bytes.
    pub fn delivered(&self) -> Vec<u8> {
        std::fs::read(self.output()).expect("the output is there")
    }

    /// Extracts a report that fails so.
    pub fn fails(&self, class: FailureClass) -> Message {
        self.failed(self.extract(), class)
    }

    /// Holds an ending to a failure.
    pub fn failed(&self, ending: Ending, class: FailureClass) -> Message {
        let Ending::Failed(Failure { class: found, message }) = ending else { panic!("not a failure: {ending:?}") };
        assert_eq!(found, class, "{message}");
        self.unpublished(message)
    }

    /// Extracts a report that parks so.
    pub fn parks(&self, reason: ParkReason) -> Message {
        self.parked(self.extract(), reason)
    }

    /// Holds an ending to a park.
    pub fn parked(&self, ending: Ending, reason: ParkReason) -> Message {
        let Ending::Parked(Park { reason: found, message, .. }) = ending else { panic!("not parked: {ending:?}") };
        assert_eq!(found, reason, "{message}");
        self.unpublished(message)
    }

    fn unpublished(&self, message: String) -> Message {
        assert!(!self.output().exists(), "something stands under the final name");
        assert!(!self.output().with_extension("csv.manifest.json").exists(), "there is a manifest");
        Message::fit_to_be_shown(message)
    }
}

/// The words of an ending.
#[derive(Debug)]
pub struct Message(String);

impl Message {
    /// Words without secrets and control characters, in the form that all of them have.
    pub fn fit_to_be_shown(message: String) -> Self {
        assert!(message.starts_with("calls"), "it doesn't begin with what it is about: {message}");
        assert!(!message.contains("canary"), "a secret: {message}");
        assert!(!message.contains("mock-access"), "a token: {message}");
        assert!(!message.chars().any(char::is_control), "control characters: {message:?}");
        assert!(!message.ends_with('.'), "a full stop: {message}");
        Self(message)
    }

    /// All of these words are in it.
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.0.contains(word), "“{word}” is missing in: {}", self.0);
        }
        self
    }
}

impl Deref for Message {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The manifest of a complete ending.
pub fn complete(ending: Ending) -> Manifest {
    let Ending::Complete(manifest) = ending else { panic!("not complete: {ending:?}") };
    (*manifest).clone()
}

/// How long a page is held where the report goes on with it.
pub const A_MOMENT: Duration = Duration::from_secs(1);

/// How long it is held where the report is called off, which does not wait for it.
pub const LONG: Duration = Duration::from_secs(5);

/// Has the tenant take so long, once, over that page of its nth query. Pages are written in order, so that the report
/// can't end before whoever waits for that page has acted.
pub fn held(nth_query: usize, page: u64, time: Duration) -> FaultRule {
    FaultRule::new(Matcher::page(page).of_query(nth_query).first(1), Fault::Delay(time))
}

/// Holds that page of a tenant that is there.
pub fn hold(stand: &Stand, nth_query: usize, page: u64, time: Duration) {
    stand.mock.with(|tenant| tenant.add_fault(held(nth_query, page, time)));
}

/// Resolves once the tenant has been asked for that page of its nth query.
pub async fn asked_for(stand: &Stand, nth_query: usize, page: u64) {
    loop {
        let query = stand.mock.with(|tenant| tenant.queries().get(nth_query).map(|query| query.id.clone()));
        if query.is_some_and(|query| stand.mock.ledger().pages_asked(&query).contains(&page)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
