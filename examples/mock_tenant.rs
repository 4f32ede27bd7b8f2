//! A test of an embedding, from the first line to the last: the engine extracts a report from a tenant that has a bad
//! day, and the tenant says how it was treated.
//!
//! ```sh
//! cargo run --example mock_tenant
//! ```
//!
//! The same lines do as a `#[test]`: the mock needs no account and no port of its own choosing, and ends with its handle.

#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::error::Error;
use std::time::Duration;

use actix_rt::time::sleep;
use cxtract::config::{Config, Sources};
use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport, MockTenant};
use cxtract::{Ending, Engine};

const TEMPLATE: &str = "interaction-detail-report";

fn main() -> Result<(), Box<dyn Error>> {
    // A tenant of 20 calls in any second. The third page is first answered with 429 and a wait, the fifth one breaks off
    // in the middle. Once its handle is dropped, a strict tenant panics if anything was sent during a wait.
    let mock = MockTenant::builder()
        .requests_per_second(20.0)
        .report(TEMPLATE, MockReport::with_rows(40_000))
        .ready_after(Duration::from_millis(300))
        .fault(FaultRule::new(Matcher::page(3).first(1), Fault::told_to_wait(429, 1)))
        .fault(FaultRule::new(Matcher::page(5).first(1), Fault::CutAt(40_000)))
        .strict()
        .start()?;

    let folder = tempfile::tempdir()?;
    let text = format!(
        "tenants:
  acme:
    base_url: {}
    auth: {{client_id: id, client_secret: secret}}
    rate_limit: {{requests_per_second: 12}}
    poll: {{initial_delay: 200ms}}
reports:
  calls: {{tenant: acme, template_id: {TEMPLATE}, window: {{from: 2024-01-01, to: 2024-01-31}}, page_size: 1000}}
",
        mock.base_url()
    );
    let config = Config::load(&Sources::text(folder.path().join("config.yaml"), &text))?;

    let ending = actix_rt::System::new().block_on(async {
        let engine = Engine::builder().config(config).start()?;
        // While the report is read, the tenant takes back every token.
        let revocation = async {
            while mock.verdict().pages_served < 5 {
                sleep(Duration::from_millis(10)).await;
            }
            mock.with(|tenant| tenant.revoke_tokens(mock.now()));
        };
        let (ending, ()) = futures::join!(engine.extract("calls"), revocation);
        engine.shutdown().await;
        Ok::<_, Box<dyn Error>>(ending?)
    })?;

    // The output is what the tenant has, byte for byte.
    let Ending::Complete(manifest) = ending else { return Err(format!("not delivered: {ending:?}").into()) };
    let delivered = std::fs::read(folder.path().join("out/calls.csv"))?;
    assert!(delivered == mock.expected_csv(TEMPLATE), "the output is not what the tenant has");
    println!("{} rows in {} pages, as the tenant has them", manifest.output.rows, manifest.pages);

    // The ledger has every call as the tenant saw it.
    let ledger = mock.ledger();
    assert_eq!(ledger.query_ids().len(), 1, "one submission does");
    let answers = |page| -> Vec<(u16, bool)> {
        let of_page = ledger.iter().filter(|call| call.kind == CallKind::Page && call.page == Some(page));
        of_page.map(|call| (call.status, call.broke_off)).collect()
    };
    assert_eq!(answers(3)[0], (429, false));
    assert!(answers(5).contains(&(200, true)), "the body of page 5 was cut");
    for page in 1..=manifest.pages {
        let whole = answers(page).iter().filter(|answer| **answer == (200, false)).count();
        assert_eq!(whole, 1, "page {page} is asked for until it comes whole, and not again: {:?}", answers(page));
    }
    println!("page 3 was answered {:?}, page 5 {:?}", answers(3), answers(5));

    // And the verdict sums it up.
    let verdict = mock.verdict();
    assert_eq!(verdict.calls_while_told_to_wait, 0);
    assert_eq!(verdict.refused_too_fast, 0);
    assert_eq!(verdict.duplicate_submissions, 0);
    assert_eq!(verdict.pages_served_again, 0);
    assert_eq!(verdict.tokens_issued, 2);
    assert!(verdict.dead_token_calls > 0, "the token was taken back while it was in use");
    println!("{verdict}");
    Ok(())
}
