//! Secrets: where they are read from, and that they are never shown.

use cxtract::config::{Config, Sources};
use cxtract::model::TenantName;
use proptest::prelude::*;

use crate::support::{GOOD, load};

#[test]
fn f3_a_secret_file_loses_one_newline_and_only_one() {
    for (content, secret) in [
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        ("s3cret", "s3cret"),
        ("s3cret\n\n", "s3cret\n"),
        (" s ", " s "),
    ] {
        let (folder, config) = with_secret_file(content.as_bytes(), 0o600);
        let (credentials, warnings) = config.resolve_secrets(&[TenantName::new("acme")], &environment()).unwrap();
        assert_eq!(credentials[0].client_secret.expose(), secret);
        assert!(warnings.is_empty());
        drop(folder);
    }
}

#[test]
fn f3_a_secret_file_that_others_may_read_draws_a_warning() {
    for mode in [0o644, 0o640, 0o604] {
        let (_folder, config) = with_secret_file(b"canary\n", mode);
        let (_, warnings) = config.resolve_secrets(&[TenantName::new("acme")], &environment()).unwrap();
        assert_eq!(warnings.len(), 1, "{mode:o}");
        assert!(warnings[0].0.contains("can be read by others") && !warnings[0].0.contains("canary"));
    }
}

#[test]
fn f3_an_empty_missing_or_unreadable_secret_is_refused_by_name_and_never_shown() {
    for content in [&b""[..], b"\n", b"  \n", b"canary\xff"] {
        let (_folder, config) = with_secret_file(content, 0o600);
        let errors = config.resolve_secrets(&[TenantName::new("acme")], &environment()).unwrap_err();
        assert_eq!(errors.0[0].key, "tenants.acme.auth.client_secret");
        assert!(!errors.to_string().contains("canary"));
    }
    let (folder, config) = with_secret_file(b"x", 0o600);
    std::fs::remove_file(folder.path().join("secret.txt")).unwrap();
    let errors = config.resolve_secrets(&[TenantName::new("acme")], &[]).unwrap_err();
    assert_eq!(errors.0.len(), 2, "the missing variable and the missing file are told together: {errors}");
}

#[test]
fn f3_secrets_are_fetched_only_for_tenants_in_use() {
    let config = load(GOOD).unwrap();
    assert!(config.resolve_secrets(&[], &[]).unwrap().0.is_empty());
    assert!(config.resolve_secrets(&[TenantName::new("acme")], &[]).is_err());
}

fn environment() -> Vec<(String, String)> {
    vec![("ID".to_owned(), "the-id".to_owned())]
}

fn with_secret_file(content: &[u8], mode: u32) -> (tempfile::TempDir, Config) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.txt");
    std::fs::write(&secret, content).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, GOOD.replace("{env: SECRET}", "{file: secret.txt}")).unwrap();
    let config = Config::load(&Sources::file(file)).unwrap();
    (folder, config)
}

proptest! {
    #[test]
    fn f1_what_stands_under_a_secrets_key_is_never_shown(wrapped in prop::sample::select(vec![
        "canary: 1", "{canary: x}", "[canary]", "{env: canary canary}", "{env: A, canary: B}", "{env: A, file: canary}",
        "!canary x", "{env: [canary]}", "{file: {canary: 1}}", "{enviroment: canary}", "{env: {a: canary}}", "{canary}", "{canary: 1, canary: 2}", "{canary: &a [*a]}",
    ]), key in prop::sample::select(vec!["client_id", "client_secret"])) {
        let other = if key == "client_id" { "client_secret" } else { "client_id" };
        let text = format!("tenants:\n  a:\n    base_url: https://a\n    auth:\n      {other}: x\n      {key}: {wrapped}\n");
        let errors = load(&text).expect_err("refused").to_string();
        prop_assert!(!errors.contains("canary"), "{errors}");
    }
}
