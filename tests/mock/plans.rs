//! What `docs/MOCK_PLANS.md` says of plans, held against what plans do.
//!
//! The document is read as it stands: its examples parse, its tables name every key there is and no other, and each row
//! of the table of faults makes that fault.

mod rows;
mod visit;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cxtract::mock::{MockPlan, MockTenant};

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The cells of the rows of tables in a text.
fn table_rows(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(inner.split(" | ").map(|cell| cell.trim().to_owned()).collect())
    };
    text.lines().filter_map(row).collect()
}

fn section(text: &str, title: &str) -> String {
    let (_, rest) = text.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section {title}"));
    rest.split("\n## ").next().unwrap().to_owned()
}

/// What stands between backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The rows of the table of faults: id, and the plan if a server can cause it.
fn faults() -> Vec<(String, Option<String>)> {
    let section = section(&document("MOCK_PLANS.md"), "Every fault that a server can cause");
    let rows = table_rows(&section).into_iter().skip_while(|row| row[0] != "N1");
    rows.map(|row| (row[0].clone(), code(&row[1]).first().map(|&plan| plan.to_owned()))).collect()
}

#[test]
fn every_example_in_the_document_is_a_plan() {
    let text = document("MOCK_PLANS.md");
    let examples: Vec<&str> = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        MockPlan::parse(example, Path::new("")).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

#[test]
fn every_row_of_the_faults_is_there_and_its_plan_does_what_it_says() {
    let ids = |name: &str| -> BTreeSet<String> {
        let is_id = |cell: &str| {
            cell.len() <= 4
                && cell.starts_with(|c: char| c.is_ascii_uppercase())
                && cell[1..].starts_with(|c: char| c.is_ascii_digit())
        };
        table_rows(&document(name)).into_iter().map(|row| row[0].clone()).filter(|cell| is_id(cell)).collect()
    };
    assert_eq!(ids("FAULTS.md"), ids("MOCK_PLANS.md"));
    let mut checked = 0;
    for (id, plan) in faults() {
        let Some(plan) = plan else { continue };
        let parsed = MockPlan::parse(&plan, Path::new("")).unwrap_or_else(|error| panic!("{id}: {error}\n{plan}"));
        let (_, tenant) = parsed.tenants.into_iter().next_back().unwrap();
        checked += usize::from(rows::check(&id, visit::Visit::new(tenant)));
    }
    assert!(checked >= 50, "{checked} rows were checked");
}

#[test]
fn a_submission_without_a_format_gets_the_slow_kind_where_there_is_one() {
    let without = crate::client::SUBMISSION.replace("\"format\":\"csv\",", "");
    assert_ne!(without, crate::client::SUBMISSION);
    let tenant = |plan: &str| visit::Visit::new(MockTenant::builder().plan(plan).unwrap());
    assert_eq!(tenant("{}").submit_body(&without).status, 422);
    let mut slow = tenant("json_kind: {convert: 20s}");
    assert_eq!(slow.submit_body(&without).status, 202);
    let pages: Vec<_> = (1..=30).map(|page| slow.page(page)).collect();
    let failed = pages.iter().filter(|page| page.status == 504).count();
    assert!((4..=18).contains(&failed), "{failed}");
    assert!(pages.iter().all(|page| page.delay >= std::time::Duration::from_secs(20)));
    let good: Vec<Vec<u8>> = pages.iter().filter(|page| page.status == 200).map(|page| page.body_bytes()).collect();
    assert!(good.iter().all(|bytes| bytes.is_ascii()) && good.iter().any(|bytes| bytes.contains(&b'?')));
    let mut quick = tenant("json_kind: {convert: 20s}");
    assert!(quick.page(1).delay.is_zero() && !quick.bytes(1).is_ascii());
}

#[test]
fn the_document_lists_every_story_with_what_it_is_about() {
    let told: BTreeSet<(String, String)> = table_rows(&section(&document("MOCK_PLANS.md"), "Stories"))
        .into_iter()
        .filter_map(|row| Some((row[0].strip_prefix('[')?.split(']').next()?.to_owned(), row[1].clone())))
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plans");
    let stories = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let about = MockPlan::read(&path).unwrap().about;
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), about)
    });
    assert_eq!(told, stories.collect());
}

/// The keys that an error about an unknown one lists.
fn known(plan: &str) -> BTreeSet<String> {
    let error = MockTenant::builder().plan(plan).unwrap_err().to_string();
    let (_, list) = error.split_once("known are ").unwrap_or_else(|| panic!("{error}"));
    list.split(", ").map(str::to_owned).collect()
}

/// The first word of every piece of code in the first column of the table with that head.
fn told(section: &str, head: &str) -> BTreeSet<String> {
    let rows = table_rows(section).into_iter().skip_while(|row| code(&row[0]) != [head]).skip(1);
    let word = |code: &str| code.trim_start_matches('{').split([':', '}']).next().unwrap().to_owned();
    let words = |row: Vec<String>| code(&row[0]).into_iter().map(word).collect::<Vec<_>>();
    rows.skip_while(|row| row[0].starts_with("---")).take_while(|row| row[0].starts_with('`')).flat_map(words).collect()
}

#[test]
fn the_tables_name_every_key_that_is_read_and_no_other() {
    let text = document("MOCK_PLANS.md");
    let keys = |title: &str| -> BTreeSet<String> {
        let rows = table_rows(&section(&text, title)).into_iter().filter(|row| row[0].starts_with('`'));
        rows.map(|row| code(&row[0])[0].to_owned()).collect()
    };
    assert_eq!(keys("A tenant"), known("nothing: 1"));
    assert_eq!(keys("Reports"), known("default_report: {nothing: 1}"));
    assert_eq!(keys("Tokens"), known("token: {nothing: 1}"));
    assert_eq!(told(&section(&text, "Fates"), "then"), known("fates: [{then: nothing}]"));
    let rules = section(&text, "Rules");
    let (on, then) = rules.split_once("\n\n| `then`").unwrap();
    assert_eq!(told(on, "on"), known("faults: [{on: {nothing: 1}, then: reset}]"));
    assert_eq!(told(&format!("| `then`{then}"), "then"), known("faults: [{then: nothing}]"));
}
