//! The plans in `examples/plans/`, each played by the real engine against the tenants that it describes.
//!
//! A story is told to people in its file; what must come of it stands here: how the report ends, and what the tenant saw
//! of its client. Nothing of a plan is changed for the test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cxtract::Ending;
use cxtract::mock::{Ledger, MockPlan};
use cxtract::model::{Failure, FailureClass, Manifest};

use crate::world::{Aftermath, World};

/// What the stories are played with where nothing is said: the engine's defaults, and looks that come soon.
const TENANT: &str = "poll: {initial_delay: 2s}";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plans")
}

/// A story, ready to be run.
pub struct Story {
    plan: MockPlan,
    world: World,
}

/// The story of that name, with one report `calls` for a tenant that stands for itself.
pub fn story(name: &str) -> Story {
    Story::new(name, TENANT, &[("calls", "")])
}

impl Story {
    /// With these lines for every tenant, and these reports with their lines; where there are several tenants, each has
    /// them all, under `TENANT-REPORT`.
    pub fn new(name: &str, tenant_lines: &str, reports: &[(&str, &str)]) -> Self {
        let plan = MockPlan::read(&folder().join(format!("{name}.yaml"))).unwrap_or_else(|error| panic!("{error}"));
        let mut world = World { bound: Duration::from_secs(7200), ..World::new(3).with_even_network() };
        for (tenant, mock) in &plan.tenants {
            world.tenants.insert(tenant.clone(), mock.clone());
            world.add_tenant_lines(tenant, tenant_lines);
        }
        world.yaml.push_str("reports:\n");
        for (tenant, _) in &plan.tenants {
            for (report, lines) in reports {
                let full = if plan.tenants.len() == 1 { (*report).to_owned() } else { format!("{tenant}-{report}") };
                world.add_report_lines(&full, tenant, report, lines);
            }
        }
        Self { plan, world }
    }

    /// Its tenants.
    pub fn tenants(&self) -> Vec<(String, cxtract::mock::MockTenantBuilder)> {
        self.plan.tenants.clone()
    }

    /// Plays it. Whatever it is about, nobody may have been called while it had told to wait.
    pub fn play(&self) -> Aftermath {
        let after = self.world.run().expect("every report ends");
        for (tenant, _) in &self.plan.tenants {
            let early = after.ledger(tenant).calls_while_told_to_wait();
            assert!(early.is_empty(), "{tenant} was called while it had told to wait: {early:#?}");
        }
        after
    }

    /// Plays it to the end that every report is delivered whole, byte for byte, each submitted once.
    pub fn delivers(&self) -> Aftermath {
        let after = self.play();
        for asked in &self.world.asked {
            let whole = after.is_delivered(&asked.report, &asked.tenant, &asked.template);
            assert!(whole, "{}: {:?}", asked.report, after.ending(&asked.report));
            assert_eq!(after.verdict(&asked.tenant).duplicate_submissions, 0, "{}", asked.report);
        }
        after
    }

    /// Plays it to the end that the report `calls` fails like that, with these words, and leaves no file.
    pub fn fails(&self, class: FailureClass, words: &[&str]) -> Aftermath {
        let after = self.play();
        let Failure { class: found, message } = after.failure("calls");
        assert_eq!(*found, class, "{message}");
        for part in words {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        assert_eq!(after.disk.contents(&after.output("calls")), None, "there is a file under the final name");
        after
    }
}

impl Aftermath {
    /// What the tenant thinks of its client.
    pub fn verdict(&self, tenant: &str) -> cxtract::mock::Verdict {
        self.tenants[tenant].lock().verdict()
    }

    /// How a report failed.
    pub fn failure(&self, report: &str) -> &Failure {
        match self.ending(report) {
            Ending::Failed(failure) => failure,
            other => panic!("{report} was to fail: {other:?}"),
        }
    }

    /// The manifest of a delivered report.
    pub fn manifest(&self, report: &str) -> &Manifest {
        match self.ending(report) {
            Ending::Complete(manifest) => manifest,
            other => panic!("{report} was to be delivered: {other:?}"),
        }
    }
}

/// The most calls that were let in within any second after that moment.
pub fn most_let_in_after(ledger: &Ledger, moment: Duration) -> usize {
    let times: Vec<_> = ledger.iter().filter(|e| e.refused.is_none() && e.at >= moment).map(|e| e.at).collect();
    let within =
        |from: Duration| times.iter().filter(|&&at| (from..from + Duration::from_secs(1)).contains(&at)).count();
    times.iter().map(|&at| within(at)).max().unwrap_or(0)
}

#[test]
fn every_plan_in_the_folder_says_what_it_is_about_and_is_played_here() {
    let sources = [include_str!("stories.rs"), include_str!("stories_calls.rs"), include_str!("stories_data.rs")];
    let played = |name: &str| {
        let (alone, with) = (format!("story(\"{name}\")"), format!("Story::new(\"{name}\","));
        sources.iter().any(|source| source.contains(&alone) || source.contains(&with))
    };
    let mut names = BTreeSet::new();
    for file in fs::read_dir(folder()).expect("the folder is there") {
        let path = file.expect("it can be listed").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name").to_owned();
        assert_eq!(path.extension().and_then(|ending| ending.to_str()), Some("yaml"), "{}", path.display());
        let plan = MockPlan::read(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(plan.about.len() > 20, "{name} does not say what it is about");
        assert!(played(&name), "{name} is played by no test");
        names.insert(name);
    }
    assert!(names.len() > 30, "{names:?}");
}
