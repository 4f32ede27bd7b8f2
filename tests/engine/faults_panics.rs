//! A death that needs no fail point: a host's own sink that panics on the thread that writes. The deaths of actors and
//! tasks are in `tests/panics`, which builds with fail points.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cxtract::config::{Config, Sources};
use cxtract::model::FailureClass;
use cxtract::sink::{Manifest, Position, SinkError};
use cxtract::{Ending, Engine, Sink};

use crate::bench::{complete, stand, tenant_of};
use crate::support::{Stand, run};

/// Dies at the `n`-th write, counted over all of its kind.
struct Mortal {
    n_writes: Arc<AtomicU64>,
    dies_at: fn(u64) -> bool,
}

impl Sink for Mortal {
    fn begin(&mut self, _: Option<&Position>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, _: &Bytes) -> Result<(), SinkError> {
        let nth = self.n_writes.fetch_add(1, Ordering::Relaxed);
        assert!(!(self.dies_at)(nth), "a host's sink dies on purpose");
        Ok(())
    }

    fn commit(&mut self, _: &Position) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self, _: &Manifest) -> Result<(), SinkError> {
        Ok(())
    }

    fn abort(&mut self) {}
}

/// Extracts `calls` into a mortal sink and `other` into a file, at once.
fn extract_two(stand: &Stand, dies_at: fn(u64) -> bool) -> (Ending, Ending) {
    let other =
        "  other: {tenant: acme, template_id: detail, window: {from: 2024-01-01, to: 2024-01-31}, page_size: 100}\n";
    let sources = Sources::text(stand.folder.path().join("config.yaml"), stand.yaml() + other);
    let config = Config::load(&sources).unwrap();
    let n_writes = Arc::new(AtomicU64::new(0));
    run(async move {
        let sink = move || Mortal { n_writes: n_writes.clone(), dies_at };
        let engine = Engine::builder().config(config).sink("calls", sink).start().unwrap();
        let endings = futures::future::join(engine.extract("calls"), engine.extract("other")).await;
        engine.shutdown().await;
        (endings.0.unwrap(), endings.1.unwrap())
    })
}

fn assert_other_is_whole(stand: &Stand, ending: Ending) {
    complete(ending);
    let delivered = std::fs::read(stand.folder.path().join("out/other.csv")).unwrap();
    assert!(delivered == stand.mock.expected_csv("detail"), "the other report is not what the tenant has");
}

#[test]
fn k3_a_report_whose_writing_dies_again_and_again_fails_by_name_and_alone() {
    let stand = stand(tenant_of(950));
    let (victim, other) = extract_two(&stand, |nth| nth % 4 == 2);
    let Ending::Failed(failure) = victim else { panic!("{victim:?}") };
    assert_eq!(failure.class, FailureClass::Internal);
    assert!(failure.message.contains("calls"), "{failure}");
    assert_other_is_whole(&stand, other);
}

#[test]
fn k8_a_death_at_the_first_a_middle_or_the_last_page_is_survived_by_a_rebuild() {
    let deaths: [fn(u64) -> bool; 3] = [|nth| nth == 0, |nth| nth == 5, |nth| nth == 9];
    for dies_at in deaths {
        let stand = stand(tenant_of(950));
        let (victim, other) = extract_two(&stand, dies_at);
        assert_eq!(complete(victim).output.rows, 950);
        assert_other_is_whole(&stand, other);
    }
}
