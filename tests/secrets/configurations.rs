//! Configurations that are wrong where secrets stand: the error names the key and never the value.

use crate::canary::{CLIENT_SECRET, PROXY_PASSWORD, form};
use crate::place::Place;

/// The configuration with these lines under `auth` and under the tenant.
fn refused(auth: &str, tenant: &str, key: &str) {
    let text = format!(
        "tenants:\n  acme:\n    base_url: https://acme.example\n    auth:\n      {auth}\n    {tenant}\nreports:\n  calls: {{tenant: \
         acme, template_id: calls, window: {{from: 2024-01-01, to: 2024-01-31}}}}\n"
    );
    let place = Place::with_config(&text);
    for arguments in [["run"].as_slice(), &["check"], &["run", "--dry-run"]] {
        place.ends(arguments, 2, key);
    }
}

fn quoted() -> String {
    serde_json::to_string(CLIENT_SECRET).unwrap()
}

#[test]
fn s1_secrets_of_the_wrong_kind_or_in_the_wrong_place_are_not_repeated() {
    let secret = quoted();
    for wrong in [
        format!("client_secret: [{secret}]"),
        format!("client_secret: {{env: {secret}}}"),
        format!("client_secret: {{text: {secret}}}"),
        format!("client_secret: {{env: {secret}, file: {secret}}}"),
        format!("client_secret: {{env: A, {secret}: 1}}"),
        format!("client_secret: {{a: {{b: {secret}}}}}"),
    ] {
        refused(&format!("client_id: a-client\n      {wrong}"), "", "client_secret");
    }
    refused(&format!("client_id: [{secret}]\n      client_secret: x"), "", "client_id");
}

#[test]
fn s1_a_proxy_that_can_t_be_used_is_not_repeated() {
    let password = form(PROXY_PASSWORD);
    for wrong in [
        format!("https://user:{password}@proxy:1"),
        format!("http://user:{password}@proxy"),
        format!("http://user:{password}@proxy:99999"),
    ] {
        refused("client_id: a\n      client_secret: b", &format!("proxy: \"{wrong}\""), "proxy");
    }
}

#[test]
fn s1_an_override_of_a_secret_is_not_repeated() {
    let place = Place::at("http://127.0.0.1:1", "", "");
    let set = format!("tenants.acme.auth.client_secret.what={CLIENT_SECRET}");
    place.ends(&["run", "--set", &set], 2, "client_secret");
    let place = place.env("CXTRACT__TENANTS__ACME__AUTH__CLIENT_SECRET__WHAT", CLIENT_SECRET);
    place.ends(&["run"], 2, "client_secret");
}

#[test]
fn s1_a_missing_variable_or_file_is_named_alone() {
    let place = Place::at("http://127.0.0.1:1", "", "").env("SECRET", "");
    place.ends(&["run"], 2, "SECRET");
}
