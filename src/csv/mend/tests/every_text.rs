//! Every short text over the bytes that matter, and many long ones.

use proptest::prelude::*;

use super::*;

fn texts(alphabet: &[u8], most: u32, mut with: impl FnMut(&[u8])) {
    for len in 0..=most {
        for n in 0..alphabet.len().pow(len) {
            let text: Vec<u8> = (0..len).map(|i| alphabet[n / alphabet.len().pow(i) % alphabet.len()]).collect();
            with(&text);
        }
    }
}

fn all_rules(record_bytes: u64) -> Vec<MendRules> {
    let mut all = Vec::new();
    for n_columns in 1..=3 {
        for (join, key_shape) in [(true, None), (false, None), (true, Some(KeyShape::Digits))] {
            all.push(MendRules { n_columns, join, record_bytes, key_shape, header_first: false });
        }
        all.push(MendRules { header_first: true, key_shape: Some(KeyShape::Digits), ..rules(n_columns) });
    }
    all
}

#[test]
fn c5_every_byte_of_every_short_text_is_accounted_for_and_what_is_delivered_is_good() {
    texts(b"1,\"\n", 6, |text| {
        for rules in all_rules(1 << 20) {
            check(text, rules);
        }
    });
    texts(b"1a,\"\n\r", 4, |text| {
        for rules in all_rules(1 << 20) {
            check(text, rules);
        }
    });
}

#[test]
fn c6_short_limits_lose_no_byte() {
    texts(b"1,\"\n", 5, |text| {
        for limit in [0, 1, 3] {
            for rules in all_rules(limit) {
                check(text, rules);
            }
        }
    });
}

#[test]
fn c1_every_cut_of_every_short_text_gives_the_same() {
    texts(b"1,\"\n", 5, |text| {
        for limit in [1 << 20, 2] {
            for rules in all_rules(limit) {
                let whole = calls(&[text], rules);
                for cut in 1..text.len() {
                    assert_eq!(calls(&[&text[..cut], &text[cut..]], rules), whole, "{text:?} at {cut} by {rules:?}");
                }
            }
        }
    });
}

#[test]
fn good_records_are_the_ones_of_the_csv_crate() {
    texts(b"1,\"\n", 6, |text| {
        for n_columns in 1..=3 {
            let found = counts(text);
            let is_clean = found.iter().all(|n| *n == n_columns);
            let calls = calls(&[text], rules(n_columns));
            if let [Call::Good(bytes, n)] = &calls[..]
                && *n > 0
            {
                assert!(is_clean, "{text:?}");
                assert_eq!((&bytes[..], *n), (text, found.len() as u64));
            }
        }
    });
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => Just(b",".to_vec()),
        4 => Just(b"\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        2 => Just(b"\"".to_vec()),
        2 => Just(b"\"\"".to_vec()),
        2 => Just(b"\",\"".to_vec()),
        2 => Just(b",\"x\ny\",".to_vec()),
        6 => Just(b"\n12,ab,cd\n".to_vec()),
        3 => Just(b"\n13,\"a\",\"b\"\n".to_vec()),
        2 => Just("caf\u{e9}\u{1f600}".as_bytes().to_vec()),
        3 => "[0-9a-z ]{0,40}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn c1_long_texts_are_accounted_for_however_they_are_cut(
        pieces in prop::collection::vec(piece(), 0..120),
        marked in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        record_bytes in prop_oneof![3 => Just(1u64 << 20), 1 => 0u64..200],
        n_columns in 1u64..5,
        join in any::<bool>(),
        shaped in any::<bool>(),
        header_first in any::<bool>(),
    ) {
        let mut text = if marked { crate::csv::BOM.to_vec() } else { Vec::new() };
        text.extend(pieces.concat());
        let key_shape = shaped.then_some(KeyShape::Digits);
        let rules = MendRules { n_columns, join, record_bytes, key_shape, header_first };
        let whole = check(&text, rules);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([text.len()]) {
            chunks.push(&text[from..cut]);
            from = cut;
        }
        prop_assert_eq!(&calls(&chunks, rules), &whole);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&calls(&bytes, rules), &whole);
    }
}
