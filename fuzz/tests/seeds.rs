//! Every seed holds its target's property, without a fuzzer.

use std::path::Path;

#[test]
fn every_seed_holds_its_targets_property() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    assert!(cxtract_fuzz::seeds::replay(&folder) > 40, "the seeds were not found");
}
