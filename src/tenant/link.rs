//! What a page's `Link` header says: whether there is a next page. Its URL is never looked at.
//!
//! A header that names no next page claims the end of the results, so that one that can't be read for certain must not
//! be taken for such a claim: it says nothing.

use crate::model::{AnswerHead, LinkHint};

/// Whether `Link` (RFC 8288, section 3) names a next page.
pub(super) fn link_hint(head: &AnswerHead) -> LinkHint {
    let mut hint = LinkHint::Absent;
    let mut is_clear = true;
    for line in head.headers_named("link") {
        hint = LinkHint::NoNext;
        for link in pieces(line, b',').into_iter().filter(|link| !link.trim().is_empty()) {
            match names_next(link.trim()) {
                Some(true) => return LinkHint::Next,
                Some(false) => {}
                None => is_clear = false,
            }
        }
    }
    if is_clear { hint } else { LinkHint::Absent }
}

/// Whether one link's relations hold `next`; none if it can't be read.
fn names_next(link: &str) -> Option<bool> {
    let (_, parameters) = link.strip_prefix('<')?.split_once('>')?;
    let mut parameters = pieces(parameters, b';').into_iter();
    if !parameters.next()?.trim().is_empty() {
        return None;
    }
    let mut has_next = false;
    for parameter in parameters {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim();
        let quoted = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
        let value = if quoted { &value[1..value.len() - 1] } else { value.trim_matches('\'') };
        if !quoted && value.contains(['"', '<', '>']) {
            return None;
        }
        let mut relations = value.split_ascii_whitespace();
        has_next |= name.trim().eq_ignore_ascii_case("rel") && relations.any(|r| r.eq_ignore_ascii_case("next"));
    }
    Some(has_next)
}

/// Cuts the text where the byte stands outside of quotes and angle brackets.
fn pieces(text: &str, at: u8) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut is_quoted, mut is_address, mut is_escaped) = (0, false, false, false);
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' if !is_address => is_quoted = !is_quoted,
            b'<' if !is_quoted => is_address = true,
            b'>' => is_address = false,
            _ if byte == at && !is_quoted && !is_address => {
                pieces.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(links: &[&str]) -> LinkHint {
        let headers = links.iter().map(|l| ("link".to_owned(), (*l).to_owned())).collect();
        link_hint(&AnswerHead { status: 200, headers })
    }

    #[test]
    fn only_a_next_relation_counts_and_never_the_url() {
        assert_eq!(said(&[]), LinkHint::Absent);
        assert_eq!(said(&["<https://x/?page=2>; rel=\"next\""]), LinkHint::Next);
        assert_eq!(said(&["<https://x/?page=2>; title=\"a\"; REL=next"]), LinkHint::Next);
        assert_eq!(said(&["<https://x/?a;rel=next,b>; rel=\"prev\""]), LinkHint::NoNext);
        assert_eq!(said(&["<u>; rel=\"first\", <v>; rel=\"last next\""]), LinkHint::Next);
        assert_eq!(said(&["<u>; rel=first", "<v>; rel=next"]), LinkHint::Next);
        assert_eq!(said(&["<u>; rel='next'"]), LinkHint::Next);
        assert_eq!(said(&["<u>; crossorigin; rel=next"]), LinkHint::Next);
        assert_eq!(said(&["<u>;rel=prev,,<v> ; rel = next"]), LinkHint::Next);
        assert_eq!(said(&[""]), LinkHint::NoNext);
    }

    #[test]
    fn what_stands_in_quotes_is_no_relation() {
        assert_eq!(said(&["<u>; title=\"a; rel=next, <v>; rel=next\"; rel=prev"]), LinkHint::NoNext);
        assert_eq!(said(&["<u>; title=\"a \\\"; rel=next\"; rel=prev"]), LinkHint::NoNext);
    }

    #[test]
    fn a_header_that_cannot_be_read_claims_nothing() {
        for garbled in [
            "<https://x/?page=2; rel=\"next\"",
            "https://x/?page=2; rel=\"next\"",
            "<u>; rel=ne<>xt",
            "<u>; title=\"never closed; rel=next",
            "<u> rel=next",
            "rel=next",
        ] {
            assert_eq!(said(&[garbled]), LinkHint::Absent, "{garbled}");
            assert_eq!(said(&[garbled, "<v>; rel=prev"]), LinkHint::Absent, "{garbled}");
            assert_eq!(said(&["<v>; rel=next", garbled]), LinkHint::Next, "{garbled}");
        }
    }
}
