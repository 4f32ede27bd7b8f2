//! A host that embeds the library and listens to everything, at the finest level, of every crate.

use std::io;
use std::sync::Arc;

use cxtract::Ending;
use parking_lot::Mutex;

use crate::canary::found_in;
use crate::hostile::{Asked, Hostile, Reply, Step, echo, echo_of_credentials};
use crate::origins::extract;

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn s1_events_hold_no_secret_though_a_host_listens_to_the_finest_of_every_crate() {
    let heard = Heard::default();
    let writer = heard.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let words = |step, status| {
        let said = if step == Step::Token { echo_of_credentials(0) } else { echo(0) };
        Reply::new(status, "text/plain", said)
    };
    for (step, status) in [(Step::Token, 400), (Step::Submit, 503), (Step::Status, 200), (Step::Page(1), 401)] {
        let tenant = Hostile::start(move |asked: &Asked| (asked.step == step).then(|| words(step, status)));
        let (ending, _) = extract(&tenant.url, "");
        let (Ending::Failed(_) | Ending::Parked(_)) = ending else { panic!("{ending:?}") };
        let shown = format!("{ending:?}");
        assert!(found_in(shown.as_bytes()).is_empty(), "{shown}");
    }
    tracing::trace!("the last word");
    let heard = heard.0.lock();
    assert!(String::from_utf8_lossy(&heard).contains("the last word"));
    assert!(found_in(&heard).is_empty(), "{:?} in {}", found_in(&heard), String::from_utf8_lossy(&heard));
}
