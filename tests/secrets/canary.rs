//! Secrets that nobody writes by chance, and the search for them in every form.
//!
//! The search shares no code with the masks that it judges.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

pub const CLIENT_ID: &str = "c4nary-id/+=%&\"\\ü";
pub const CLIENT_SECRET: &str = "c4nary-hush/+=%&\"\\ é?~";
/// What a header may hold.
pub const ACCESS_TOKEN: &str = "c4nary-access/+=%&\"\\?~.0123456789";
pub const REFRESH_TOKEN: &str = "c4nary-refresh/+=%&\"\\ é";
pub const PROXY_PASSWORD: &str = "c4nary-proxy/+=%&?é";

/// All of them.
pub const SECRETS: [&str; 5] = [CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN, REFRESH_TOKEN, PROXY_PASSWORD];

/// Form-encoded.
pub fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// All but letters and digits as `%2f`.
pub fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02x}") })
        .collect()
}

/// As it stands between the quotes of a JSON string.
pub fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The text behind `Basic` that the client shows.
pub fn basic() -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", form(CLIENT_ID), form(CLIENT_SECRET)))
}

/// What is sure to be found in base64, of that alphabet, of anything that holds the text, whatever stands around it.
fn cores(text: &str, encode: impl Fn(Vec<u8>) -> String) -> Vec<String> {
    let core = |shift: usize| {
        let encoded = encode([vec![0; shift], text.as_bytes().to_vec()].concat());
        let (begins, n_bits) = ([0, 2, 3][shift], (shift + text.len()) * 8);
        encoded[begins..n_bits / 6].to_owned()
    };
    (0..3).map(core).collect()
}

/// Every form of these secrets.
pub fn forms_of(secrets: &[&str]) -> Vec<String> {
    let mut forms = Vec::new();
    for secret in secrets {
        let written =
            [(*secret).to_owned(), form(secret), percent(secret), percent(secret).to_uppercase(), json(secret)];
        forms.extend(written.iter().flat_map(|text| [text.clone(), json(text), text.replace('/', "\\/")]));
        for text in [(*secret).to_owned(), form(secret)] {
            forms.extend(cores(&text, |bytes| STANDARD_NO_PAD.encode(bytes)));
            forms.extend(cores(&text, |bytes| URL_SAFE_NO_PAD.encode(bytes)));
        }
    }
    forms
}

/// What must not be found: every form of every secret, and their beginnings.
pub fn found_in(bytes: &[u8]) -> Vec<String> {
    let mut forms = forms_of(&SECRETS);
    forms.extend([basic(), "c4nary-".to_owned()]);
    found(bytes, forms)
}

/// Which of these forms was found there, letter case aside.
pub fn found(bytes: &[u8], forms: Vec<String>) -> Vec<String> {
    let lower = bytes.to_ascii_lowercase();
    let has = |form: &str| {
        memchr::memmem::find(bytes, form.as_bytes()).is_some()
            || memchr::memmem::find(&lower, form.to_ascii_lowercase().as_bytes()).is_some()
    };
    forms.into_iter().filter(|form| has(form)).collect()
}

#[test]
fn s1_the_search_finds_a_secret_in_every_form() {
    use base64::engine::general_purpose::STANDARD;
    for secret in SECRETS {
        for before in ["", "a", "ab", "abc"] {
            let whole = format!("{before}{secret}xyz");
            for text in [
                whole.clone(),
                form(&whole),
                json(&whole),
                percent(&whole),
                STANDARD.encode(&whole),
                URL_SAFE_NO_PAD.encode(&whole),
                STANDARD.encode(format!("{before}{}", form(secret))),
            ] {
                assert!(!found_in(format!("(…{text}…)").as_bytes()).is_empty(), "{secret} as {text}");
            }
        }
    }
    assert!(found_in(b"canary c4nary hush").is_empty());
}
