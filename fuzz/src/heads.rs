//! Answers' heads, as bytes of a fuzzer spell them.

use cxtract::model::{AnswerHead, Timestamp};

/// Lines of `Name: value`, the names in small letters as a head has them. Bytes are read as Latin-1, as heads are.
/// What has no colon, or holds what no head can, is left out.
pub(crate) fn head(status: u16, lines: &[u8]) -> AnswerHead {
    let headers = lines
        .split(|&b| b == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|&b| b == b':')?;
            let name: String = line[..colon].iter().map(|&b| char::from(b.to_ascii_lowercase())).collect();
            let value = value(&line[colon + 1..])?;
            (!name.is_empty()).then_some((name, value))
        })
        .collect();
    AnswerHead { status, headers }
}

fn value(bytes: &[u8]) -> Option<String> {
    let text: String = bytes.iter().map(|&b| char::from(b)).collect();
    (!text.contains(['\0', '\r'])).then(|| text.trim_matches([' ', '\t']).to_owned())
}

/// Takes the local clock from the front of the input.
pub(crate) fn clock(data: &[u8]) -> (Timestamp, &[u8]) {
    match data.split_first_chunk::<8>() {
        Some((clock, rest)) => (Timestamp(i64::from_le_bytes(*clock)), rest),
        None => (Timestamp(0), data),
    }
}

/// The same head with one more line, first of all.
pub(crate) fn with_first(head: &AnswerHead, name: &str, value: &str) -> AnswerHead {
    let mut headers = vec![(name.to_owned(), value.to_owned())];
    headers.extend(head.headers.iter().cloned());
    AnswerHead { status: head.status, headers }
}

/// The same head with only those lines.
pub(crate) fn only(head: &AnswerHead, keep: impl Fn(&str) -> bool) -> AnswerHead {
    let headers = head.headers.iter().filter(|(name, _)| keep(name)).cloned().collect();
    AnswerHead { status: head.status, headers }
}
