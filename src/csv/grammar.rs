//! The grammar of CSV, one byte at a time.
//!
//! Five states decide everything; the block scan in `blocks` is a faster way to the same answers, and falls back
//! to these states wherever quotes stand where RFC 4180 has none. It reads exactly what the `csv` crate reads:
//! `\n`, `\r` and `\r\n` each end a record, a line without any byte is no record, and a quote inside an
//! unquoted field is an ordinary byte. Every input has a reading; nothing here fails.

/// Where in the grammar the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Before a record: at the start, after a line ending, or among blank lines.
    #[default]
    RecordStart,
    /// Right after a comma.
    FieldStart,
    /// Inside a field that is not quoted, or past the closing quote of one that was.
    Plain,
    /// Inside a quoted field.
    Quoted,
    /// After a quote that closes a quoted field, unless another quote follows and makes a pair of them.
    QuoteInQuoted,
}

/// What a byte brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing that counts.
    Nothing,
    /// A comma ended a field, and another one follows.
    FieldEnd,
    /// A line ending ended a record and its last field.
    RecordEnd,
    /// A quote in an unquoted field, or text behind a closing quote: readers of CSV differ about it.
    StrayQuote,
}

impl State {
    /// Reads one byte: the state after it, and what it brought about.
    #[inline]
    #[must_use]
    pub fn step(self, byte: u8) -> (Self, Event) {
        match (self, byte) {
            (Self::RecordStart, b'\n' | b'\r') => (Self::RecordStart, Event::Nothing),
            (Self::Quoted, b'"') => (Self::QuoteInQuoted, Event::Nothing),
            (Self::Quoted, _) => (Self::Quoted, Event::Nothing),
            (_, b'\n' | b'\r') => (Self::RecordStart, Event::RecordEnd),
            (_, b',') => (Self::FieldStart, Event::FieldEnd),
            (Self::RecordStart | Self::FieldStart | Self::QuoteInQuoted, b'"') => (Self::Quoted, Event::Nothing),
            (Self::Plain, b'"') | (Self::QuoteInQuoted, _) => (Self::Plain, Event::StrayQuote),
            (Self::RecordStart | Self::FieldStart | Self::Plain, _) => (Self::Plain, Event::Nothing),
        }
    }
}

/// The fields of the first record in `bytes`, quoting undone. Blank lines before it are passed over.
///
/// This is the `csv` crate's own reading, for one record of a page: too little for its speed to count.
pub fn fields_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(<[u8]>::to_vec).collect(),
        // Bytes in memory, of any length of record, leave nothing to fail.
        Ok(false) | Err(_) => Vec::new(),
    }
}

/// How many blank lines stand before the first record in `bytes`, whatever form their endings have.
pub fn n_blank_lines_before(bytes: &[u8]) -> u64 {
    let n = bytes.iter().position(|byte| !matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
    let n_pairs = bytes[..n].windows(2).filter(|pair| *pair == b"\r\n").count();
    (n - n_pairs) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_end_in_three_forms() {
        assert_eq!(n_blank_lines_before(b"\r\n\n\r\rid\n\n"), 4);
        assert_eq!(n_blank_lines_before(b"id\n"), 0);
    }

    /// The fields of the first record as the states tell them apart.
    fn by_states(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut fields, mut field, mut state) = (Vec::new(), Vec::new(), State::RecordStart);
        for &byte in bytes {
            let before = state;
            let (after, event) = before.step(byte);
            state = after;
            match (event, before, after) {
                (Event::RecordEnd, ..) => break,
                (Event::FieldEnd, ..) => fields.push(std::mem::take(&mut field)),
                (_, _, State::Plain) | (_, State::Quoted | State::QuoteInQuoted, State::Quoted) => field.push(byte),
                _ => {}
            }
        }
        // Only blank lines, or nothing at all, leave no field behind; any other end leaves the last one in hand.
        if bytes.iter().any(|b| !matches!(b, b'\n' | b'\r')) {
            fields.push(field);
        }
        fields
    }

    #[test]
    fn the_states_tell_the_fields_of_the_csv_crate_apart_in_every_short_text() {
        let alphabet = *b"a,\"\n\r";
        for len in 0..=6u32 {
            for n in 0..5usize.pow(len) {
                let text: Vec<u8> = (0..len).map(|i| alphabet[n / 5usize.pow(i) % 5]).collect();
                assert_eq!(by_states(&text), fields_of(&text), "{:?}", String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn a_doubled_quote_is_one_quote_of_the_field() {
        assert_eq!(fields_of(b"\"say \"\"hi\"\"\",2\r\n"), vec![b"say \"hi\"".to_vec(), b"2".to_vec()]);
    }
}
