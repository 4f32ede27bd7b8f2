//! Bytes that don't arrive: whatever is lost on the way, only whole pages reach the output.

use std::net::TcpListener;
use std::time::Duration;

use cxtract::Ending;
use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport};
use cxtract::model::{FailureClass, ParkReason};
use rcgen::{CertificateParams, date_time_ymd};

use crate::bench::{TRIES, complete, stand, tenant_of, tenant_with, with_fault};
use crate::fronts::{Authority, Front};
use crate::support::{Stand, with_engine};

/// Page 2 goes wrong once: it is fetched again as a whole.
fn passes(stand: Stand) {
    let manifest = stand.extract_all();
    assert_eq!((stand.n_asked(2), manifest.http.retries), (2, 1));
}

/// Pages with a length.
fn sized(on: Matcher, then: Fault) -> Stand {
    let report = MockReport { chunked: false, ..MockReport::with_rows(450) };
    stand(tenant_with(report).fault(FaultRule::new(on, then)))
}

#[test]
fn n2_a_tenant_that_refuses_connections_parks_the_report() {
    let stand = stand(tenant_of(100));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = stand.config_at(&format!("http://{nobody}"));
    let ending = with_engine(config, |engine| async move { engine.extract("calls").await.unwrap() });
    stand.parked(ending, ParkReason::TenantDown).says(&[&nobody.to_string()]);
}

#[test]
fn n3_a_reset_in_the_middle_of_a_page_costs_that_page_a_try() {
    passes(with_fault(Matcher::page(2).first(1), Fault::ResetAt(3000)));
}

#[test]
fn n3_resets_without_end_park_the_report() {
    let stand = with_fault(Matcher::page(2), Fault::ResetAt(3000));
    stand.parks(ParkReason::TenantDown).says(&["page 2", "connection lost", "3 tries", "run again"]);
    assert_eq!(stand.n_asked(2), TRIES);
}

#[test]
fn n3_every_page_may_lose_its_first_answer() {
    let stand = with_fault(Matcher::pages().first(1).each(), Fault::ResetAt(100));
    let manifest = stand.extract_all();
    assert!(manifest.http.retries >= 5, "{manifest:?}");
}

#[test]
fn n4_a_body_shorter_than_its_length_is_no_page() {
    passes(sized(Matcher::page(2).first(1), Fault::CutAt(3000)));
    let stand = sized(Matcher::page(2), Fault::CutAt(3000));
    stand.parks(ParkReason::TenantDown).says(&["page 2", "3000 bytes of "]);
    assert_eq!(stand.n_asked(2), TRIES);
}

#[test]
fn n4_a_body_cut_between_two_records_is_no_page_either() {
    let report = MockReport { chunked: false, ..MockReport::with_rows(450) };
    passes(stand(tenant_with(report).fault(FaultRule::new(Matcher::page(2).first(1), Fault::WrongLength(7)))));
}

#[test]
fn n5_a_chunked_body_without_its_final_chunk_is_no_page() {
    passes(with_fault(Matcher::page(2).first(1), Fault::CutBeforeFinalChunk));
    passes(with_fault(Matcher::page(2).first(1), Fault::CutAt(3000)));
    let stand = with_fault(Matcher::page(2), Fault::CutBeforeFinalChunk);
    stand.parks(ParkReason::TenantDown).says(&["page 2", "connection lost"]);
    assert_eq!(stand.n_asked(2), TRIES);
}

#[test]
fn n6_a_body_that_stalls_is_given_up_and_asked_for_again() {
    let stand = with_fault(Matcher::page(2).first(1), Fault::StallAfter(3000, Duration::from_secs(20)));
    passes(stand.set("timeouts", "{connect: 5s, response: 5s, idle: 1s}"));
    let stand = with_fault(Matcher::page(2), Fault::StallAfter(3000, Duration::from_secs(20)));
    let stand = stand.set("timeouts", "{connect: 5s, response: 5s, idle: 100ms}");
    stand.parks(ParkReason::TenantDown).says(&["page 2", "stalled"]);
}

#[test]
fn n7_a_head_that_drips_is_given_up_and_asked_for_again() {
    let stand = with_fault(Matcher::page(2).first(1), Fault::DripHead(Duration::from_millis(100)));
    passes(stand.set("timeouts", "{connect: 5s, response: 1s, idle: 5s}"));
}

#[test]
fn n7_an_answer_that_never_begins_is_given_up() {
    let stand = with_fault(Matcher::page(2), Fault::Delay(Duration::from_secs(20)));
    let stand = stand.set("timeouts", "{connect: 5s, response: 1s, idle: 5s}").set("retry", "{max_attempts: 2}");
    stand.parks(ParkReason::TenantDown).says(&["page 2", "no answer within"]);
}

