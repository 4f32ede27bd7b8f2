//! Reads the head of an answer, strictly, from raw bytes above TLS.
//!
//! The HTTP library forgets the order of headers, takes a length beside chunking or a `100 Continue` in its stride, and
//! counts limits its own way. It is therefore shown a head of our own that says only how the body is framed
//! ([`ReceivedHead::for_library`]): two readers can't disagree when one of them reads what the other wrote.
//! Pure: bytes in, a head or a fault out.

use bytes::{Bytes, BytesMut};

use crate::model::{AnswerHead, TransportFault};

/// The most bytes a head may have.
pub(super) const MAX_HEAD_BYTES: usize = 128 * 1024;
/// The most header lines a head may have.
pub(super) const MAX_HEADERS: usize = 96;
/// The most interim answers (1xx) that are skipped before the real one.
pub(super) const MAX_INTERIM: usize = 8;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, up to an empty one.
    Chunked,
    /// The status has no body at all.
    Bodiless,
    /// Nothing says where it ends.
    Unframed,
}

/// A complete head.
#[derive(Debug)]
pub(super) struct ReceivedHead {
    pub(super) head: AnswerHead,
    pub(super) framing: Framing,
    closes: bool,
}

impl ReceivedHead {
    /// The head that the HTTP library gets to see.
    pub(super) fn for_library(&self) -> Bytes {
        let framing = match self.framing {
            Framing::Chunked => "transfer-encoding: chunked".to_owned(),
            Framing::Length(n) => format!("content-length: {n}"),
            Framing::Bodiless | Framing::Unframed => "content-length: 0".to_owned(),
        };
        // What follows an unframed answer may be its body: such a connection must not be used again.
        let closes = self.closes || self.framing == Framing::Unframed;
        let connection = if closes { "connection: close\r\n" } else { "" };
        Bytes::from(format!("HTTP/1.1 {} -\r\n{connection}{framing}\r\n\r\n", self.head.status))
    }
}

/// Collects bytes until a final head is complete.
#[derive(Default)]
pub(super) struct HeadReader {
    buffer: BytesMut,
    line_start: usize,
    n_lines: usize,
    n_interim: usize,
    /// What could be read of a head that was refused.
    refused: Option<AnswerHead>,
}

impl HeadReader {
    /// Takes more bytes; gives the head once it is complete, interim answers left out.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<ReceivedHead>, TransportFault> {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.find_end()? {
            let raw = self.buffer.split_to(end);
            self.line_start = 0;
            self.n_lines = 0;
            let received = match parse(&raw) {
                Ok(received) => received,
                Err(fault) => {
                    self.refused = read_what_can_be(&raw);
                    return Err(fault);
                }
            };
            match received.head.status {
                101 => return Err(wrong("it switches protocols, which nobody asked for")),
                100..200 => {
                    self.n_interim += 1;
                    if self.n_interim > MAX_INTERIM {
                        return Err(wrong(&format!(
                            "more than {MAX_INTERIM} interim answers (1xx) before the real one"
                        )));
                    }
                }
                _ => return Ok(Some(received)),
            }
        }
        Ok(None)
    }

    /// What could be read of a head that was refused. Its body can't be trusted, and a pause that it asks for still
    /// holds.
    pub(super) fn take_refused(&mut self) -> Option<AnswerHead> {
        self.refused.take()
    }

    /// What came behind the head.
    pub(super) fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }

    /// Whether nothing has come yet, or nothing but interim answers.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    fn find_end(&mut self) -> Result<Option<usize>, TransportFault> {
        const VERSION: &[u8] = b"HTTP/1.";
        if self.buffer.iter().zip(VERSION).any(|(got, due)| got != due) {
            return Err(wrong("it is not HTTP/1"));
        }
        while let Some(length) = memchr::memchr(b'\n', &self.buffer[self.line_start..]) {
            let line = &self.buffer[self.line_start..self.line_start + length];
            self.line_start += length + 1;
            if self.line_start > MAX_HEAD_BYTES {
                return Err(too_large());
            }
            if matches!(line, b"" | b"\r") {
                return Ok(Some(self.line_start));
            }
            self.n_lines += 1;
            if self.n_lines > 1 + MAX_HEADERS {
                return Err(TransportFault::OverLimit {
                    what: "the number of headers of the answer",
                    limit: MAX_HEADERS.to_string(),
                });
            }
        }
        if self.buffer.len() > MAX_HEAD_BYTES { Err(too_large()) } else { Ok(None) }
    }
}

