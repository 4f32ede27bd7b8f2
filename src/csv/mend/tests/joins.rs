//! Records broken by raw newlines, by column and by what stands around them.

use super::*;

/// Mends `text` and says what came out, what was joined and why the rest was set aside.
fn mended(text: &str, rules: MendRules) -> (String, Vec<String>, Vec<&'static str>) {
    check(text.as_bytes(), rules);
    let outcome = all(text.as_bytes(), rules);
    let joined = outcome.joined.into_iter().map(|j| String::from_utf8(j.after).unwrap()).collect();
    let reasons = outcome.rejected.iter().map(|r| r.reason.kind()).collect();
    (String::from_utf8(outcome.output).unwrap(), joined, reasons)
}

#[track_caller]
fn becomes(text: &str, rules: MendRules, output: &str) {
    let (found, joined, reasons) = mended(text, rules);
    assert_eq!((found.as_str(), &reasons[..]), (output, &[][..]), "{text:?}");
    assert!(!joined.is_empty());
}

#[track_caller]
fn sets_aside(text: &str, rules: MendRules, reasons: &[&str], output: &str) {
    let (found, joined, why) = mended(text, rules);
    assert_eq!((found.as_str(), &why[..]), (output, reasons), "{text:?}");
    assert!(joined.is_empty());
}

#[test]
fn c2_a_record_broken_in_a_middle_column_is_joined() {
    becomes("1,a,b\n2,c\nd,e\n3,f,g\n", rules(3), "1,a,b\n2,\"c\nd\",e\n3,f,g\n");
    becomes("2,c\nd,e\n3,f,g\n", rules(3), "2,\"c\nd\",e\n3,f,g\n");
    becomes("1,a,b\n2,c\nd,e", rules(3), "1,a,b\n2,\"c\nd\",e");
    becomes("1,a,b\r\n2,c\r\nd,e\r\n3,f,g\r\n", rules(3), "1,a,b\r\n2,\"c\r\nd\",e\r\n3,f,g\r\n");
    becomes("1,a,b\r2,c\rd,e\r3,f,g\r", rules(3), "1,a,b\r2,\"c\rd\",e\r3,f,g\r");
    becomes("1,a,b\n2,c\nd\nx\ne,f\n", rules(3), "1,a,b\n2,\"c\nd\nx\ne\",f\n");
    becomes("1,a,b\n2,c\n\n\r\nd,e\n", rules(3), "1,a,b\n2,\"c\n\n\r\nd\",e\n");
    becomes("1,a,b,c\n2,x\ny,z\nw,v\n", rules(4), "1,a,b,c\n2,\"x\ny\",\"z\nw\",v\n");
    becomes("1,\"q\",b,c\n2,\"q,\"\"\",z\nw,v\n", rules(4), "1,\"q\",b,c\n2,\"q,\"\"\",\"z\nw\",v\n");
    becomes("1,a,b\n2,\n,e\n", rules(3), "1,a,b\n2,\"\n\",e\n");
}

#[test]
fn c2_broken_records_side_by_side_are_joined_each_for_itself() {
    becomes("1,a\nb,c\n2,d\ne,f\n3,g,h\n", rules(3), "1,\"a\nb\",c\n2,\"d\ne\",f\n3,g,h\n");
    becomes("1,a\nb,c\n2,d\ne,f\n", digits(3), "1,\"a\nb\",c\n2,\"d\ne\",f\n");
    becomes("1,a,b\nx\n2,c\nd,e\ny\nz\n3,f,g\n", digits(3), "1,a,\"b\nx\"\n2,\"c\nd\",\"e\ny\nz\"\n3,f,g\n");
}

#[test]
fn c2_the_last_column_is_joined_only_if_no_record_can_begin_so() {
    becomes("1,a,b\nc\n2,d,e\n", digits(3), "1,a,\"b\nc\"\n2,d,e\n");
    becomes("1,a,b\n\nc\n\nd\n2,d,e\n", digits(3), "1,a,\"b\n\nc\n\nd\"\n2,d,e\n");
    becomes("1,a,b\nc", digits(3), "1,a,\"b\nc\"");
    sets_aside("0,p,q\n1,a,b\nc\n2,d,e\n3,f,g\n", rules(3), &["neighbour", "ambiguous", "neighbour"], "0,p,q\n3,f,g\n");
    sets_aside("1,a,b\nTotal: 3", rules(3), &["neighbour", "ambiguous"], "");
    sets_aside("Title\n1,a,b\n2,c,d\n", rules(3), &["ambiguous", "neighbour"], "2,c,d\n");
}

