//! Every way that a run, a check or a look can end, each against a tenant that repeats all it knows.

use crate::canary::{ACCESS_TOKEN, CLIENT_SECRET, PROXY_PASSWORD, form, json};
use crate::hostile::{Asked, Hostile, Reply, Step, WRITINGS, echo, echo_of_credentials};
use crate::place::{Place, Talk, talk};

/// That step goes wrong as it is told, in every writing.
fn at_every_writing(step: Step, reply: fn(String) -> Reply, code: i32, words: &str) {
    at_writings(0..WRITINGS, step, reply, code, words);
}

/// The same in some of the writings: how a text is masked does not hang on where it came from.
fn at_some_writings(step: Step, reply: fn(String) -> Reply, code: i32, words: &str) {
    at_writings((0..WRITINGS).step_by(4), step, reply, code, words);
}

fn at_writings(writings: impl Iterator<Item = usize>, step: Step, reply: fn(String) -> Reply, code: i32, words: &str) {
    for writing in writings {
        let said = if step == Step::Token { echo_of_credentials(writing) } else { echo(writing) };
        let tenant = Hostile::start(move |asked| (asked.step == step).then(|| reply(said.clone())));
        Place::at(&tenant.url, "", "").ends_as(talk(writing), &["run"], code, words);
    }
}

/// Goes wrong as it is told, in one writing.
fn at(special: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static, code: i32, words: &str) -> Place {
    let tenant = Hostile::start(special);
    let place = Place::at(&tenant.url, "", "");
    place.ends(&["run"], code, words);
    place
}

fn plain(status: u16, words: String) -> Reply {
    Reply::new(status, "text/plain", words).in_chunks(3)
}

fn oauth(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &serde_json::json!({ "error": error, "error_description": description }).to_string())
}

#[test]
fn s1_complete() {
    let place = at(|_| None, 0, "complete");
    for looks in [["status"].as_slice(), &["status", "--json"], &["run", "--dry-run"], &["run"]] {
        place.ends(looks, 0, "calls");
    }
    assert!(place.path("out/calls.csv").exists());
}

#[test]
fn s1_complete_with_the_credentials_in_the_body_and_from_a_file() {
    let tenant = Hostile::start(|_| None);
    let place = Place::at(&tenant.url, "client_auth: body", "");
    place.ends(&["run"], 0, "complete");
    let text = std::fs::read_to_string(place.path("config.yaml")).unwrap();
    std::fs::write(place.path("secret.txt"), crate::canary::CLIENT_SECRET).unwrap();
    std::fs::write(place.path("config.yaml"), text.replace("{env: SECRET}", "{file: secret.txt}")).unwrap();
    place.ends(&["run", "--fresh"], 0, "complete");
}

#[test]
fn s1_complete_after_a_refused_token_and_a_refused_refresh() {
    let special = |asked: &Asked| match asked {
        Asked { step: Step::Page(1), nth: 0 } => Some(plain(401, echo(0))),
        Asked { step: Step::Token, nth: 1 } => Some(oauth(400, "invalid_grant", &echo(0))),
        _ => None,
    };
    at(special, 0, "complete");
}

#[test]
fn s1_parked_since_the_tenant_is_down() {
    at(|asked| matches!(asked.step, Step::Submit).then(|| plain(503, echo(0))), 75, "503");
    at(|asked| matches!(asked.step, Step::Page(_)).then(|| plain(500, echo(4))), 75, "500");
    Place::at("http://127.0.0.1:1", "", "").ends(&["run"], 75, "parked");
}

#[test]
fn s1_parked_since_the_tenant_asks_for_a_long_pause() {
    let wait = |words: String| plain(429, words).header("Retry-After", "7200");
    at(move |asked| (asked.step == Step::Submit).then(|| wait(echo(0))), 75, "pause");
    at(move |asked| (asked.step == Step::Token).then(|| wait(echo_of_credentials(0))), 75, "pause");
}

