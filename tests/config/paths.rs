//! Names and paths that could lead astray, and whatever else may stand in a file.

use std::path::{Component, Path};

use cxtract::config::{Config, OutputSpec, WindowOverrides};
use cxtract::model::Timestamp;
use proptest::prelude::*;

use crate::support::{GOOD, load, problems, set};

#[test]
fn s2_a_name_or_path_that_could_lead_astray_is_refused() {
    let long = "x".repeat(300);
    for path in ["../x.csv", "a/../../x.csv", "..", "a/..", "\"a\\0b\"", "\"a\\nb\"", "dir/", long.as_str()] {
        let problem = &set("reports.calls.output.path", path)[0];
        assert_eq!(problem.key, "reports.calls.output.path", "{problem}");
        assert!(!problem.to_string().contains('\0'));
    }
    for name in ["..", "a/b", "-a", "a b", "ä", "\"a\\u001b[31m\"", "\"\"", &long[..65]] {
        let found = problems(&format!("tenants: {{{name}: {{mock: {{}}}}}}"));
        assert!(found[0].found.contains("the name"), "{name}: {found:?}");
        assert!(!found[0].to_string().contains('\u{1b}'), "control characters are escaped");
    }
    let absolute =
        load(&GOOD.replace("template_id: detail", "template_id: d\n    output: {path: /data/x.csv}")).unwrap();
    assert_eq!(file_of(&absolute, 0), Path::new("/data/x.csv"));
}

fn file_of(config: &Config, report: usize) -> std::path::PathBuf {
    let report = &config.reports[report];
    let window = report.resolve_window(Timestamp(0), None, &WindowOverrides::default()).unwrap().unwrap();
    report.output_file(&window).unwrap()
}

proptest! {
    #[test]
    fn s2_an_accepted_relative_path_stays_inside_its_folder(path in "[a./{}\\\\reportfm~ -]{1,24}|(\\.\\./|a/|\\./|\\{from\\}){0,4}(x|\\.\\.|\\.)") {
        prop_assume!(!path.starts_with('/'));
        let quoted = path.replace('\'', "''");
        let text = GOOD.replace("template_id: detail", &format!("template_id: d\n    output: {{path: '{quoted}'}}"));
        if let Ok(config) = load(&text) {
            if config.reports[0].output.is_stdout() {
                return Ok(());
            }
            let file = file_of(&config, 0);
            let inside = file.strip_prefix("conf/out");
            prop_assert!(inside.is_ok(), "{path} leads to {file:?}");
            prop_assert!(!inside.unwrap().components().any(|c| c == Component::ParentDir), "{path} leads to {file:?}");
            prop_assert!(file.file_name().is_some());
        }
    }

    #[test]
    fn s2_whatever_is_in_the_file_reading_ends_and_shows_no_control_character(text in "\\PC{0,80}|[-:{}\\[\\],&*!'\"#|> \nab0-9\\\\x]{0,60}") {
        if let Err(errors) = load(&text) {
            prop_assert!(!errors.0.is_empty());
            prop_assert!(!errors.to_string().chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}

#[test]
fn s2_the_command_lines_path_is_taken_as_a_shell_would_take_it() {
    let output = OutputSpec::in_dir("conf/out").redirected(Some("../x-{from}.csv"), None).unwrap();
    assert!(output.varies_by_window());
    assert!(OutputSpec::in_dir("out").redirected(Some("a\0b"), None).is_err());
}
