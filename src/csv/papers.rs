//! What is written down of records that were not delivered as they came: rows of the rejects file, receipts of repairs.
//!
//! A reject keeps its bytes as a CSV field, so that nothing is lost that the tenant sent. A receipt is a line of JSON, which
//! is text: where the bytes are no UTF-8 it carries them in base64 beside what can be shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::mend::{Joined, Rejected};

/// The first record of a rejects file.
pub const REJECTS_HEADER: &[u8] = b"page,line,reason,record\n";

/// Adds the rejects file's row for a record of that page.
pub fn reject_row(page: u64, rejected: &Rejected<'_>, out: &mut Vec<u8>) {
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    let (page, line, reason) = (page.to_string(), rejected.place.line.to_string(), rejected.reason.to_string());
    let written = writer.write_record([page.as_bytes(), line.as_bytes(), reason.as_bytes(), rejected.bytes]).is_ok()
        && { writer.flush().is_ok() };
    debug_assert!(written, "memory takes every write");
}

#[derive(Serialize)]
struct Receipt<'a> {
    page: u64,
    record: u64,
    line: u64,
    before: &'a str,
    after: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_base64: Option<String>,
}

/// Adds the receipt of a record of that page, with its line feed.
pub fn receipt(page: u64, joined: &Joined<'_>, out: &mut Vec<u8>) {
    let (before, after) = (String::from_utf8_lossy(joined.before), String::from_utf8_lossy(joined.after));
    let bytes_of = |bytes: &[u8]| std::str::from_utf8(bytes).is_err().then(|| STANDARD.encode(bytes));
    let receipt = Receipt {
        page,
        record: joined.place.record,
        line: joined.place.line,
        before: &before,
        after: &after,
        before_base64: bytes_of(joined.before),
        after_base64: bytes_of(joined.after),
    };
    let text = serde_json::to_string(&receipt).expect("a receipt holds only text and numbers");
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::mend::{Place, Reason};

    #[test]
    fn a_reject_reads_back_byte_for_byte() {
        let bytes = b"1,\"two\nlines\",\xff,rest";
        let reason = Reason::Ragged { n_fields: 4, expected: 3 };
        let mut out = REJECTS_HEADER.to_vec();
        reject_row(7, &Rejected { place: Place { record: 3, line: 5 }, reason, bytes }, &mut out);
        let mut reader = csv::Reader::from_reader(out.as_slice());
        let row = reader.byte_records().next().unwrap().unwrap();
        assert_eq!((&row[0], &row[1], &row[3]), (&b"7"[..], &b"5"[..], &bytes[..]));
        assert_eq!(&row[2], reason.to_string().as_bytes());
    }

    #[test]
    fn a_receipt_carries_bytes_that_are_no_text() {
        let place = Place { record: 3, line: 5 };
        let mut out = Vec::new();
        let joined =
            Joined { place, before: b"1,\xffa\nb", after: b"1,\"\xffa\nb\"", line_ending: b"\n", breaks: &[5] };
        receipt(7, &joined, &mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (read["page"].as_u64(), read["record"].as_u64(), read["line"].as_u64()),
            (Some(7), Some(3), Some(5))
        );
        assert_eq!(read["after"], "1,\"\u{fffd}a\nb\"");
        assert_eq!(STANDARD.decode(read["before_base64"].as_str().unwrap()).unwrap(), joined.before);
        assert_eq!(out.last(), Some(&b'\n'));
    }
}
