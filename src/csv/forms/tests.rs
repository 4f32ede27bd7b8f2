//! What comes out is read with the `csv` crate, as whoever gets the file might read it.

use proptest::prelude::*;

use super::*;

const ESCAPE: FormRules = FormRules { escape_newlines: true, excel_safe: false, replace_invalid_utf8: false };
const GUARD: FormRules = FormRules { escape_newlines: false, excel_safe: true, replace_invalid_utf8: false };
const REPLACE: FormRules = FormRules { escape_newlines: false, excel_safe: false, replace_invalid_utf8: true };
const ALL: FormRules = FormRules { escape_newlines: true, excel_safe: true, replace_invalid_utf8: true };

fn formed<'a>(rules: FormRules, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, FormCounts) {
    let (mut former, mut out) = (Former::new(rules), Vec::new());
    chunks.into_iter().for_each(|chunk| former.push(chunk, &mut out));
    let counts = former.finish(&mut out);
    (out, counts)
}

fn whole(rules: FormRules, text: &[u8]) -> Vec<u8> {
    formed(rules, [text]).0
}

fn records_of(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    // A small buffer, since there are many small texts.
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(64).from_reader(text);
    reader.byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
}

fn each_field(records: Vec<Vec<Vec<u8>>>, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Vec<Vec<u8>>> {
    records.into_iter().map(|record| record.iter().map(|field| change(field)).collect()).collect()
}

fn with_line_feeds(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, &byte) in field.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && field[at - 1] == b'\r' => {}
            b'\r' => out.push(b'\n'),
            byte => out.push(byte),
        }
    }
    out
}

/// The rule of numbers once more, over a whole text.
fn is_number(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_exponent = |exponent: &str| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    };
    digits(before)
        && digits(behind)
        && before.len() + behind.len() > 0
        && exponent.is_none_or(has_exponent)
        && text.len() <= number::MOST_BYTES
}

fn guarded(field: &[u8]) -> Vec<u8> {
    let is_run = field.first().is_some_and(|first| b"=+-@\t\r".contains(first)) && !is_number(field);
    if is_run { [b"'", field].concat() } else { field.to_vec() }
}

/// What the rules say of a text, by way of its records.
fn check(text: &[u8]) -> Result<(), String> {
    let before = records_of(text);
    let told = |what: &str, out: &[u8]| {
        format!("{what}: {:?} became {:?}", String::from_utf8_lossy(text), String::from_utf8_lossy(out))
    };

    let escaped = whole(ESCAPE, text);
    let due = each_field(before.clone(), with_line_feeds);
    let after = records_of(&escaped);
    if after.iter().flatten().any(|field| field.iter().any(|byte| b"\r\n".contains(byte))) {
        return Err(told("a newline is left", &escaped));
    }
    if each_field(after, unescape) != due {
        return Err(told("newlines can't be had back", &escaped));
    }

    let (safe, counts) = formed(GUARD, [text]);
    let after = records_of(&safe);
    if after != each_field(before.clone(), guarded) {
        return Err(told("excel_safe", &safe));
    }
    let n_changed = before.iter().flatten().zip(after.iter().flatten()).filter(|(a, b)| a != b).count();
    if counts != (FormCounts { n_excel_safe: n_changed as u64, n_replaced: 0 }) {
        return Err(told("counts", &safe));
    }

    let both = whole(FormRules { escape_newlines: true, ..GUARD }, text);
    if each_field(records_of(&both), unescape) != each_field(before, |field| with_line_feeds(&guarded(field))) {
        return Err(told("both", &both));
    }
    Ok(())
}

/// Every text over `alphabet` up to `len` bytes.
fn texts(alphabet: &[u8], len: u32) -> impl Iterator<Item = Vec<u8>> {
    let n = alphabet.len();
    (0..=len).flat_map(move |len| (0..n.pow(len)).map(move |k| (0..len).map(|i| alphabet[k / n.pow(i) % n]).collect()))
}

