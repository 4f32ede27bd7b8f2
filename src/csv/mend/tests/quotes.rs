//! Stray quotes: one record is lost, never the rest of the page.

use super::*;

fn mended(text: &str, rules: MendRules) -> (String, Vec<&'static str>) {
    check(text.as_bytes(), rules);
    let outcome = all(text.as_bytes(), rules);
    assert_eq!(outcome.joined, []);
    let reasons = outcome.rejected.iter().map(|r| r.reason.kind()).collect();
    (String::from_utf8(outcome.output).unwrap(), reasons)
}

#[track_caller]
fn loses(text: &str, rules: MendRules, reasons: &[&str], output: &str) {
    for rules in [rules, MendRules { join: false, ..rules }] {
        let (found, why) = mended(text, rules);
        assert_eq!((found.as_str(), &why[..]), (output, reasons), "{text:?}");
    }
}

#[test]
fn c5_text_behind_a_closing_quote_loses_that_record() {
    loses("1,a,b\n2,\"c\"d,e\n3,f,g\n", rules(3), &["misquoted"], "1,a,b\n3,f,g\n");
    loses("1,a,b\n2,\"c\"d,e", rules(3), &["misquoted"], "1,a,b\n");
    loses("\"1\" x\n2\n", rules(1), &["misquoted"], "2\n");
}

#[test]
fn c5_a_quote_inside_an_unquoted_field_does_no_harm() {
    let text = "1,5\" pipe,b\n2,\"multi\nline\",5\"\n";
    assert_eq!(mended(text, rules(3)).0, text);
}

#[test]
fn c6_a_quote_that_is_never_closed_loses_its_record_and_no_later_one() {
    loses("1,a,b\n2,\"c,d\n3,f,g\n4,h,i\n", rules(3), &["open_quote"], "1,a,b\n3,f,g\n4,h,i\n");
    loses("1,a\n2,\"b", rules(2), &["open_quote"], "1,a\n");
    loses("\"1,a\n2,b\n", rules(2), &["open_quote"], "2,b\n");
}

#[test]
fn c5_a_quote_closed_by_a_later_record_loses_the_one_that_opened_it() {
    let text = "1,a,b,c\n2,\"d,e,f\n3,g,h,i\n4,\"j\",k,l\n5,m,n,o\n";
    loses(text, rules(4), &["misquoted"], "1,a,b,c\n3,g,h,i\n4,\"j\",k,l\n5,m,n,o\n");
    let text = "1,a,b\n2,\"d,e\n3,g,h\n4,\"j\",k\n5,m,n\n";
    loses(text, digits(3), &["misquoted"], "1,a,b\n3,g,h\n4,\"j\",k\n5,m,n\n");
    // Three free columns: a line of the quoted text could look just like a record.
    loses(text, rules(3), &["misquoted"], "1,a,b\n5,m,n\n");
}

#[test]
fn c5_a_record_that_reads_in_two_ways_is_lost() {
    // By its quotes it has three fields and two lines; with the first quote as an ordinary byte, a line is a record.
    loses("1,\"a,b\n2\",c\" x\n3,d,e\n", rules(3), &["entangled"], "3,d,e\n");
    // The same quotes, but the first line alone is no record.
    let text = "1,\"a b\n2\",c\" x\n3,d,e\n";
    assert_eq!(mended(text, rules(3)).0, text);
}

#[test]
fn c6_a_record_longer_than_the_limit_is_lost_and_named_by_it() {
    let rules = MendRules { record_bytes: 20, ..rules(2) };
    let text = format!("1,a\n2,{}\n3,c\n4,\"{}\n5,d\n", "b".repeat(90), "e".repeat(70));
    let outcome = all(text.as_bytes(), rules);
    check(text.as_bytes(), rules);
    assert_eq!(outcome.output, b"1,a\n3,c\n5,d\n");
    assert!(outcome.rejected.iter().all(|r| r.reason == Reason::TooLong { limit: 20 }));
    assert_eq!(outcome.rejected[0].place, Place { record: 2, line: 2 });
}

/// The most bytes that a receiver was given at once.
#[derive(Default)]
struct Most(usize, u64);

impl Mended for Most {
    type Error = Infallible;

    fn good(&mut self, bytes: &[u8], n_records: u64) -> Result<(), Infallible> {
        self.0 = self.0.max(bytes.len());
        self.1 += n_records;
        Ok(())
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Infallible> {
        self.0 = self.0.max(joined.after.len());
        Ok(())
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Infallible> {
        self.0 = self.0.max(rejected.bytes.len());
        Ok(())
    }
}

#[test]
fn c6_pages_of_nothing_but_damage_are_read_about_once_in_bounded_memory() {
    let rules =
        |n_columns| MendRules { n_columns, join: true, record_bytes: 4096, key_shape: None, header_first: false };
    for line in [
        "x",
        "\"",
        "1,\"a,b",
        "5\",\"abc",
        "\n",
        "1,2",
        "1,2,3,4,5,6",
        "\"a\"b",
        ",\"\"",
        "x,\"",
        "5\",\"abc\n2,\",\",y",
        "5\",\"abc\n2,\",\",y,z",
        "\",\",\"",
        "5\",\"abc\nq\nq\nq\nq\n1,2,3,4",
    ] {
        let page = format!("{line}\n").repeat(60_000 / (line.len() + 1));
        for n_columns in [1, 3, 4, 9] {
            for key_shape in [None, Some(KeyShape::Digits)] {
                let mut most = Most::default();
                let mut mender = Mender::new(MendRules { key_shape, ..rules(n_columns) }, Place { record: 1, line: 1 });
                for chunk in page.as_bytes().chunks(1000) {
                    let Ok(()) = mender.push(chunk, &mut most);
                }
                let Ok(()) = mender.finish(&mut most);
                assert!(most.0 <= 3 * 4096 + 1000, "{line:?} with {n_columns} columns: {}", most.0);
            }
        }
    }
}

#[test]
fn c5_rows_that_a_stray_quote_has_swallowed_up_to_a_quote_at_a_line_s_end_come_back() {
    for join in [false, true] {
        let rules = MendRules { join, ..digits(3) };
        let text = "1,x,n\n2,x,\"open\n3,x,n\n4,x,n\n5,x,\"\nmulti\"\n6,x,n\n";
        check(text.as_bytes(), rules);
        let outcome = all(text.as_bytes(), rules);
        let kept = "1,x,n\n3,x,n\n4,x,n\n5,x,\"\nmulti\"\n6,x,n\n";
        assert_eq!(String::from_utf8_lossy(&outcome.output), kept, "{outcome:?}");
        assert_eq!(outcome.rejected.iter().map(|r| r.bytes.as_slice()).collect::<Vec<_>>(), [b"2,x,\"open"]);
    }
    // Lines of text that begin no record stay what they are, whatever stands behind them.
    let text = "1,x,\"two\nlines\"\n2,5\" pipe\n3,x,n\n";
    let outcome = all(text.as_bytes(), digits(3));
    assert_eq!(String::from_utf8_lossy(&outcome.output), "1,x,\"two\nlines\"\n3,x,n\n", "{outcome:?}");
}
