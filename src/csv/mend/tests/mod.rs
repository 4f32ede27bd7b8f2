//! The mender: what becomes of each damage, and what holds for every text whatever is in it.

mod damage;
mod every_text;
mod joins;
mod quotes;
mod shapes;

use std::convert::Infallible;

use super::*;

/// What a mender handed on, call by call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Good(Vec<u8>, u64),
    Joined { place: Place, before: Vec<u8>, after: Vec<u8>, line_ending: Vec<u8>, breaks: Vec<u64> },
    Rejected { place: Place, reason: Reason, bytes: Vec<u8> },
}

/// Keeps the calls; good runs that follow one another are kept as one.
#[derive(Debug, Default)]
struct Calls(Vec<Call>);

impl Mended for Calls {
    type Error = Infallible;

    fn good(&mut self, bytes: &[u8], n_records: u64) -> Result<(), Infallible> {
        assert!(bytes.last().is_none_or(|b| n_records > 0 || matches!(b, b'\n' | b'\r' | 0xbf)), "cut in a record");
        if let Some(Call::Good(run, n)) = self.0.last_mut() {
            run.extend_from_slice(bytes);
            *n += n_records;
        } else {
            self.0.push(Call::Good(bytes.to_vec(), n_records));
        }
        Ok(())
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Infallible> {
        let Joined { place, before, after, line_ending, breaks } = *joined;
        self.0.push(Call::Joined {
            place,
            before: before.to_vec(),
            after: after.to_vec(),
            line_ending: line_ending.to_vec(),
            breaks: breaks.to_vec(),
        });
        Ok(())
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Infallible> {
        let Rejected { place, reason, bytes } = *rejected;
        self.0.push(Call::Rejected { place, reason, bytes: bytes.to_vec() });
        Ok(())
    }
}

fn rules(n_columns: u64) -> MendRules {
    MendRules { n_columns, join: true, record_bytes: 1 << 20, key_shape: None, header_first: false }
}

fn digits(n_columns: u64) -> MendRules {
    MendRules { key_shape: Some(KeyShape::Digits), ..rules(n_columns) }
}

fn calls(chunks: &[&[u8]], rules: MendRules) -> Vec<Call> {
    let mut calls = Calls::default();
    let mut mender = Mender::new(rules, Place { record: 1, line: 1 });
    for chunk in chunks {
        let Ok(()) = mender.push(chunk, &mut calls);
    }
    let Ok(()) = mender.finish(&mut calls);
    calls.0
}

/// Field counts of all records, as the `csv` crate reads them.
fn counts(text: &[u8]) -> Vec<u64> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader.byte_records().map(|r| r.unwrap().len() as u64).collect()
}

/// What holds whatever the text.
#[track_caller]
fn check(text: &[u8], rules: MendRules) -> Vec<Call> {
    let calls = calls(&[text], rules);
    let shown = format!("{:?} {rules:?}\n{calls:?}", String::from_utf8_lossy(text));
    let mut rest = text;
    let (mut output, mut n_output) = (Vec::new(), 0);
    let mut record = 1;
    for call in &calls {
        let line = 1 + text[..text.len() - rest.len()].iter().filter(|b| **b == b'\n').count() as u64;
        match call {
            Call::Good(bytes, n) => {
                rest = rest.strip_prefix(&bytes[..]).unwrap_or_else(|| panic!("good bytes: {shown}"));
                output.extend_from_slice(bytes);
                n_output += n;
                record += n;
            }
            Call::Joined { place, before, after, line_ending, breaks } => {
                assert_eq!(*place, Place { record, line }, "{shown}");
                assert!(!breaks.is_empty(), "{shown}");
                rest = rest.strip_prefix(&before[..]).unwrap_or_else(|| panic!("joined bytes: {shown}"));
                rest = rest.strip_prefix(&line_ending[..]).unwrap_or_else(|| panic!("line ending: {shown}"));
                assert_eq!(counts(after), [rules.n_columns], "{shown}");
                output.extend_from_slice(after);
                output.extend_from_slice(line_ending);
                n_output += 1;
                record += counts(before).len() as u64;
            }
            Call::Rejected { place, bytes, .. } => {
                assert_eq!(*place, Place { record, line }, "{shown}");
                assert!(!bytes.is_empty(), "{shown}");
                rest = rest.strip_prefix(&bytes[..]).unwrap_or_else(|| panic!("rejected bytes: {shown}"));
                rest = match rest {
                    [b'\r', b'\n', rest @ ..] | [b'\r' | b'\n', rest @ ..] => rest,
                    _ => rest,
                };
                record += 1;
            }
        }
    }
    assert_eq!(rest, b"", "left over: {shown}");
    let found = counts(&output);
    assert_eq!(found.len() as u64, n_output, "records of the output: {shown}");
    assert!(found.iter().all(|n| *n == rules.n_columns), "fields of the output: {shown}");
    calls
}
