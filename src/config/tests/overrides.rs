//! The environment and `--set` over the file.

use super::*;
use crate::model::Timestamp;

fn load_with(text: &str, environment: &[(&str, &str)], overrides: &[&str]) -> Result<Config, ConfigErrors> {
    let mut sources = Sources::text("c.yaml", text);
    sources.environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    sources.overrides = overrides.iter().map(|s| (*s).to_owned()).collect();
    Config::load(&sources)
}

fn good(environment: &[(&str, &str)], overrides: &[&str]) -> Config {
    load_with(SMALL, environment, overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_environment_beats_the_file_and_set_beats_both() {
    let variable = [("CXTRACT__REPORTS__CALLS__PAGE_SIZE", "7"), ("CXTRACT_CONFIG", "x"), ("OTHER", "y")];
    assert_eq!(good(&variable, &[]).reports[0].page_size, 7);
    assert_eq!(good(&variable, &["reports.calls.page_size=8"]).reports[0].page_size, 8);
    assert_eq!(good(&[], &["engine.threads=1", "engine.threads=2"]).engine.threads, 2);
}

#[test]
fn a_variables_name_finds_a_name_in_any_case() {
    let text = SMALL.replace("acme:", "Acme:").replace("tenant: acme", "tenant: Acme").replace("calls", "Daily-X");
    let variables = [("cxtract__Tenants__ACME__MAX_IN_FLIGHT", "3"), ("CXTRACT__REPORTS__DAILY-X__PAGE_SIZE", "9")];
    let config = load_with(&text, &variables, &["reports.daily-x.split=1d"]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.tenants[0].name.as_str(), "Acme");
    assert_eq!(config.tenants[0].max_in_flight.get(), 3);
    assert_eq!((config.reports[0].name.as_str(), config.reports[0].page_size), ("Daily-X", 9));
    assert_eq!(config.reports[0].split, Some(Span::Days(1)));
}

#[test]
fn choosing_another_form_takes_the_first_one_away() {
    let config = good(&[], &["reports.calls.window.last=1d"]);
    assert_eq!(config.reports[0].window.form, WindowForm::Last(Span::Days(1)));
    let config = good(&[("CXTRACT__REPORTS__CALLS__WINDOW", "{last: 6h}")], &[]);
    assert!(matches!(config.reports[0].window.form, WindowForm::Last(Span::Time(_))));
    let config = good(&[], &["tenants.acme.mock={}"]);
    assert!(config.tenants[0].is_mock());
    let config = good(&[], &["tenants.acme.auth.client_id.file=id.txt", "tenants.acme.auth.client_secret=plain"]);
    let Endpoint::Remote(remote) = &config.tenants[0].endpoint else { panic!("not remote") };
    assert!(matches!(remote.auth.client_id.place, SecretPlace::File(_)));
    assert!(matches!(remote.auth.client_secret.place, SecretPlace::Plain(_)));
}

#[test]
fn an_override_of_the_same_form_leaves_its_other_half() {
    let config = good(&[], &["reports.calls.window.to=2024-02-01"]);
    let window = config.reports[0].window.resolve(Timestamp(0), None, &WindowOverrides::default()).unwrap().unwrap();
    assert_eq!(window.from.to_string(), "2024-01-01T00:00:00.000Z");
    assert_eq!(window.to.to_string(), "2024-02-01T23:59:59.999Z");
}

#[test]
fn two_forms_set_at_once_are_a_fault() {
    let errors = load_with(SMALL, &[], &["reports.calls.window.last=1d", "reports.calls.window.since=2024-01-01"]);
    assert!(errors.unwrap_err().to_string().contains("several forms"));
}

#[test]
fn an_override_may_be_a_list_a_map_or_quoted_text() {
    let config = good(
        &[("CXTRACT__TENANTS__ACME__AUTH__SCOPES", "[a, b]")],
        &["tenants.acme.retry={max_attempts: 2}", "reports.calls.template_id='007'"],
    );
    let Endpoint::Remote(remote) = &config.tenants[0].endpoint else { panic!("not remote") };
    assert_eq!(remote.auth.scopes, ["a", "b"]);
    assert_eq!((config.tenants[0].retry.max_attempts, config.tenants[0].retry.max_delay.as_secs()), (2, 60));
    assert_eq!(config.reports[0].template_id, "007");
}

#[test]
fn a_plain_secret_in_the_environment_is_taken_whole() {
    let config = good(&[("CXTRACT__TENANTS__ACME__AUTH__CLIENT_SECRET", "a #b: @c")], &[]);
    let Endpoint::Remote(remote) = &config.tenants[0].endpoint else { panic!("not remote") };
    assert_eq!(remote.auth.client_secret.resolve(&[]).unwrap().0.expose(), "a #b: @c");
}

#[test]
fn a_faulty_override_is_named_by_its_variable_or_argument_and_a_secret_in_it_stays_hidden() {
    let errors = load_with(
        SMALL,
        &[
            ("CXTRACT__ENGINE__THREADS", "many"),
            ("CXTRACT__TENANTS__ACME__AUTH__CLIENT_SECRET", "{canary"),
            ("CXTRACT____X", "1"),
            ("CXTRACT__STATE", "canary"),
        ],
        &["tenants.acme.auth.client_id:canary", "engine.thread=canary", "tenants.acme.auth=canary"],
    )
    .unwrap_err();
    let text = errors.to_string();
    assert!(text.contains("environment variable CXTRACT__ENGINE__THREADS: engine.threads: found many"), "{text}");
    assert!(text.contains("--set: engine.thread: found an unknown key"), "{text}");
    assert!(text.contains("an empty part in the name"), "{text}");
    let shown = text.lines().filter(|line| line.contains("canary")).collect::<Vec<_>>();
    assert_eq!(shown, ["environment variable CXTRACT__STATE: state: found canary"], "{text}");
}

#[test]
fn one_key_set_by_two_variables_is_a_fault() {
    let twice = [("CXTRACT__ENGINE__THREADS", "1"), ("CXTRACT__Engine__Threads", "2")];
    assert!(load_with(SMALL, &twice, &[]).unwrap_err().to_string().contains("a second setting"));
    let part = [("CXTRACT__ENGINE", "{threads: 1}"), ("CXTRACT__ENGINE__THREADS", "2")];
    assert!(load_with(SMALL, &part, &[]).is_err());
}

#[test]
fn a_whole_tenant_can_come_from_outside_the_file() {
    let config = good(&[("CXTRACT__TENANTS__EXTRA__MOCK__SEED", "5")], &["reports.calls.tenant=extra"]);
    assert_eq!(config.tenants[1].name.as_str(), "extra");
    assert_eq!(config.tenants[1].endpoint, Endpoint::Mock(MockSettings { seed: 5, ..MockSettings::default() }));
}

#[test]
fn debug_output_of_the_sources_shows_no_value() {
    let mut sources = Sources::text("c.yaml", SMALL);
    sources.environment = vec![("X".into(), "canary".into())];
    sources.overrides = vec!["a=canary".into()];
    assert!(!format!("{sources:?}").contains("canary"));
}