#[test]
fn newlines_can_be_had_back_from_every_short_text() {
    for text in texts(b"\\na\r\n\",", 6) {
        let before = records_of(&text);
        let escaped = whole(ESCAPE, &text);
        // Reading is what takes time here, and what has not changed need not be read again.
        let after = if escaped == text { before.clone() } else { records_of(&escaped) };
        let due = each_field(before, with_line_feeds);
        assert_eq!(each_field(after, unescape), due, "{:?}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn s4_each_rule_does_what_it_says_to_every_short_text() {
    for inner in texts(b"\\n\r\n\"-=1", 4) {
        check(&inner).unwrap();
        check(&[b"a,\"", &inner[..], b"\",b\n"].concat()).unwrap();
        check(&[b",", &inner[..], b"x"].concat()).unwrap();
    }
}

#[test]
fn every_cut_of_a_short_text_gives_the_same() {
    for text in texts(b"\\n\r\"-1,", 5) {
        let due = formed(ALL, [&text[..]]);
        assert_eq!(formed(ALL, text.chunks(1)), due, "{:?}", String::from_utf8_lossy(&text));
        for at in 1..text.len() {
            assert_eq!(formed(ALL, [&text[..at], &text[at..]]), due, "{:?} at {at}", String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn a_newline_in_a_field_becomes_two_characters_and_the_field_keeps_its_quotes() {
    assert_eq!(whole(ESCAPE, b"1,\"a\nb\r\nc\rd\"\r\n2,e\n"), b"1,\"a\\nb\\nc\\nd\"\r\n2,e\n");
    assert_eq!(whole(ESCAPE, b"\"\n\"\"\n\"\n"), b"\"\\n\"\"\\n\"\n");
}

#[test]
fn a_backslash_is_doubled_only_where_it_could_be_misread() {
    assert_eq!(whole(ESCAPE, br"C:\temp\new,\\,\,\x"), br"C:\temp\\new,\\\,\,\x");
    assert_eq!(whole(ESCAPE, b"\"a\\\nb\\\",\"\\\"\"n\"\n"), b"\"a\\\\\\nb\\\",\"\\\"\"n\"\n");
    assert_eq!(whole(GUARD, br"C:\temp\new"), br"C:\temp\new");
}

#[test]
fn s4_a_cell_that_would_be_run_is_neutral_and_a_number_stays() {
    let cells = b"=cmd|' /C calc'!A0,-5,+49 30 123,@SUM(1),\"=1+1\",\"-1.5e3\",-,\tx,\"\ry\",2024-01-01,a=b\n";
    let (out, counts) = formed(GUARD, [&cells[..]]);
    assert_eq!(
        out,
        b"'=cmd|' /C calc'!A0,-5,'+49 30 123,'@SUM(1),\"'=1+1\",\"-1.5e3\",'-,'\tx,\"'\ry\",2024-01-01,a=b\n"
    );
    assert_eq!(counts.n_excel_safe, 7);
    assert_eq!(whole(FormRules::default(), cells), cells, "verbatim by default");
}

#[test]
fn s4_the_header_s_fields_are_fields_like_any_other() {
    assert_eq!(whole(GUARD, b"=id,name\n1,a\n"), b"'=id,name\n1,a\n");
    assert_eq!(whole(GUARD, b"\xef\xbb\xbf=id\n"), b"\xef\xbb\xbf'=id\n", "behind a byte order mark too");
}

#[test]
fn s4_what_a_field_begins_with_is_judged_before_its_newlines_are_written_anew() {
    let both = FormRules { escape_newlines: true, ..GUARD };
    assert_eq!(whole(both, b"\"\ra\",\"\na\",\"-\n\"\n"), b"\"'\\na\",\"\\na\",\"'-\\n\"\n");
}

#[test]
fn s4_a_number_of_four_hundred_bytes_is_one_and_a_longer_one_is_text() {
    for (n, is_text) in [(399, false), (400, true), (100_000, true)] {
        let field = format!("-{}", "7".repeat(n));
        let due = if is_text { format!("'{field},\"'{field}\"\n") } else { format!("{field},\"{field}\"\n") };
        let text = format!("{field},\"{field}\"\n");
        assert!(whole(GUARD, text.as_bytes()) == due.as_bytes());
        assert!(formed(GUARD, text.as_bytes().chunks(7)).0 == due.as_bytes());
    }
}

#[test]
fn a_number_at_the_very_end_comes_out() {
    assert_eq!(whole(GUARD, b"a,-5"), b"a,-5");
    assert_eq!(whole(GUARD, b"a,-"), b"a,'-");
    assert_eq!(whole(ALL, b"a\\"), b"a\\");
    assert_eq!(whole(GUARD, b"\xef\xbb"), b"\xef\xbb");
}

#[test]
fn c3_a_byte_order_mark_passes_and_a_quote_behind_it_opens_a_field() {
    let text = b"\xef\xbb\xbf\"a\nb\",c\n";
    for size in 1..text.len() {
        assert_eq!(formed(ESCAPE, text.chunks(size)).0, b"\xef\xbb\xbf\"a\\nb\",c\n");
    }
}

#[test]
fn c3_every_short_run_of_odd_bytes_is_replaced_as_the_standard_library_does_however_it_is_cut() {
    // Starts of characters of each length, those that are none, bytes that only go on, and text.
    let alphabet = b"a\xc3\xe2\xed\xf0\xf4\xff\x82\x9f\xa0";
    for text in texts(alphabet, 4) {
        let lossy = String::from_utf8_lossy(&text);
        let due = (lossy.as_bytes().to_vec(), formed(REPLACE, [&text[..]]).1);
        assert_eq!(due.1.n_replaced, lossy.matches('\u{fffd}').count() as u64);
        for size in 1..=text.len().max(1) {
            assert_eq!(formed(REPLACE, text.chunks(size)), due, "{text:x?} by {size}");
        }
    }
}

#[test]
fn c3_a_replacement_character_that_was_there_is_not_counted() {
    let (out, counts) = formed(REPLACE, ["a\u{fffd}b".as_bytes(), b"\xff"]);
    assert_eq!((out, counts.n_replaced), ("a\u{fffd}b\u{fffd}".into(), 1));
}

fn checked(text: &[u8], size: usize) -> Result<(), BadUtf8> {
    let mut check = Utf8Check::default();
    text.chunks(size).try_for_each(|chunk| check.push(chunk))?;
    check.finish()
}

#[test]
fn c3_the_first_bytes_that_are_no_utf_8_are_named_by_offset_and_line_however_they_are_cut() {
    for (text, offset, line) in [
        (&b"id\n\xc3\xa9t\xe9\n\xff"[..], 6, 2),
        (b"\xff", 0, 1),
        (b"a\nb\n\xe2\x82", 4, 3),
        (b"\xe2\x82\n", 0, 1),
        (b"\xed\xa0\x80", 0, 1),
    ] {
        for size in 1..=text.len() {
            assert_eq!(checked(text, size), Err(BadUtf8 { offset, line }), "{text:x?} by {size}");
        }
    }
}

#[test]
fn c3_every_short_run_of_odd_bytes_is_judged_as_the_standard_library_does() {
    for text in texts(b"\n\xc3\xe2\xf0\xff\x82\x9f", 5) {
        let due = std::str::from_utf8(&text).map_err(|error| {
            let n_line_feeds = text[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
            BadUtf8 { offset: error.valid_up_to() as u64, line: n_line_feeds as u64 + 1 }
        });
        for size in [1, 2, 5] {
            assert_eq!(checked(&text, size), due.map(|_| ()), "{text:x?} by {size}");
        }
    }
}

#[test]
fn a_check_that_failed_goes_on_failing_in_the_same_place() {
    let mut check = Utf8Check::default();
    let bad = BadUtf8 { offset: 1, line: 1 };
    assert_eq!(check.push(b"a\xff\xff"), Err(bad));
    assert_eq!(check.push(b"b\n"), Err(bad));
    assert_eq!(check.finish(), Err(bad));
}

/// Rows with fields of every kind, longer than a block of the search.
fn rows() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        3 => "[a-z ]{0,40}",
        1 => "[-+=@\\\\n0-9.e]{1,12}",
        1 => "[-+]?[0-9]{1,6}(\\.[0-9]{1,3})?",
        2 => "[a-zé\\\\n,=-]{0,30}".prop_map(|text| format!("\"{text}\"")),
        2 => "([\r\n,\\\\n=é+-]|\"\"|[a-z]{1,20}){0,9}".prop_map(|text| format!("\"{text}\"")),
    ];
    let row = (prop::collection::vec(field, 1..6), prop_oneof!["\n", "\r\n", "\r"]);
    prop::collection::vec(row, 0..12)
        .prop_map(|rows| rows.into_iter().flat_map(|(fields, end)| (fields.join(",") + &end).into_bytes()).collect())
}

/// `text` cut at these places, whatever they are.
fn cut<'a>(text: &'a [u8], at: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = at.iter().map(|at| at.index(text.len() + 1)).collect();
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_rule_does_what_it_says_to_rows_of_every_kind(text in rows()) {
        check(&text).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn every_cut_of_any_bytes_gives_the_same(
        mut text in rows(),
        odd in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        at in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
        (escape_newlines, excel_safe, replace_invalid_utf8) in any::<(bool, bool, bool)>(),
    ) {
        if !text.is_empty() {
            odd.iter().for_each(|(place, byte)| *place.get_mut(&mut text) = *byte);
        }
        let rules = FormRules { escape_newlines, excel_safe, replace_invalid_utf8 };
        let due = formed(rules, [&text[..]]);
        prop_assert_eq!(&formed(rules, cut(&text, &at)), &due);
        if replace_invalid_utf8 {
            let one_by_one = formed(FormRules { replace_invalid_utf8: false, ..rules }, [String::from_utf8_lossy(&text).as_bytes()]);
            prop_assert_eq!(one_by_one.0, due.0);
        }
    }
}
