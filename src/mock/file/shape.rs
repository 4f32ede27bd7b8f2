//! What a reader of records passes over in a file: a quote that is never closed, and blank lines.
//!
//! Quotes are understood as the `csv` crate does, which finds the records afterwards. No byte is kept, so that a quote
//! that swallows the rest of a file takes no memory.

use std::io::{self, Read};

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many records there are, the header among them. A reader that is asked in tests must find as many.
    pub(super) n_records: u64,
    /// The record whose last quote is never closed, from 0 for the header, and the line where it begins.
    pub(super) open: Option<(u64, u64)>,
    /// The first blank line behind the header.
    pub(super) blank: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Bare,
    Quoted,
    /// Behind a quote that may close its field or be the first of two.
    QuoteInQuoted,
}

struct Scan {
    shape: Shape,
    state: State,
    line: u64,
    /// Where the present record begins.
    first_line: u64,
    /// The last byte was a carriage return that ended a line.
    after_return: bool,
}

impl Shape {
    /// Reads to the end.
    pub(super) fn of(mut source: impl Read) -> io::Result<Self> {
        let mut scan =
            Scan { shape: Self::default(), state: State::RecordStart, line: 1, first_line: 1, after_return: false };
        let mut buffer = vec![0; 1 << 18];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => scan.pass(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if scan.state == State::Quoted {
            scan.shape.open = Some((scan.shape.n_records - 1, scan.first_line));
        }
        Ok(scan.shape)
    }
}

impl Scan {
    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            // What has no meaning where it stands is most of a file.
            let n_plain = match self.state {
                State::Bare => memchr::memchr3(b',', b'\n', b'\r', bytes),
                State::Quoted => memchr::memchr(b'"', bytes),
                _ => Some(0),
            };
            let n_plain = n_plain.unwrap_or(bytes.len());
            if n_plain == 0 {
                self.step(byte);
                bytes = rest;
            } else {
                let (plain, behind) = bytes.split_at(n_plain);
                if self.state == State::Quoted {
                    self.line += memchr::memchr_iter(b'\n', plain).count() as u64;
                }
                bytes = behind;
            }
        }
    }

    fn step(&mut self, byte: u8) {
        let ends_line = matches!(byte, b'\r' | b'\n');
        if self.state == State::RecordStart {
            if byte == b'\n' && self.after_return {
                self.after_return = false;
                return;
            }
            if ends_line {
                if self.shape.n_records > 0 {
                    self.shape.blank.get_or_insert(self.line);
                }
            } else {
                self.first_line = self.line;
                self.shape.n_records += 1;
            }
        }
        self.after_return = byte == b'\r';
        self.state = match (self.state, byte) {
            (_, b'\r' | b'\n') => State::RecordStart,
            (_, b',') => State::FieldStart,
            (State::RecordStart | State::FieldStart | State::QuoteInQuoted, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuoteInQuoted,
            _ => State::Bare,
        };
        self.line += u64::from(ends_line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of up to so many of these letters.
    fn texts(letters: &[u8], most: usize) -> Vec<Vec<u8>> {
        let mut all = vec![Vec::new()];
        let mut first = 0;
        for _ in 0..most {
            let end = all.len();
            for nth in first..end {
                all.extend(letters.iter().map(|&letter| [all[nth].as_slice(), &[letter]].concat()).collect::<Vec<_>>());
            }
            first = end;
        }
        all
    }

    #[test]
    fn records_and_open_quotes_are_those_that_the_csv_crate_finds() {
        for text in texts(b"a,\"\n\r", 6) {
            let shape = Shape::of(text.as_slice()).unwrap();
            // Whatever is open swallows the line behind the text.
            let followed = [text.as_slice(), b"\nZ"].concat();
            let mut records = csv::ReaderBuilder::new();
            records.has_headers(false).flexible(true);
            let records: Vec<_> = records.from_reader(followed.as_slice()).byte_records().map(Result::unwrap).collect();
            let is_closed = records.last().is_some_and(|last| last == &csv::ByteRecord::from(vec!["Z"]));
            let told = String::from_utf8_lossy(&text).into_owned();
            assert_eq!(shape.open.is_none(), is_closed, "{told:?}");
            assert_eq!(shape.n_records, records.len() as u64 - u64::from(is_closed), "{told:?}");
        }
    }

    #[test]
    fn an_open_quote_and_a_blank_line_are_found_where_they_stand() {
        let of = |text: &str| {
            let shape = Shape::of(text.as_bytes()).unwrap();
            (shape.open, shape.blank)
        };
        assert_eq!(of("\n\na,b\n1,\"x\ny\"\n2,\"z\n3,w\n"), (Some((2, 6)), None));
        assert_eq!(of("a\r\n1\r\n\r\n2\r\n"), (None, Some(3)));
        assert_eq!(of("a\r1\r\r2\r"), (None, Some(3)));
        assert_eq!(of("a\n\"1\n\n2\"\n3\n"), (None, None));
        assert_eq!(of("a\n1\n\n"), (None, Some(3)));
    }
}