#[test]
fn s1_parked_since_pages_break_off() {
    let cut = |_: &Asked| Reply { is_cut: true, ..Reply::new(200, "text/csv", format!("name,number\n{}", echo(0))) };
    at(move |asked| (asked.step == Step::Page(1)).then(|| cut(asked)), 75, "page 1");
}

#[test]
fn s1_refused_by_the_token_endpoint_in_its_own_words() {
    at_every_writing(Step::Token, |words| oauth(401, "invalid_client", &words), 1, "invalid_client");
    at_some_writings(Step::Token, |words| plain(400, words), 1, "400");
}

#[test]
fn s1_refused_by_the_token_endpoint_with_an_error_that_is_an_echo() {
    at_some_writings(Step::Token, |words| oauth(400, &words, ""), 1, "400");
    at_some_writings(Step::Token, |words| oauth(400, &words, &words).in_chunks(1), 1, "400");
}

#[test]
fn s1_refused_by_the_token_endpoint_after_it_gave_out_tokens() {
    for writing in 0..WRITINGS {
        let special = move |asked: &Asked| match asked.step {
            Step::Page(_) => Some(plain(401, echo(writing))),
            Step::Token if asked.nth > 0 => Some(oauth(401, "invalid_client", &echo(writing))),
            _ => None,
        };
        let tenant = Hostile::start(special);
        Place::at(&tenant.url, "", "").ends_as(talk(writing), &["run"], 1, "invalid_client");
    }
}

#[test]
fn s1_a_token_endpoint_that_talks_nonsense() {
    at(|asked| (asked.step == Step::Token).then(|| Reply::new(200, "text/html", echo_of_credentials(0))), 1, "answer");
    let unusable = format!("{{\"access_token\":\"{}\\r\\n\",\"expires_in\":3600}}", json(ACCESS_TOKEN));
    at(move |asked| (asked.step == Step::Token).then(|| Reply::json(200, &unusable)), 1, "access_token");
    let life = format!("{{\"access_token\":\"{0}\",\"expires_in\":\"{0}\"}}", json(ACCESS_TOKEN));
    at(move |asked| (asked.step == Step::Token).then(|| Reply::json(200, &life)), 1, "expires_in");
    let open = format!("{{\"access_token\":\"{}\"", json(ACCESS_TOKEN));
    at(move |asked| (asked.step == Step::Token).then(|| Reply::json(200, &open)), 1, "not shown");
}

#[test]
fn s1_check_of_a_tenant_that_refuses() {
    for writing in (0..WRITINGS).step_by(4) {
        let said = echo_of_credentials(writing);
        let tenant = Hostile::start(move |asked| (asked.step == Step::Token).then(|| oauth(401, &said, &said)));
        Place::at(&tenant.url, "", "").ends_as(talk(writing), &["check"], 1, "acme");
    }
    let tenant = Hostile::start(|_| None);
    Place::at(&tenant.url, "", "").ends(&["check"], 0, "acme");
}

#[test]
fn s1_denied_in_the_tenants_words() {
    at_every_writing(Step::Submit, |words| plain(403, words), 1, "403");
    at_some_writings(Step::Page(1), |words| plain(400, words), 1, "400");
    at(|asked| matches!(asked.step, Step::Page(_)).then(|| plain(401, echo(0))), 1, "401");
}

#[test]
fn s1_a_query_that_fails_or_gives_a_state_that_nobody_knows() {
    let failed = |words: &str| serde_json::json!({ "status": "failed", "errorMessage": words }).to_string();
    let unknown = |words: &str| serde_json::json!({ "status": words }).to_string();
    for writing in (0..WRITINGS).step_by(3) {
        for words in [failed(&echo(writing)), unknown(&echo(writing))] {
            let tenant = Hostile::start(move |asked| (asked.step == Step::Status).then(|| Reply::json(200, &words)));
            Place::at(&tenant.url, "", "").ends_as(talk(writing), &["run"], 1, "calls");
        }
    }
}

