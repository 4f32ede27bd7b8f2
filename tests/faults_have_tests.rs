//! Every promise in `docs/FAULTS.md` has a test whose name begins with the row's id.
//!
//! A table of promises that nobody checks rots; this reads the rows marked *now* and looks for `fn <id>_…` below
//! `#[test]` in `src/` and `tests/`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The ids of the rows whose last column says so.
fn ids_marked(word: &str, document: &str) -> BTreeSet<String> {
    document
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
            (cells.len() == 4 && is_id(cells[0]) && cells[3] == word).then(|| cells[0].to_lowercase())
        })
        .collect()
}

fn is_id(cell: &str) -> bool {
    let mut chars = cell.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase()) && chars.next().is_some_and(|c| c.is_ascii_digit())
}

/// The ids that test names of this source begin with. A function that no test attribute stands above doesn't count.
fn ids_tested(source: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let mut ids = BTreeSet::new();
    for (i, line) in lines.iter().enumerate() {
        let function = line.strip_prefix("async ").unwrap_or(line);
        let Some((id, _)) = function.strip_prefix("fn ").and_then(|name| name.split_once('_')) else { continue };
        let attributes = lines[..i].iter().rev().take_while(|l| l.starts_with("#[") || l.starts_with("//"));
        let is_test = attributes.into_iter().any(|a| {
            let name = a.trim_start_matches("#[").split(['(', ']']).next().unwrap_or_default();
            name == "test" || name.ends_with("::test")
        });
        if is_test {
            ids.insert(id.to_owned());
        }
    }
    ids
}

fn collect(folder: &Path, ids: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, ids);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("faults_have_tests.rs") {
            ids.extend(ids_tested(&fs::read_to_string(path).unwrap()));
        }
    }
}

#[test]
fn every_promise_has_a_test_that_bears_its_id() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let promised = ids_marked("now", &fs::read_to_string(root.join("docs/FAULTS.md")).unwrap());
    assert!(promised.len() > 30, "the table was not read");
    let mut tested = BTreeSet::new();
    collect(&root.join("src"), &mut tested);
    collect(&root.join("tests"), &mut tested);
    let missing: Vec<&String> = promised.difference(&tested).collect();
    assert!(missing.is_empty(), "promised in docs/FAULTS.md without a test: {missing:?}");
}

/// Rows that must stay promised: turning one to *planned* would otherwise let its tests go unnoticed.
const PINNED: &str = "n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n11 n12 h1 h2 h3 h4 h5 h6 h7 h8 h9 h10 h11 h12 \
                      o1 o2 o3 o4 o5 o6 o7 o8 t1 t2 t3 t4 t5 t6 t7 p1 p2 p3 p4 p5 p7 p8 p9 p10 p11 \
                      c1 c2 c3 c4 c5 c6 c7 c8 d1 d2 d3 d4 d5 d6 d7 d8 k1 k2 k3 k4 k5 k6 k7 k7b k8 l1 l2 l3 \
                      f1 f2 f3 f4 f5 s1 s2 s3 s4 s5 x1 x2 x3 x4 x5 x6";

#[test]
fn no_promise_is_taken_back() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FAULTS.md")).unwrap();
    let promised = ids_marked("now", &document);
    let taken_back: Vec<&str> = PINNED.split_whitespace().filter(|id| !promised.contains(*id)).collect();
    assert!(taken_back.is_empty(), "no longer promised in docs/FAULTS.md: {taken_back:?}");
}

#[test]
fn no_row_is_forgotten_and_none_stands_twice() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FAULTS.md")).unwrap();
    let rows = document.lines().filter(|l| l.strip_prefix("| ").is_some_and(is_id)).count();
    assert_eq!(rows, ids_marked("now", &document).len() + ids_marked("planned", &document).len());
}

#[test]
fn the_reader_takes_tests_and_nothing_else_for_tests() {
    let source = "
        #[test]
        fn n1_a() {}
        /// Doc.
        #[actix_rt::test]
        // Why.
        async fn p10_b() {}
        fn h6_helper() {}
        #[tokio::test(start_paused = true)]
        async fn k3_c() {}
        #[cfg(test)]
        fn s2_helper() {}
    ";
    assert_eq!(ids_tested(source), ["k3", "n1", "p10"].map(str::to_owned).into());
}
