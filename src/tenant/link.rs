//! What a page's `Link` header says: whether there is a next page. Its URL is never looked at.

use crate::model::{AnswerHead, LinkHint};

/// Whether `Link` (RFC 8288) names a next page. Its URL is never looked at.
pub(super) fn link_hint(head: &AnswerHead) -> LinkHint {
    let mut hint = LinkHint::Absent;
    for line in head.headers_named("link") {
        hint = LinkHint::NoNext;
        if has_rel_next(line) {
            return LinkHint::Next;
        }
    }
    hint
}

/// Looks for `rel=next` among the parameters behind each `<…>`; what stands inside the brackets doesn't count.
fn has_rel_next(line: &str) -> bool {
    let mut outside = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('<') {
        outside.push_str(&rest[..open]);
        rest = rest[open..].find('>').map_or("", |close| &rest[open + close + 1..]);
    }
    outside.push_str(rest);
    outside.split([';', ',']).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let relations = value.trim().trim_matches(['"', '\'']);
        name.trim().eq_ignore_ascii_case("rel")
            && relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(links: &[&str]) -> AnswerHead {
        AnswerHead { status: 200, headers: links.iter().map(|l| ("link".to_owned(), (*l).to_owned())).collect() }
    }

    #[test]
    fn only_a_next_relation_counts_and_never_the_url() {
        assert_eq!(link_hint(&head(&[])), LinkHint::Absent);
        assert_eq!(link_hint(&head(&["<https://x/?page=2>; rel=\"next\""])), LinkHint::Next);
        assert_eq!(link_hint(&head(&["<https://x/?page=2>; title=\"a\"; REL=next"])), LinkHint::Next);
        assert_eq!(link_hint(&head(&["<https://x/?a;rel=next,b>; rel=\"prev\""])), LinkHint::NoNext);
        assert_eq!(link_hint(&head(&["<u>; rel=\"first\", <v>; rel=\"last next\""])), LinkHint::Next);
        assert_eq!(link_hint(&head(&["<u>; rel=first", "<v>; rel=next"])), LinkHint::Next);
        assert_eq!(link_hint(&head(&["<u>; rel='next'"])), LinkHint::Next);
        assert_eq!(link_hint(&head(&[""])), LinkHint::NoNext);
    }
}
