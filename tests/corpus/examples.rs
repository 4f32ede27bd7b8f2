//! The examples of `docs/CSV.md` are what the program writes.

use std::convert::Infallible;
use std::fs;
use std::path::Path;

use cxtract::csv::mend::{Joined, MendRules, Mended, Mender, Place, Rejected, ShapeFinder};
use cxtract::csv::papers::{REJECTS_HEADER, receipt, reject_row};

use super::dice::Dice;
use super::scorer::{lossy, mended};

const PAGE: &str = r#"id,agent,notes
4821,Berg,called back
4822,Ito,asked for a refund
then hung up
4823,"Mc"Coy,no answer
4824,Ödön,"said ""yes"", left"
"#;

const OUTPUT: &str = r#"id,agent,notes
4821,Berg,called back
4822,Ito,"asked for a refund
then hung up"
4824,Ödön,"said ""yes"", left"
"#;

#[derive(Default)]
struct Written {
    output: Vec<u8>,
    receipts: Vec<u8>,
    rejects: Vec<u8>,
}

impl Mended for Written {
    type Error = Infallible;

    fn good(&mut self, bytes: &[u8], _: u64) -> Result<(), Infallible> {
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Infallible> {
        self.output.extend_from_slice(joined.after);
        self.output.extend_from_slice(joined.line_ending);
        receipt(1, joined, &mut self.receipts);
        Ok(())
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Infallible> {
        reject_row(1, rejected, &mut self.rejects);
        Ok(())
    }
}

#[test]
fn c2_the_examples_of_the_document_are_what_is_written() {
    let mut finder = ShapeFinder::new(3, 1000, true);
    finder.push(PAGE.as_bytes());
    let rules =
        MendRules { n_columns: 3, join: true, record_bytes: 1000, key_shape: finder.finish(), header_first: true };
    let mut written = Written { rejects: REJECTS_HEADER.to_vec(), ..Written::default() };
    let mut mender = Mender::new(rules, Place { record: 1, line: 1 });
    let Ok(()) = mender.push(PAGE.as_bytes(), &mut written);
    let Ok(()) = mender.finish(&mut written);
    assert_eq!(String::from_utf8_lossy(&written.output), OUTPUT);

    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CSV.md")).unwrap();
    for (kind, text) in
        [("csv", PAGE.as_bytes()), ("csv", OUTPUT.as_bytes()), ("json", &written.receipts), ("csv", &written.rejects)]
    {
        let block = format!("```{kind}\n{}```\n", String::from_utf8_lossy(text));
        assert!(document.contains(&block), "docs/CSV.md does not show\n{block}");
    }
}

/// Each example of the table of damages: the records delivered of it with `repair: off`, and with `repair: join`.
const DAMAGES: [(&str, &[&str], &[&str]); 6] = [
    ("7,Ito,a,b", &[], &[]),
    ("7,Ito⏎Kenji,hello", &[], &["7,\"Ito⏎Kenji\",hello"]),
    ("7,Ito,\"yes\"⏎but no", &["7,Ito,\"yes\""], &[]),
    ("7,Ito,\"yes\" sir", &[], &[]),
    ("7,\"Ito,hello", &[], &[]),
    ("7,\"Ito,hi⏎8,\",so\"", &[], &[]),
];

#[test]
fn c5_the_damages_of_the_document_come_out_as_its_table_says() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CSV.md")).unwrap();
    for (example, off, join) in DAMAGES {
        assert!(document.contains(&format!("| `{example}` |")), "docs/CSV.md does not show {example}");
        let page = |records: &[&str]| {
            let lines = [&["id,agent,notes", "6,Ek,fine"], records, &["9,Ek,fine", ""]].concat();
            lines.join("\n").replace('⏎', "\n").into_bytes()
        };
        for (records, join) in [(off, false), (join, true)] {
            let delivery = mended(&page(&[example]), join, &mut Dice::seeded(1));
            assert_eq!(lossy(&delivery.output), lossy(&page(records)), "{example} {join}");
            assert_eq!(delivery.rejects.is_empty(), !delivery.joins.is_empty(), "{example} {join}");
        }
    }
}
