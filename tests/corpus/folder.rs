//! Any folder of CSV files that one has at hand, read beside the `csv` crate.
//!
//! Corpora that can't be kept in this repository are checked with it: `CXTRACT_CSV_FOLDER` names the folder. Without it
//! the files that are kept here are read.

use std::fs;
use std::path::Path;

use super::dice::Dice;
use super::scorer::{body, framed, is_clean, mended, records};

fn csv_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            csv_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
            found.push(path);
        }
    }
}

#[test]
fn files_at_hand_read_as_the_csv_crate_reads_them_and_clean_ones_pass_unchanged() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let folder = std::env::var_os("CXTRACT_CSV_FOLDER").unwrap_or_else(|| kept.into_os_string());
    let mut paths = Vec::new();
    csv_files(Path::new(&folder), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no CSV file below {}", folder.display());
    let (mut n_clean, mut n_records) = (0, 0);
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        let text = body(&bytes);
        let read = records(text);
        let facts = framed(&bytes).unwrap_or_else(|| panic!("{} can't be framed", path.display()));
        if facts.broken.is_none() {
            assert_eq!(facts.n_records, read.len() as u64, "{}", path.display());
            let uneven = read.iter().filter(|(_, fields)| fields.len() != read[0].1.len()).count() as u64;
            assert_eq!(facts.n_uneven, uneven, "{}", path.display());
        }
        n_records += read.len();
        let delivery = mended(text, false, &mut Dice::seeded(1));
        if !bytes.contains(&b'"') {
            // Without quotes the header's number of fields is all there is to judge by.
            let even = read.iter().filter(|(_, fields)| fields.len() == read[0].1.len());
            assert!(records(&delivery.output).iter().eq(even), "{}", path.display());
        }
        if is_clean(&facts) {
            n_clean += 1;
            assert_eq!(delivery.output, text, "{}", path.display());
            assert!(delivery.rejects.is_empty());
        } else {
            assert!(!delivery.rejects.is_empty() || facts.is_entangled, "{}", path.display());
            println!(
                "{}: {} rejected, the first at {:?}",
                path.display(),
                delivery.rejects.len(),
                delivery.rejects.first().map(|(place, _)| place)
            );
        }
    }
    println!("{} files, {n_records} records; {n_clean} files are clean", paths.len());
}
