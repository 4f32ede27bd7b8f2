use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

/// Characters that every encoding treats differently.
const NASTY: &str = "s3cr&t/+=%\"\\ü<41";

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02x}") })
        .collect()
}

fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].replace('/', "\\/")
}

fn json_in_full(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&#60;").replace('+', "&#x2B;")
}

fn wrapped(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(5).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\r\n")
}

/// Every way to write it that is known here.
fn encoders() -> Vec<fn(&str) -> String> {
    vec![
        |t| t.to_owned(),
        percent,
        form,
        json,
        json_in_full,
        html,
        |t| t.to_ascii_uppercase(),
        |t| STANDARD.encode(t),
        |t| STANDARD_NO_PAD.encode(t),
        |t| URL_SAFE.encode(t),
        |t| URL_SAFE_NO_PAD.encode(t),
        |t| STANDARD.encode(format!("x{t}yz")),
        |t| URL_SAFE.encode(format!("xy{t}z")),
        |t| STANDARD.encode(form(t)),
        |t| STANDARD.encode(format!("id:{}", form(t))),
        |t| json(&percent(t)),
        |t| percent(&json(t)),
        |t| percent(&STANDARD.encode(t)),
        |t| json(&html(t)),
        |t| json(&wrapped(t)),
        |t| wrapped(&STANDARD.encode(t)),
    ]
}

#[test]
fn s1_a_secret_is_hidden_however_it_is_written_and_what_stands_around_it_is_not() {
    let mask = Mask::new([NASTY]);
    for (nth, encode) in encoders().into_iter().enumerate() {
        let written = encode(NASTY);
        let shown = mask.text(&format!("you sent ({written}) to us"));
        assert!(shown.starts_with("you sent (") && shown.ends_with(") to us"), "{nth}: {shown}");
        // What is left of base64 around it may have told a letter of what others put there.
        let rest = shown.trim_start_matches("you sent (").trim_end_matches(") to us");
        assert!(rest.contains(HIDDEN) && rest.len() <= HIDDEN.len() + 8, "{nth}: {rest} of {written}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s1_any_secret_is_hidden_in_any_writing(
        secret in "[!-~]{8,40}",
        before in "[a-z ]{0,9}[:=( ]",
        nth in 0..21_usize,
    ) {
        let written = encoders()[nth](&secret);
        let issued = Issued::default();
        issued.note(&Secret::new(&secret));
        for mask in [Mask::new([secret.as_str()]), Mask::default().with_issued(issued)] {
            let shown = mask.text(&format!("{before}{written}"));
            let rest = shown.replacen(&before, "", 1);
            prop_assert!(rest.len() <= HIDDEN.len() + 8, "{} of {}", rest, written);
        }
    }
}

#[test]
fn s1_a_secret_that_is_cut_off_is_hidden_as_far_as_it_goes() {
    let mask = Mask::new(["canary-0123456789-and-more"]);
    assert_eq!(mask.text("you sent canary-01"), "you sent [hidden]");
    assert_eq!(mask.text("canary-0123456789-… is expired"), "[hidden]… is expired");
    let cut = STANDARD.encode("Bearer canary-0123");
    assert!(mask.text(&cut).ends_with(HIDDEN));
    let body = "canary-0123456789-and-more".repeat(1000);
    assert_eq!(mask.excerpt(body.as_bytes()), format!("“{HIDDEN}”"));
    let long = format!("{}canary-0123456789-and-more", "x".repeat(198));
    assert!(!mask.excerpt(long.as_bytes()).contains("ca"));
}

#[test]
fn s1_every_token_of_the_last_minutes_is_hidden_and_what_is_remembered_is_bounded() {
    let issued = Issued::default();
    let mask = Mask::default().with_issued(issued.clone());
    let token = |n: usize| format!("mock-access-{n}-{:x}", n * 7919);
    for n in 0..1000 {
        issued.note(&Secret::new(&token(n)));
        issued.note(&Secret::new(&token(n)));
    }
    for n in 1000 - MAX_ISSUED..1000 {
        assert_eq!(mask.text(&format!("({})", token(n))), "([hidden])");
    }
    assert_eq!(issued.0.lock().in_order.len(), MAX_ISSUED);
    for n in 0..100 {
        issued.note(&Secret::new(&format!("{n}{}", "x".repeat(10_000))));
    }
    let tokens = issued.0.lock();
    assert!(tokens.n_bytes <= MAX_ISSUED_BYTES);
    let held: usize = tokens.needles.long.values().flatten().map(|needle| needle.len()).sum();
    assert_eq!(held, tokens.n_bytes, "what is forgotten is let go of");
}

#[test]
fn short_secrets_are_hidden_where_they_stand_and_words_without_secrets_stay() {
    let mask = Mask::new(["pw", ""]);
    assert_eq!(mask.text("pw=%70%77"), "[hidden]=[hidden]");
    let words = "the query was refused: no licence for “detail” (errörs: 3 & more)";
    assert_eq!(Mask::new(["canary-secret"]).text(words), words);
    assert_eq!(Mask::default().text(""), "");
}

#[test]
fn s5_what_a_mask_lets_through_has_no_control_characters() {
    assert_eq!(Mask::new(["hush"]).text("a\r\nhu\nsh\u{1b}"), "a\\r\\n[hidden]\\u{1b}");
}
