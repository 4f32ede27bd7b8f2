//! Framing: the same facts however a page is cut, and those that the `csv` crate and a walk byte by byte find.

use cxtract::csv::{BOM, Event, Framed, Framer, FramingFault, FramingLimits, State};
use xxhash_rust::xxh3::xxh3_128;

/// The input: two bytes that say how the page is cut, one for the limit of a record, then the page.
pub fn holds(data: &[u8]) {
    let Some(([cut, step, limit], page)) = data.split_first_chunk::<3>() else { return };
    // Short limits are where limits matter; most inputs have none that is.
    let record_bytes = if *limit < 128 { 1 << 20 } else { u64::from(*limit - 127) };
    let limits = FramingLimits { record_bytes };
    let whole = frame(Framer::new(limits), &[page]);
    let (head, tail) = page.split_at(usize::from(*cut).min(page.len()));
    let chunks: Vec<&[u8]> = [head].into_iter().chain(tail.chunks(1 + usize::from(*step))).collect();
    assert_eq!(frame(Framer::new(limits), &chunks), whole, "cut into {} chunks", chunks.len());

    let lenient = frame(Framer::lenient(limits), &[page]).expect("a lenient framer never fails");
    assert_eq!(frame(Framer::lenient(limits), &chunks).as_ref(), Ok(&lenient), "lenient, {} chunks", chunks.len());
    assert_eq!((lenient.n_bytes, lenient.digest.0), (page.len() as u64, xxh3_128(page)));

    let walked = Walked::over(page, record_bytes);
    match &whole {
        Ok(framed) => {
            assert_eq!(framed, &lenient, "a page without a fault reads otherwise if faults are let pass");
            assert_eq!(framed.broken, None);
            assert!(!walked.is_open, "a page that ends inside quotes was taken for whole");
            agrees(framed, page, &walked);
        }
        Err(fault) => {
            assert_eq!(lenient.broken, Some(*fault), "the lenient framer saw another fault");
            walked.explains(fault);
        }
    }
}

fn frame(mut framer: Framer, chunks: &[&[u8]]) -> Result<Framed, FramingFault> {
    for chunk in chunks {
        framer.push(chunk)?;
    }
    framer.finish()
}

/// The page's text, without its byte order mark.
fn text(page: &[u8]) -> &[u8] {
    page.strip_prefix(&BOM).unwrap_or(page)
}

fn agrees(framed: &Framed, page: &[u8], walked: &Walked) {
    let text = text(page);
    assert_eq!(u64::from(framed.bom_len), (page.len() - text.len()) as u64);
    let ends_with_newline = !walked.is_inside && matches!(text.last(), Some(b'\n' | b'\r'));
    assert_eq!(framed.ends_with_newline, ends_with_newline);
    assert_eq!(framed.stray_quotes, walked.strays > 0);
    assert_eq!(framed.misquoted.map(|place| (place.record, place.line)), walked.misquoted);
    assert_eq!(framed.is_entangled, walked.is_entangled, "a quote past a quoted line ending");
    assert_eq!(framed.n_blank_lines, walked.n_blank_lines, "blank lines");

    // The csv crate drops a mark of its own.
    if text.starts_with(&BOM) {
        return;
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let records: Vec<csv::ByteRecord> = reader.byte_records().map(|r| r.expect("memory can be read")).collect();
    let counts: Vec<u64> = records.iter().map(|r| r.len() as u64).collect();
    assert_eq!(framed.n_records, counts.len() as u64, "records");
    let first = records.first().map(|r| r.iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
    assert_eq!(framed.first.as_ref().map(|f| f.fields.clone()), first, "the first record");
    let rest = counts.get(1..).unwrap_or_default();
    assert_eq!(framed.n_fields, rest.first().copied().filter(|n| rest.iter().all(|m| m == n)), "fields");
    let odd: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] != counts[0]).collect();
    assert_eq!(framed.n_uneven, odd.len() as u64, "uneven records");
    let uneven = framed.uneven.map(|r| (r.record, r.line, r.n_fields, r.expected));
    let due = odd.first().map(|&i| (i as u64 + 1, walked.records[i].line, counts[i], counts[0]));
    assert_eq!(uneven, due, "the first uneven record");
    let raw = framed.first.as_ref().map_or(0, |f| f.raw.len());
    assert_eq!(framed.first.as_ref().map_or(&b""[..], |f| &f.raw), &text[..raw], "the first record's bytes");
}

struct Extent {
    line: u64,
    n_bytes: u64,
    spans_lines: bool,
}

/// What a walk over the page finds, byte by byte.
#[derive(Default)]
struct Walked {
    records: Vec<Extent>,
    /// Line endings before the first record.
    n_leading: u64,
    strays: u64,
    misquoted: Option<(u64, u64)>,
    is_entangled: bool,
    n_blank_lines: u64,
    /// Whether it ends inside a record, and inside quotes.
    is_inside: bool,
    is_open: bool,
    limit: u64,
}

impl Walked {
    fn over(page: &[u8], limit: u64) -> Self {
        let mut walked = Self { limit, ..Self::default() };
        let (mut state, mut line, mut before) = (State::RecordStart, 1, None);
        for &byte in text(page) {
            let starts = state == State::RecordStart;
            let is_ending = matches!(byte, b'\n' | b'\r');
            if starts && !is_ending {
                walked.records.push(Extent { line, n_bytes: 0, spans_lines: false });
            } else if starts {
                walked.n_leading += u64::from(walked.records.is_empty());
                walked.n_blank_lines += u64::from(!(byte == b'\n' && before == Some(b'\r')));
            }
            let (after, event) = state.step(byte);
            if event == Event::StrayQuote {
                walked.strays += 1;
                walked.is_entangled |= state == State::Plain && walked.records.last().is_some_and(|r| r.spans_lines);
                if state == State::QuoteInQuoted {
                    let record = walked.records.len() as u64;
                    let line = walked.records.last().map_or(1, |r| r.line);
                    walked.misquoted.get_or_insert((record, line));
                }
            }
            if event != Event::RecordEnd
                && !(starts && is_ending)
                && let Some(open) = walked.records.last_mut()
            {
                open.n_bytes += 1;
                open.spans_lines |= is_ending;
            }
            line += u64::from(byte == b'\n');
            (state, before) = (after, Some(byte));
        }
        walked.is_inside = state != State::RecordStart;
        walked.is_open = state == State::Quoted;
        walked
    }

    /// Whether that is what is wrong, and nothing before it is.
    fn explains(&self, fault: &FramingFault) {
        let too_long = self.records.iter().position(|r| r.n_bytes > self.limit).map(|i| i as u64 + 1);
        match *fault {
            FramingFault::RecordTooLong { record, line, limit } => {
                assert_eq!(limit, self.limit);
                let by_blank_lines = record == 1 && self.n_leading > limit;
                assert!(too_long == Some(record) || by_blank_lines, "record {record} is not the first too long one");
                if !by_blank_lines {
                    assert_eq!(line, self.records[record as usize - 1].line, "the line of record {record}");
                }
            }
            FramingFault::OpenQuote { record, line } => {
                assert!(self.is_open && record == self.records.len() as u64, "no open quote in record {record}");
                assert_eq!(line, self.records[record as usize - 1].line, "the line of record {record}");
                assert_eq!(too_long, None);
            }
        }
    }
}
