//! `cxtract init`.

use crate::support::{Place, code, err, out};

#[test]
fn the_starter_loads_and_names_the_secrets_that_it_needs() {
    let place = Place::empty();
    let init = place.run(&["init"]);
    assert_eq!(code(&init), 0, "{}", err(&init));
    assert_eq!(out(&init), "");

    // A dry run needs no secrets; a check does, and says which.
    let dry = place.run(&["run", "--dry-run"]);
    assert_eq!(code(&dry), 0, "{}", err(&dry));
    assert!(out(&dry).contains("interaction-detail-report"));
    let check = place.run(&["check"]);
    assert_eq!(code(&check), 2, "{}", err(&check));
    assert!(err(&check).contains("CXONE_CLIENT_ID") && err(&check).contains("CXONE_CLIENT_SECRET"), "{}", err(&check));
}

#[test]
fn an_existing_file_is_never_replaced() {
    let place = Place::with_config("mine");
    let init = place.run(&["init"]);
    assert_eq!(code(&init), 2);
    assert_eq!(place.read("config.yaml"), "mine");
}
