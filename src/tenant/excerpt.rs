//! Words of others, fit for a message: short and without control characters.

/// How many characters a message shows of what others wrote.
const MAX_CHARS: usize = 200;

/// The start of a text.
pub(super) fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
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
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("ü".repeat(MAX_CHARS)), "ü".repeat(MAX_CHARS));
        assert_eq!(cut("ü".repeat(MAX_CHARS + 1)), format!("{}…", "ü".repeat(MAX_CHARS)));
    }
}
