//! Pages written by the `csv` crate, damaged in one place.

use proptest::prelude::*;

use super::*;

const N_COLUMNS: usize = 4;

/// Records with a number first, and text without a line that reads like a record.
fn records() -> impl Strategy<Value = Vec<Vec<String>>> {
    let text = prop_oneof![3 => "[a-z ]{2,12}", 1 => "[a-z]{1,5}(,|\n|\r\n|\")[a-z ]{1,6}"];
    prop::collection::vec(prop::collection::vec(text, N_COLUMNS - 1), 3..12).prop_map(|rows| {
        let numbered = rows.into_iter().enumerate();
        numbered.map(|(i, row)| std::iter::once((1000 + i).to_string()).chain(row).collect()).collect()
    })
}

fn written(record: &[String]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(record).unwrap();
    writer.into_inner().unwrap()
}

/// The output's records that are none of `pages`, and how many of these are missing.
fn compare(outcome: &Outcome, page: &[Vec<u8>]) -> (Vec<Vec<u8>>, usize) {
    let mut rest = &outcome.output[..];
    let mut n_missing = 0;
    let mut foreign = Vec::new();
    for record in page {
        match rest.windows(record.len()).position(|w| w == &record[..]) {
            Some(0) => rest = &rest[record.len()..],
            Some(at) => {
                foreign.push(rest[..at].to_vec());
                rest = &rest[at + record.len()..];
            }
            None => n_missing += 1,
        }
    }
    if !rest.is_empty() {
        foreign.push(rest.to_vec());
    }
    (foreign, n_missing)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn c2_a_raw_newline_in_an_unquoted_field_is_mended_or_set_aside(
        records in records(),
        which in any::<prop::sample::Index>(),
        column in 1..N_COLUMNS,
        shaped in any::<bool>(),
    ) {
        let mut page: Vec<Vec<u8>> = records.iter().map(|r| written(r)).collect();
        let which = which.index(page.len());
        let mut record = records[which].clone();
        record[column] = "some text".to_owned();
        let broken = String::from_utf8(written(&record)).unwrap().replace("some text", "some\ntext");
        record[column] = "some\ntext".to_owned();
        let whole = written(&record);
        let others: Vec<Vec<u8>> = page.iter().enumerate().filter(|(i, _)| *i != which).map(|(_, r)| r.clone()).collect();
        page[which] = broken.into_bytes();
        let rules = if shaped { digits(N_COLUMNS as u64) } else { rules(N_COLUMNS as u64) };
        check(&page.concat(), rules);
        let outcome = all(&page.concat(), rules);
        let (foreign, n_missing) = compare(&outcome, &others);
        prop_assert!(foreign.is_empty() || foreign == [whole], "{foreign:?}");
        // Without a shape, a piece of the last column may belong to the record behind it.
        prop_assert!(n_missing <= usize::from(!shaped && column == N_COLUMNS - 1), "{outcome:?}");
    }

    #[test]
    fn c5_a_stray_quote_loses_one_record_and_delivers_no_false_one(
        records in records(),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        join in any::<bool>(),
    ) {
        let mut page: Vec<Vec<u8>> = records.iter().map(|r| written(r)).collect();
        let which = which.index(page.len());
        let others: Vec<Vec<u8>> = page.iter().enumerate().filter(|(i, _)| *i != which).map(|(_, r)| r.clone()).collect();
        let at = at.index(page[which].len() - 1);
        page[which].insert(at, b'"');
        let rules = MendRules { join, ..digits(N_COLUMNS as u64) };
        check(&page.concat(), rules);
        let outcome = all(&page.concat(), rules);
        let (foreign, n_missing) = compare(&outcome, &others);
        prop_assert_eq!(n_missing, 0, "{:?}", outcome);
        // A quote that changes no structure is text, and stays where it is. One that ends a quoted text at the end of a
        // line leaves a piece that is a record by itself, which is not taken back unless neighbours are.
        let record = &page[which];
        let is_piece = |piece: &Vec<u8>| !join && (record.starts_with(piece) || record.ends_with(piece));
        prop_assert!(foreign.is_empty() || foreign == [record.clone()] || foreign.iter().all(is_piece), "{:?}", outcome);
    }
}
