//! A destination that takes its time, over real sockets and threads: what a blocked thread does to the rest can't be
//! seen where time is simulated.
//!
//! The test runs itself in a process of its own, so that its memory is that of nothing else.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cxtract::config::{Config, Sources};
use cxtract::mock::{MockReport, MockTenant, RunningMock};
use cxtract::sink::{Manifest, Position, Sink, SinkError};
use cxtract::{Ending, Engine};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// Set in the process that does the work.
const ALONE: &str = "CXTRACT_SIM_ALONE";

const N_ROWS: u64 = 160_000;
const PAGE_SIZE: u64 = 1_000;
const MAX_IN_FLIGHT: u64 = 4;

/// How far beyond the page that is written next others may be asked for.
const MOST_AHEAD: u64 = 4 * MAX_IN_FLIGHT;

/// By how much the process, with the mock tenant in it, may grow: 12 MB are usual, of which pages may take 4 MiB. Who
/// held back nothing would hold the whole report, 40 MB.
const MOST_GROWTH: u64 = 24 << 20;

/// What a sink has seen.
#[derive(Default)]
struct Seen {
    n_bytes: u64,
    hasher: Sha256,
    most_ahead: u64,
}

/// Takes all it is given, slowly, and looks around meanwhile.
struct Slow {
    mock: Arc<RunningMock>,
    seen: Arc<Mutex<Seen>>,
    bytes_per_page: u64,
}

impl Sink for Slow {
    fn begin(&mut self, _: Option<&Position>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        let (_busy, done) = std::sync::mpsc::channel::<()>();
        done.recv_timeout(Duration::from_millis(5)).ok();
        let page = self.seen.lock().n_bytes / self.bytes_per_page;
        let asked = self.mock.with(|tenant| tenant.ledger().iter().filter_map(|call| call.page).max());
        let mut seen = self.seen.lock();
        seen.n_bytes += block.len() as u64;
        seen.hasher.update(block);
        seen.most_ahead = seen.most_ahead.max(asked.unwrap_or(0).saturating_sub(page));
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

#[test]
fn x3_a_slow_destination_holds_back_fetching_loses_nothing_and_keeps_memory_bounded() {
    if std::env::var_os(ALONE).is_some() {
        return extract_slowly();
    }
    let name = "slow::x3_a_slow_destination_holds_back_fetching_loses_nothing_and_keeps_memory_bounded";
    let itself = std::env::current_exe().expect("this program has a path");
    let output = Command::new(itself).args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().expect("it runs");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn extract_slowly() {
    let mock = MockTenant::builder().requests_per_second(f64::INFINITY).report("detail", MockReport::with_rows(N_ROWS));
    let mock = Arc::new(mock.start().expect("loopback has ports"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let yaml = format!(
        "engine: {{memory_limit: 4MiB}}\ntenants:\n  acme:\n    base_url: {}\n\
         \x20   auth: {{client_id: id, client_secret: \"canary-secret\"}}\n    max_in_flight: {MAX_IN_FLIGHT}\n\
         \x20   rate_limit: {{requests_per_second: 1000, burst: 1000}}\n    poll: {{initial_delay: 10ms}}\nreports:\n\
         \x20 calls:\n    tenant: acme\n    template_id: detail\n    window: {{from: 2024-01-01, to: 2024-01-31}}\n\
         \x20   page_size: {PAGE_SIZE}\n",
        mock.base_url()
    );
    let config = Config::load(&Sources::text(folder.path().join("config.yaml"), yaml)).expect("it is right");
    let (seen, n_pages) = (Arc::<Mutex<Seen>>::default(), N_ROWS / PAGE_SIZE);
    let slow = (mock.clone(), seen.clone());
    let sink = move || {
        let (mock, seen) = slow.clone();
        // Rows are about equally long; what the estimate lacks is allowed for.
        Slow { mock, seen, bytes_per_page: PAGE_SIZE * 250 }
    };
    let before = most_memory();
    let ending = actix_rt::System::new().block_on(async move {
        let engine = Engine::builder().config(config).sink("calls", sink).start().expect("it starts");
        let ending = tokio::time::timeout(Duration::from_secs(120), engine.extract("calls")).await;
        engine.shutdown().await;
        ending.expect("nothing stands still").expect("it starts")
    });
    assert!(matches!(ending, Ending::Complete(_)), "{ending:?}");
    let growth = most_memory().zip(before).map(|(after, before)| after - before);
    let Seen { n_bytes, hasher, most_ahead } = std::mem::take(&mut *seen.lock());
    let times = mock.ledger().iter().filter(|call| call.page.is_some()).count() as u64;
    println!(
        "{n_bytes} bytes taken slowly, {} a page: at most {most_ahead} pages ahead, {times} calls for {n_pages} pages, \
         {growth:?} bytes of memory more than before at most",
        n_bytes / n_pages
    );
    assert!(hasher.finalize() == Sha256::digest(mock.expected_csv("detail")), "not what the tenant has");
    assert!(times <= n_pages + MAX_IN_FLIGHT + 1, "{times} calls");
    // Pages that are handed over and not yet taken come on top: a few, since they share the room in memory.
    assert!(most_ahead <= MOST_AHEAD + 2 * MAX_IN_FLIGHT, "{most_ahead} pages ahead");
    // Known where the system tells it.
    assert!(growth.is_none_or(|bytes| bytes <= MOST_GROWTH), "{growth:?}");
}

/// The most that this process has held.
fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}