#[test]
fn c2_a_line_that_begins_like_a_key_may_be_a_record_cut_short() {
    sets_aside("1,a,b\n2;c;d\n3,e,f\n", digits(3), &["neighbour", "ambiguous", "neighbour"], "");
    sets_aside("1,a,b\n42\n3,e,f\n", digits(3), &["neighbour", "ambiguous", "neighbour"], "");
    sets_aside("1,a,b\n42", digits(3), &["neighbour", "ambiguous"], "");
    sets_aside("1,ab\n2,cd\n3,e,f\n", digits(3), &["ambiguous", "ambiguous"], "3,e,f\n");
    // A break within the key: what looks whole behind it has half a key.
    sets_aside("1,a,b\n48\n05,e,f\n6,g,h\n", digits(3), &["neighbour", "ambiguous", "neighbour"], "6,g,h\n");
    let uuid = MendRules { key_shape: Some(KeyShape::Uuid), ..rules(2) };
    let key = "0f8fad5b-d9cb-469f-a165-70867728950e";
    sets_aside(&format!("{key},b\n3f2a55"), uuid, &["neighbour", "ambiguous"], "");
    becomes(&format!("{key},b\nadded it"), uuid, &format!("{key},\"b\nadded it\""));
}

#[test]
fn c2_what_hints_at_another_reading_is_not_joined() {
    sets_aside("1,\"x\"\nmore,b\n2,c,d\n", rules(3), &["beside_quotes"; 2], "2,c,d\n");
    sets_aside("1,x\n\"more\",b\n2,c,d\n", rules(3), &["beside_quotes"; 2], "2,c,d\n");
    sets_aside("1,back\nand again\",x\n2,c,d\n", rules(3), &["stray_quote"; 2], "2,c,d\n");
    sets_aside("1,5\" pipe,a\nb,c\n2,c,d,e\n", rules(4), &["stray_quote"; 2], "2,c,d,e\n");
    sets_aside("1,a\0\nb,c\n2,c,d\n", rules(3), &["nul"; 2], "2,c,d\n");
    sets_aside("1,a,\"b\"\nc\n2,d,e\n", digits(3), &["neighbour", "beside_quotes"], "2,d,e\n");
}

#[test]
fn c2_the_header_is_left_alone() {
    let with_header = |rules| MendRules { header_first: true, ..rules };
    becomes("id,a,b\n1,c\nd,e\n", with_header(digits(3)), "id,a,b\n1,\"c\nd\",e\n");
    sets_aside("id,a,b\nx\n1,c,d\n", with_header(digits(3)), &["ambiguous"], "id,a,b\n1,c,d\n");
    sets_aside("id,a,b\nx\n1,c,d\n2,e,f\n", with_header(rules(3)), &["ambiguous", "neighbour"], "id,a,b\n2,e,f\n");
    sets_aside("id,a,b\nx", with_header(rules(3)), &["ambiguous"], "id,a,b\n");
    sets_aside("id,a,b\nx,y\n1,c,d\n", with_header(digits(3)), &["ragged"], "id,a,b\n1,c,d\n");
}

#[test]
fn c2_too_many_or_too_few_fields_alone_cost_no_neighbour() {
    sets_aside("1,a,b\n2,c\n3,d,e\n", rules(3), &["ragged"], "1,a,b\n3,d,e\n");
    sets_aside("1,a,b\n2,c,d,e\n3,d,e\n", rules(3), &["ragged"], "1,a,b\n3,d,e\n");
    sets_aside("1\n2,a\n3\n", rules(1), &["ragged"], "1\n3\n");
    sets_aside("1,a,b\nx,c,d\n3,d,e\n", digits(3), &["key_shape"], "1,a,b\n3,d,e\n");
}

#[test]
fn without_joining_every_good_record_stays() {
    let off = MendRules { join: false, ..rules(3) };
    sets_aside("1,a,b\nc\n2,d,e\n3,f\ng,h\n", off, &["ragged"; 3], "1,a,b\n2,d,e\n");
}

#[test]
fn a_receipt_tells_the_line_of_each_break() {
    let outcome = all(b"1,a,b\n2,\"x\ny\",b\n3,c\n\nd\r\ne,f\n", rules(3));
    let [joined] = &outcome.joined[..] else { panic!("{outcome:?}") };
    assert_eq!(joined.place, Place { record: 3, line: 4 });
    assert_eq!(joined.breaks, [4, 5, 6]);
    assert_eq!(joined.before, b"3,c\n\nd\r\ne,f");
}

#[test]
fn c6_more_than_a_record_may_hold_is_not_judged() {
    let short = MendRules { record_bytes: 12, ..digits(3) };
    let why = ["neighbour", "region_too_large", "region_too_large", "region_too_large"];
    sets_aside("1,a,b\nccccc\nddddd\ne\n2,d,e\n", short, &why, "2,d,e\n");
    let quoted = MendRules { record_bytes: 6, ..digits(3) };
    sets_aside("1,a,b\nc\n2,d,e\n", quoted, &["neighbour", "region_too_large"], "2,d,e\n");
    let longer_when_quoted = MendRules { record_bytes: 7, ..digits(3) };
    sets_aside("1,a,b\nc\n2,d,e\n", longer_when_quoted, &["neighbour", "too_long"], "2,d,e\n");
}
