//! What the example clients are given: a plan with a tenant for each, and a configuration that fits it.

use std::path::Path;

use cxtract::config::{Config, Sources};
use cxtract::mock::MockPlan;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clients")
}

#[test]
fn the_plan_of_the_example_clients_holds_a_tenant_for_each_of_them() {
    let plan = MockPlan::read(&folder().join("plan.yaml")).unwrap();
    let names: Vec<&str> = plan.tenants.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["naive-sh", "naive-py", "patient-py", "cxtract"]);
    for script in ["naive.sh", "naive.py", "patient.py", "compare.py"] {
        assert!(folder().join(script).exists(), "{script}");
    }
}

#[test]
fn the_configuration_of_the_example_clients_is_a_good_one() {
    let file = folder().join("cxtract.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    // The fourth tenant of a plan at port 8080 is at 8083.
    assert!(text.contains("http://127.0.0.1:8083"));
    Config::load(&Sources::text(file, &text)).unwrap();
}
