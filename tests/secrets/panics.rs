//! Panics at every stage while secrets are in its hands.

use crate::hostile::Hostile;
use crate::place::{Place, Talk};

#[test]
fn s1_k3_a_panic_anywhere_shows_no_secret() {
    for place in
        ["auth/acme", "gate/acme", "breaker/acme", "page/calls", "fetcher/calls", "poller/calls", "writer/calls"]
    {
        for how in ["1*panic(made to die)", "panic(made to die)"] {
            let tenant = Hostile::start(|_| None);
            let folder = Place::at(&tenant.url, "", "").env("FAILPOINTS", &format!("{place}={how}"));
            let output = folder.run(&["run"], Talk::Text);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("internal fault: made to die"), "{place}: {said}");
        }
    }
}