fn parse(raw: &[u8]) -> Result<ReceivedHead, TransportFault> {
    let mut lines = raw.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (is_http_1_1, status) = status_line(lines.next().unwrap_or_default())?;
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        headers.push(header_line(line)?);
    }
    let head = AnswerHead { status, headers };
    let framing = framing(&head, is_http_1_1)?;
    let says_close = head
        .headers_named("connection")
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("close"));
    Ok(ReceivedHead { head, framing, closes: says_close || !is_http_1_1 })
}

/// The status and those header lines that are as they should be.
fn read_what_can_be(raw: &[u8]) -> Option<AnswerHead> {
    let mut lines = raw.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (_, status) = status_line(lines.next()?).ok()?;
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| header_line(line).ok()).collect();
    Some(AnswerHead { status, headers })
}

fn status_line(line: &[u8]) -> Result<(bool, u16), TransportFault> {
    let unreadable = || wrong("its status line can't be read");
    let (version, rest) = line.split_at_checked(9).ok_or_else(unreadable)?;
    let is_http_1_1 = match version {
        b"HTTP/1.1 " => true,
        b"HTTP/1.0 " => false,
        _ => return Err(unreadable()),
    };
    let (digits, reason) = rest.split_at_checked(3).ok_or_else(unreadable)?;
    if !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' || !(reason.is_empty() || reason[0] == b' ') {
        return Err(unreadable());
    }
    Ok((is_http_1_1, digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'))))
}

fn header_line(line: &[u8]) -> Result<(String, String), TransportFault> {
    if matches!(line[0], b' ' | b'\t') {
        return Err(wrong("one of its headers is folded over several lines"));
    }
    let colon = memchr::memchr(b':', line).ok_or_else(|| wrong("one of its header lines has no colon"))?;
    let name = &line[..colon];
    if name.is_empty() || !name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b)) {
        return Err(wrong("one of its headers has an impossible name"));
    }
    let value = &line[colon + 1..];
    if value.iter().any(|b| matches!(b, 0 | b'\r')) {
        return Err(wrong("one of its headers holds a control character"));
    }
    let name = name.iter().map(|b| char::from(b.to_ascii_lowercase())).collect();
    let value: String = value.iter().map(|b| char::from(*b)).collect();
    Ok((name, value.trim_matches([' ', '\t']).to_owned()))
}

fn framing(head: &AnswerHead, is_http_1_1: bool) -> Result<Framing, TransportFault> {
    let mut lengths = head.headers_named("content-length");
    let mut codings = head.headers_named("transfer-encoding");
    let (length, second_length) = (lengths.next(), lengths.next());
    let (coding, second_coding) = (codings.next(), codings.next());
    if second_length.is_some() || second_coding.is_some() {
        return Err(wrong("it states Content-Length or Transfer-Encoding twice"));
    }
    if length.is_some() && coding.is_some() {
        return Err(wrong("it states both Content-Length and Transfer-Encoding"));
    }
    let framing = match (length, coding) {
        (Some(length), _) => Framing::Length(content_length(length)?),
        (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") && is_http_1_1 => Framing::Chunked,
        (None, Some(_)) => return Err(wrong("its Transfer-Encoding is not `chunked` in HTTP/1.1")),
        (None, None) => Framing::Unframed,
    };
    Ok(if matches!(head.status, 100..200 | 204 | 304) { Framing::Bodiless } else { framing })
}

fn content_length(text: &str) -> Result<u64, TransportFault> {
    // `parse` alone would take "+5".
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| wrong("its Content-Length is not a number"))
}

