//! A report from submission to manifest, nothing going wrong.

use cxtract::mock::{MockReport, MockTenant};

use crate::support::{Stand, names_in};

#[test]
fn a_report_of_many_pages_arrives_byte_for_byte() {
    let stand = Stand::new(
        MockTenant::builder().requests_per_second(f64::INFINITY).report("detail", MockReport::with_rows(2345)),
    );
    let manifest = stand.extract_all();
    assert_eq!(manifest.output.rows, 2345);
    assert_eq!(manifest.pages, 24);
    assert_eq!(names_in(&stand.folder.path().join("out")), ["calls.csv", "calls.csv.manifest.json"]);
}
