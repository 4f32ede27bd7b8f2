//! What a page is by the plain grammar: its records, byte by byte, and their fields as the `csv` crate counts them.

use std::ops::Range;

use cxtract::csv::{Event, State};

/// A record by the grammar.
pub(super) struct Record {
    /// Where it stands, without its line ending.
    pub(super) bytes: Range<usize>,
    pub(super) n_fields: u64,
    /// A quote in an unquoted field, or text behind a closing quote.
    pub(super) has_stray: bool,
    /// The latter.
    pub(super) is_misquoted: bool,
    pub(super) spans_lines: bool,
}

/// A page by the grammar.
pub(super) struct Reading {
    pub(super) records: Vec<Record>,
    /// Whether it ends inside quotes.
    pub(super) is_open: bool,
}

impl Reading {
    pub(super) fn of(page: &[u8]) -> Self {
        let (mut records, mut state) = (Vec::<Record>::new(), State::RecordStart);
        for (at, &byte) in page.iter().enumerate() {
            let is_ending = matches!(byte, b'\n' | b'\r');
            if state == State::RecordStart && !is_ending {
                let bytes = at..at;
                records.push(Record { bytes, n_fields: 1, has_stray: false, is_misquoted: false, spans_lines: false });
            }
            let (after, event) = state.step(byte);
            if let Some(open) = records.last_mut() {
                match event {
                    Event::FieldEnd => open.n_fields += 1,
                    Event::StrayQuote => {
                        open.has_stray = true;
                        open.is_misquoted |= state == State::QuoteInQuoted;
                    }
                    Event::Nothing => open.spans_lines |= is_ending && after == State::Quoted,
                    Event::RecordEnd => {}
                }
                if after != State::RecordStart {
                    open.bytes.end = at + 1;
                }
            }
            state = after;
        }
        Self { records, is_open: state == State::Quoted }
    }
}

/// The fields of each record.
pub(super) fn field_counts(text: &[u8]) -> Vec<u64> {
    // A first line of ours, so that the reader doesn't take the text's first bytes for a byte order mark.
    let text = [b"-\n", text].concat();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&text[..]);
    reader.byte_records().skip(1).map(|record| record.expect("memory can be read").len() as u64).collect()
}