fn wrong(what: &str) -> TransportFault {
    TransportFault::WrongKind(what.to_owned())
}

fn too_large() -> TransportFault {
    TransportFault::OverLimit { what: "the head of the answer", limit: format!("{} KiB", MAX_HEAD_BYTES / 1024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<ReceivedHead>, TransportFault> {
        HeadReader::default().push(text.as_bytes())
    }

    fn refused(text: &str) -> bool {
        matches!(read(text), Err(TransportFault::WrongKind(_)))
    }

    #[test]
    fn a_head_in_pieces_of_one_byte_reads_like_the_whole() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: 1\r\nx-a:2 \r\n\r\n";
        let mut reader = HeadReader::default();
        let heads: Vec<_> = text.bytes().map(|b| reader.push(&[b]).unwrap()).collect();
        assert!(heads[..text.len() - 1].iter().all(Option::is_none));
        let in_pieces = heads.last().unwrap().as_ref().unwrap();
        let mut reader = HeadReader::default();
        let whole = reader.push(format!("{text}abc").as_bytes()).unwrap().unwrap();
        assert_eq!(in_pieces.head, whole.head);
        assert_eq!(whole.head.headers_named("x-a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(whole.framing, Framing::Length(3));
        assert_eq!(reader.into_rest(), "abc");
    }

    #[test]
    fn the_library_sees_nothing_but_status_framing_and_close() {
        let seen = |text: &str| String::from_utf8(read(text).unwrap().unwrap().for_library().to_vec()).unwrap();
        assert_eq!(
            seen("HTTP/1.1 200 Fine\r\nTransfer-Encoding: Chunked\r\nSet-Cookie: a\r\n\r\n"),
            "HTTP/1.1 200 -\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            seen("HTTP/1.0 404\r\nContent-Length: 7\r\n\r\n"),
            "HTTP/1.1 404 -\r\nconnection: close\r\ncontent-length: 7\r\n\r\n"
        );
        assert_eq!(seen("HTTP/1.1 503 x\r\n\r\n"), "HTTP/1.1 503 -\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(seen("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n"), "HTTP/1.1 304 -\r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn interim_answers_are_skipped_up_to_a_number() {
        let final_head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        assert_eq!(read(&(interim.repeat(MAX_INTERIM) + final_head)).unwrap().unwrap().head.status, 200);
        assert!(refused(&(interim.repeat(MAX_INTERIM + 1) + final_head)));
    }

    #[test]
    fn heads_that_could_be_read_in_two_ways_are_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\rContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
            "HTTP/1.1 099 x\r\n\r\n",
            "HTTP/1.1 2000 x\r\n\r\n",
            "HTTP/1.2 200 x\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "<html>",
        ] {
            assert!(refused(text), "{text:?}");
        }
    }

    #[test]
    fn limits_hold_to_the_byte_and_the_line() {
        let headers = |n: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(n));
        assert!(read(&headers(MAX_HEADERS)).unwrap().is_some());
        assert!(
            matches!(read(&headers(MAX_HEADERS + 1)), Err(TransportFault::OverLimit { limit, .. }) if limit == "96")
        );

        let sized = |n: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(n - 24));
        assert_eq!(sized(100).len(), 100);
        assert!(read(&sized(MAX_HEAD_BYTES)).unwrap().is_some());
        assert!(matches!(read(&sized(MAX_HEAD_BYTES + 1)), Err(TransportFault::OverLimit { .. })));
        assert!(matches!(
            read(&"HTTP/1.1 200 ".repeat(11_000)),
            Err(TransportFault::WrongKind(_) | TransportFault::OverLimit { .. })
        ));
    }

    #[test]
    fn header_values_beyond_ascii_are_kept_as_latin_1() {
        let mut reader = HeadReader::default();
        let head = reader.push(b"HTTP/1.1 200 OK\r\nX: caf\xe9\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.head.header("x"), Some("caf\u{e9}"));
    }
}
