//! The way back from `\n` to a newline, for whoever reads what was delivered, and for the tests that it is one.

/// The text of one field, quoting undone, as it was before its newlines were written as `\n`: with a line feed for each,
/// whichever newline it was.
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, n) = match rest.get(at + 1) {
            Some(b'n') => (b'\n', 2),
            Some(b'\\') => (b'\\', 2),
            _ => (b'\\', 1),
        };
        out.push(byte);
        rest = &rest[at + n..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(unescape(b""), b"");
        assert_eq!(unescape(br"C:\temp\"), br"C:\temp\");
        assert_eq!(unescape(br"a\nb\\nc\\\nd"), b"a\nb\\nc\\\nd");
        assert_eq!(unescape(br"\\\"), br"\\");
    }
}