/// A stand behind TLS, its engine trusting `trusted`; the ending, and how often a connection was made.
fn over_tls(
    stand: &Stand,
    issuer: &Authority,
    host: &str,
    shape: impl FnOnce(&mut CertificateParams),
) -> (Ending, usize) {
    let front = Front::tls(stand.mock.address(), issuer.acceptor(host, shape));
    let config = stand.config_at(&front.url("https", "localhost"));
    let ending = with_engine(config, |engine| async move { engine.extract("calls").await.unwrap() });
    (ending, front.n_connections())
}

/// A stand that trusts that authority.
fn trusting(stand: Stand, authority: &Authority) -> Stand {
    std::fs::write(stand.folder.path().join("ca.pem"), &authority.pem).unwrap();
    stand.set("tls", "{ca_file: ca.pem}")
}

#[test]
fn n8_a_trusted_tenant_is_read_over_tls() {
    let authority = Authority::new();
    let stand = trusting(stand(tenant_of(450)), &authority);
    let (ending, _) = over_tls(&stand, &authority, "localhost", |_| {});
    assert_eq!(complete(ending).http.retries, 0);
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
}

#[test]
fn n8_a_certificate_that_is_not_to_be_trusted_fails_the_report_at_once() {
    let authority = Authority::new();
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    };
    let check = |ending, n_connections, stand: &Stand, word: &str| {
        stand.failed(ending, FailureClass::Local).says(&["TLS to localhost", word]);
        assert_eq!(n_connections, 1, "it was tried again");
        assert!(stand.mock.ledger().is_empty(), "something was sent");
    };
    let due = trusting(stand(tenant_of(10)), &authority);
    let (ending, n) = over_tls(&due, &authority, "localhost", expired);
    check(ending, n, &due, "expired");
    let (ending, n) = over_tls(&due, &authority, "other.example", |_| {});
    check(ending, n, &due, "another host");
    let (ending, n) = over_tls(&due, &Authority::new(), "localhost", |_| {});
    check(ending, n, &due, "unknown authority");
}

#[test]
fn n9_a_tls_connection_that_ends_in_the_middle_of_a_page_costs_that_page_a_try() {
    // Closed in order, the front says close_notify; reset, it says nothing.
    for cut in [Fault::CutAt(3000), Fault::ResetAt(3000), Fault::CutBeforeFinalChunk] {
        let authority = Authority::new();
        let stand = trusting(with_fault(Matcher::page(2).first(1), cut), &authority);
        let (ending, _) = over_tls(&stand, &authority, "localhost", |_| {});
        assert_eq!((complete(ending).http.retries, stand.n_asked(2)), (1, 2));
        assert!(stand.delivered() == stand.mock.expected_csv("detail"));
    }
}

#[test]
fn n11_a_byte_flipped_in_a_compressed_page_is_noticed_and_the_page_asked_for_again() {
    let report = MockReport { gzip: true, ..MockReport::with_rows(450) };
    passes(stand(tenant_with(report).fault(FaultRule::new(Matcher::page(2).first(1), Fault::FlipByte(2000)))));
}

#[test]
fn n12_a_kept_connection_that_the_tenant_has_closed_costs_no_try() {
    let mock = tenant_of(450)
        .fault(FaultRule::new(Matcher::pages(), Fault::ClosedIdle))
        .fault(FaultRule::new(Matcher::kind(CallKind::Status), Fault::ClosedIdle));
    let stand = stand(mock).set("retry", "{max_attempts: 1}");
    assert_eq!(stand.extract_all().http.retries, 0);
}

#[test]
fn n3_other_reports_go_on_while_one_tenant_is_cut_off() {
    let broken = with_fault(Matcher::pages(), Fault::ResetAt(10));
    let well = stand(tenant_of(450));
    let yaml = format!(
        "{}  well:\n    tenant: other\n    template_id: detail\n    window: {{from: 2024-01-01, to: 2024-01-31}}\n    page_size: 100\n",
        broken.yaml().replace(
            "reports:",
            &format!(
                "  other:\n    base_url: {}\n    auth: {{client_id: id, client_secret: s}}\n    {}\nreports:",
                well.mock.base_url(),
                well.tenant
            )
        )
    );
    let sources = cxtract::config::Sources::text(broken.folder.path().join("config.yaml"), &yaml);
    let config = cxtract::Config::load(&sources).unwrap();
    let (one, other) = with_engine(config, |engine| async move {
        let (one, other) = tokio::join!(engine.extract("calls"), engine.extract("well"));
        (one.unwrap(), other.unwrap())
    });
    broken.parked(one, ParkReason::TenantDown);
    assert_eq!(complete(other).output.rows, 450);
    let delivered = std::fs::read(broken.folder.path().join("out/well.csv")).unwrap();
    assert!(delivered == well.mock.expected_csv("detail"));
}
