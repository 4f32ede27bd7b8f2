//! The start of an answer, fit for a message: short, without secrets, without control characters.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// How many characters of an answer a message shows.
const MAX_CHARS: usize = 200;

/// What replaces a secret.
const HIDDEN: &str = "[hidden]";

/// Hides a tenant's secrets wherever they turn up in text that others wrote.
#[derive(Clone, Default)]
pub struct Mask(Vec<String>);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} secrets)", self.0.len())
    }
}

impl Mask {
    /// A mask for these secrets in every form in which an echo may bring them back.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for secret in secrets.into_iter().filter(|s| !s.is_empty()) {
            forms.push(secret.to_owned());
            forms.push(STANDARD.encode(secret));
            forms.push(URL_SAFE_NO_PAD.encode(secret));
            forms.push(form_urlencoded::byte_serialize(secret.as_bytes()).collect());
            forms.push(percent_encoded(secret, "0123456789ABCDEF"));
            forms.push(percent_encoded(secret, "0123456789abcdef"));
            forms.extend(serde_json::to_string(secret).map(|quoted| quoted.trim_matches('"').to_owned()));
            // Some encoders of JSON escape slashes, too.
            forms.push(secret.replace('/', "\\/"));
        }
        // The longest first, so that no part of a longer form survives the masking of a shorter one.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self(forms)
    }

    /// The same mask, hiding `secret` too.
    #[must_use]
    pub fn and(&self, secret: &str) -> Self {
        let mut forms = self.0.clone();
        forms.extend(Self::new([secret]).0);
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    /// The text without the secrets, its control characters escaped.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.0 {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), HIDDEN);
            }
        }
        escape(&text)
    }

    /// The start of a body, quoted, without the secrets.
    pub fn excerpt(&self, body: &[u8]) -> String {
        // Masked before it is cut: half a secret is one too.
        let text = self.text(&String::from_utf8_lossy(body));
        let mut short: String = text.chars().take(MAX_CHARS).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        format!("“{short}”")
    }
}

/// RFC 3986: all but unreserved characters.
fn percent_encoded(text: &str, digits: &str) -> String {
    let digit = |nibble: u8| char::from(digits.as_bytes()[usize::from(nibble)]);
    let mut out = String::new();
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// Makes control characters visible, so that a tenant's words can't forge log lines or drive a terminal.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Beside the control characters proper: the ones that reorder or break lines in terminals and viewers.
        let reorders = matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || reorders {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod faults {
    use super::*;

    #[test]
    fn s5_line_breaks_and_escapes_in_a_tenants_words_are_made_visible() {
        assert_eq!(escape("no\r\nERROR \u{1b}[31mfake"), "no\\r\\nERROR \\u{1b}[31mfake");
        assert_eq!(escape("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(escape("Grüße 👋"), "Grüße 👋");
    }

    #[test]
    fn a_secret_is_masked_raw_encoded_and_at_the_cut() {
        let mask = Mask::new(["s3cr&t", "a b/ö"]);
        for form in ["s3cr&t", "czNjciZ0", "s3cr%26t", "a b/ö", "a b\\/ö", "a+b%2F%C3%B6", "a%20b%2f%c3%b6"] {
            assert!(!mask.text(&format!("you sent {form}!")).contains(form), "{form}");
        }
        let long = format!("{}s3cr&t", "x".repeat(MAX_CHARS - 3));
        assert!(!mask.excerpt(long.as_bytes()).contains("s3c"));
    }
}
