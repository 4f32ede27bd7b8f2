//! What first columns look like on whole pages.

use super::*;

fn shape(text: &str, n_columns: u64, skip_first: bool) -> Option<KeyShape> {
    let whole = shape_cut(&[text.as_bytes()], n_columns, skip_first);
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(shape_cut(&bytes, n_columns, skip_first), whole, "{text:?}");
    whole
}

fn shape_cut(chunks: &[&[u8]], n_columns: u64, skip_first: bool) -> Option<KeyShape> {
    let mut finder = ShapeFinder::new(n_columns, 1 << 20, skip_first);
    for chunk in chunks {
        finder.push(chunk);
    }
    finder.finish()
}

#[test]
fn a_shape_is_what_all_good_records_have() {
    assert_eq!(shape("1,a\n2,b\n", 2, false), Some(KeyShape::Digits));
    assert_eq!(shape("\u{feff}1,a\n\"2\",b", 2, false), Some(KeyShape::Digits));
    assert_eq!(shape("id,a\n2,b\n3,c\n", 2, true), Some(KeyShape::Digits));
    assert_eq!(shape("id,a\n2,b\n", 2, false), None);
    assert_eq!(shape("1,a\nx,b\n", 2, false), None);
    assert_eq!(shape("2026-01-31T09:30:00Z,a\n2026-01-31 09:30,b\n", 2, false), Some(KeyShape::Timestamp));
    assert_eq!(shape("2026-01-31T09:30:00Z,a\n1,b\n", 2, false), None);
}

#[test]
fn a_page_without_good_records_has_no_shape() {
    assert_eq!(shape("", 2, false), None);
    assert_eq!(shape("id,a\n", 2, true), None);
    assert_eq!(shape("1\n2\n", 2, false), None);
}

#[test]
fn a_page_without_good_records_joins_only_what_its_first_record_tells_apart() {
    let joined = |text: &str| {
        let mut finder = ShapeFinder::new(3, 1 << 20, true);
        finder.push(text.as_bytes());
        let rules = MendRules { n_columns: 3, join: true, record_bytes: 1 << 20, key_shape: None, header_first: true };
        all(text.as_bytes(), finder.evidence().applied_to(rules)).joined.len()
    };
    assert_eq!(joined("id,y,z\n1,b\n2,d\n3,f\n4,h\n"), 0, "each lacks its last field");
    assert_eq!(joined("id,y,z\nk1,b\nk2,d\n"), 0, "nothing tells a beginning");
    assert_eq!(joined("id,y,z\n1,two\nlines,d\n"), 1);
}

#[test]
fn bad_records_do_not_count() {
    assert_eq!(shape("1,a\nbroken\n2,\"b\"x\ny,z,w\n3,5\" pipe\n4,\"p\nq\"\n", 2, false), Some(KeyShape::Digits));
    let many: String =
        (0..50).map(|n| format!("12345,some text that fills blocks of sixty-four bytes {n}\n")).collect();
    assert_eq!(shape(&format!("id,text\n{many}broken\n{many}"), 2, true), Some(KeyShape::Digits));
    assert_eq!(shape(&format!("id,text\n{many}x1,y\n{many}"), 2, true), None);
}
