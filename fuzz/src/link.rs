//! `Link`: only a relation says that there is a next page, never what stands in an address.

use cxtract::model::{LinkHint, PageNumber};
use cxtract::tenant::{Call, PageAnswer};

use crate::wire::{Heard, answer, answered, query, token};

/// The input: the values of `Link`, a line each.
pub fn holds(data: &[u8]) {
    // A head that can't be read is no page; those are told apart elsewhere.
    let is_readable = |line: &&[u8]| !line.iter().any(|b| matches!(b, 0 | b'\r'));
    let lines: Vec<&[u8]> = data.split(|&b| b == b'\n').filter(is_readable).take(16).collect();
    let hint = hint_of(&lines);
    if lines.is_empty() {
        assert_eq!(hint, LinkHint::Absent, "a header was seen where there is none");
    }

    // What it takes for a next page at least.
    let small = data.to_ascii_lowercase();
    let holds = |word: &[u8]| small.windows(word.len()).any(|w| w == word);
    if !(holds(b"rel") && holds(b"next") && holds(b"=")) {
        assert_ne!(hint, LinkHint::Next, "a next page out of nothing");
    }
    let shouted: Vec<Vec<u8>> = lines.iter().map(|line| line.to_ascii_uppercase()).collect();
    assert_eq!(hint_of(&shouted), hint, "letter case mattered");
    let reversed: Vec<&[u8]> = lines.iter().rev().copied().collect();
    assert_eq!(hint_of(&reversed), hint, "the order of the lines mattered");
    let addressed: Vec<Vec<u8>> = lines.iter().map(|line| [b"<u;rel=next,v>, ", *line].concat()).collect();
    assert_eq!(hint_of(&addressed), hint, "an address mattered");
    let named: Vec<&[u8]> = [lines.as_slice(), &[b"<https://x/?page=2>; rel=\"next\""]].concat();
    assert_eq!(hint_of(&named), LinkHint::Next, "a plain line was not seen behind others");
}

/// What a page's answer with those lines says.
fn hint_of<L: AsRef<[u8]>>(lines: &[L]) -> LinkHint {
    let mut head = Vec::new();
    for line in lines {
        head.extend_from_slice(b"Link: ");
        head.extend_from_slice(line.as_ref());
        head.extend_from_slice(b"\r\n");
    }
    answered(answer(200, &head, b"id\n1\n"), async |client| {
        let (token, heard) = (token(), Heard::default());
        let call = Call { token: &token, watch: &heard };
        match client.page(call, &query(), PageNumber(1), 5000).await {
            Ok(PageAnswer::Page(page)) => {
                let hint = page.link;
                assert_eq!(page.body.collect(100).await.as_deref(), Ok(&b"id\n1\n"[..]));
                hint
            }
            Ok(PageAnswer::Missing { .. }) => panic!("a page was taken for a missing one"),
            Err(fault) => panic!("a page was refused: {}", fault.message),
        }
    })
}