#[test]
fn s1_answers_of_the_wrong_kind() {
    at_some_writings(Step::Page(1), |words| Reply::new(200, "text/html", words).in_chunks(2), 1, "text/html");
    at_some_writings(Step::Status, |words| plain(200, words), 1, "status");
    at_some_writings(Step::Submit, |words| plain(202, words), 1, "queryId");
    let kind = |asked: &Asked| {
        (asked.step == Step::Page(1)).then(|| Reply::new(200, &format!("text/html; x={ACCESS_TOKEN}"), "<html>"))
    };
    at(kind, 1, "text/html");
    let coding = |asked: &Asked| {
        (asked.step == Step::Page(1)).then(|| plain(200, echo(0)).header("Content-Encoding", ACCESS_TOKEN))
    };
    at(coding, 1, "Content-Encoding");
}

#[test]
fn s1_redirects_that_carry_the_token() {
    for (nth, step) in [Step::Token, Step::Submit, Step::Status, Step::Page(1)].into_iter().enumerate() {
        let (secret, said) = match step {
            Step::Token => (CLIENT_SECRET, echo_of_credentials(0)),
            _ => (ACCESS_TOKEN, echo(0)),
        };
        for place in ["https://other.example/in/{}", "https://u:{}@other.example/", "/in?t={}", "//other.example/#{}"] {
            let to = place.replace("{}", &form(secret));
            let reply = plain(302, said.clone()).header("Location", &to);
            let tenant = Hostile::start(move |asked: &Asked| (asked.step == step).then(|| reply.clone()));
            Place::at(&tenant.url, "", "").ends_as(talk(nth), &["run"], 1, "redirected");
        }
    }
}

#[test]
fn s1_a_link_that_carries_the_token() {
    let link = format!("<https://other.example/?t={}>; rel=\"next\"", form(ACCESS_TOKEN));
    let special = move |asked: &Asked| match asked.step {
        Step::Page(n) => Some(if n == 1 {
            Reply::new(200, "text/csv", "name,number\na,1\nb,2\n").header("Link", &link)
        } else {
            Reply::new(200, "text/csv", "")
        }),
        _ => None,
    };
    let tenant = Hostile::start(special);
    Place::at(&tenant.url, "", "").run(&["run"], Talk::Text);
}

#[test]
fn s1_an_output_that_can_t_be_written() {
    let tenant = Hostile::start(|_| None);
    let place = Place::at(&tenant.url, "", "");
    std::fs::write(place.path("out"), "a file where the folder should be").unwrap();
    place.ends(&["run"], 1, "out");
}

#[test]
fn s1_a_proxy_that_refuses() {
    let proxy = Hostile::start(|asked| (asked.step == Step::Proxy).then(|| plain(407, echo(0))));
    let host = proxy.url.trim_start_matches("http://");
    let line = format!("proxy: \"http://user:{}@{host}\"\n    allow_plain_http: true", form(PROXY_PASSWORD));
    Place::at("http://tenant.example", "", &line).ends(&["run"], 75, "407");
    let wanted = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("user:{PROXY_PASSWORD}"));
    assert!(String::from_utf8_lossy(&proxy.sent()).contains(&wanted), "the proxy was shown the password");
    let environment = Place::at("https://tenant.example", "", "");
    let environment = environment.env("HTTPS_PROXY", &format!("http://user:{}@{host}", form(PROXY_PASSWORD)));
    environment.ends(&["run"], 75, "407");
}

#[test]
fn s1_a_proxy_that_repeats_its_password_in_its_status_line() {
    let password = form(PROXY_PASSWORD);
    let words = PROXY_PASSWORD.replace('é', "");
    let proxy = Hostile::start(move |asked| {
        (asked.step == Step::Proxy).then(|| Reply { words: words.clone(), ..plain(407, String::new()) })
    });
    let host = proxy.url.trim_start_matches("http://");
    let line = format!("proxy: \"http://user:{password}@{host}\"\n    allow_plain_http: true");
    Place::at("http://tenant.example", "", &line).ends(&["run"], 75, "407");
}
