//! Shows that memory stays flat when the first page is late: it comes ten seconds after all others, of a report of
//! 1 GiB, with 8 MiB of memory for pages.
//!
//! ```sh
//! cargo build --release --example late_page
//! /usr/bin/time -v target/release/examples/late_page
//! ```
//!
//! The peak that `time` shows holds the mock tenant too, which makes its rows as they are sent.

#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::time::Duration;

use cxtract::config::{Config, Sources};
use cxtract::mock::{Fault, FaultRule, Matcher, MockReport, MockTenant};
use cxtract::{Ending, Engine};
use sha2::{Digest, Sha256};

const ROWS: u64 = 4_300_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let late = FaultRule { on: Matcher::page(1), then: Fault::Delay(Duration::from_secs(10)) };
    let mock = MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .report("detail", MockReport::with_rows(ROWS))
        .fault(late)
        .start()?;
    let folder = tempfile::tempdir()?;
    let text = format!(
        "engine: {{memory_limit: 8MiB}}
tenants:
  acme:
    base_url: {}
    auth: {{client_id: id, client_secret: secret}}
    rate_limit: {{requests_per_second: 1000, burst: 100}}
    poll: {{initial_delay: 10ms}}
reports:
  calls: {{tenant: acme, template_id: detail, window: {{from: 2024-01-01, to: 2024-01-31}}, page_size: 20000}}
",
        mock.base_url()
    );
    let config = Config::load(&Sources::text(folder.path().join("config.yaml"), &text))?;
    let ending = actix_rt::System::new().block_on(async {
        let engine = Engine::builder().config(config).start()?;
        let ending = engine.extract("calls").await?;
        engine.shutdown().await;
        Ok::<_, Box<dyn std::error::Error>>(ending)
    })?;
    let Ending::Complete(manifest) = ending else { return Err(format!("{ending:?}").into()) };
    let mut expected = Hashing(Sha256::new());
    let n_bytes = mock.expected("detail").write(&mut expected)?;
    let expected = expected.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let n_left = std::fs::read_dir(folder.path().join(".cxtract/scratch"))?.count();
    println!("{} bytes in {} pages", manifest.output.bytes, manifest.pages);
    println!(
        "the output is what the tenant has: {}",
        n_bytes == manifest.output.bytes && expected == manifest.output.sha256
    );
    println!("files left in scratch: {n_left}");
    Ok(())
}

struct Hashing(Sha256);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
