//! Many tenants in one process, by port and by name, with and without TLS.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use cxtract::mock::{Fault, FaultRule, Matcher, MockHost, MockReport, MockTenant, RunningHost, RunningMock, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::client::{Answer, Client, Ended};

fn three() -> RunningHost {
    let tenant = |rows| MockTenant::builder().default_report(MockReport::with_rows(rows));
    let tenants = [("a".to_owned(), tenant(10)), ("b".to_owned(), tenant(20)), ("c".to_owned(), tenant(30))];
    MockHost::builder().tenants(tenants).threads(2).start().unwrap()
}

#[test]
fn tenants_of_a_host_share_no_limits_no_data_and_no_ledger() {
    let host = three();
    let names: Vec<&str> = host.tenants().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for (nth, (_, mock)) in host.tenants().enumerate() {
        let mut client = Client::connect(mock);
        let query = client.submitted();
        assert_eq!(client.status(&query).json()["totalRows"], 10 * (nth + 1));
        assert_eq!(client.page(&query, 1).body, mock.expected_csv("detail"));
        assert_eq!(mock.ledger().len(), 4);
    }
    // A token of one is none of another.
    let [a, b] = ["a", "b"].map(|name| host.tenant(name).unwrap());
    let mut client = Client::connect(a);
    let token = client.token.clone();
    client = Client::without_token(b);
    client.token = token;
    assert_eq!(client.submit().status(), 401);
    assert!(host.tenant("d").is_none());
}

#[test]
fn ports_follow_one_another_from_the_one_that_is_named() {
    // Others may take a port meanwhile: some pairs are tried.
    let host = (0..20).find_map(|_| {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tenants = ["a", "b"].map(|name| (name.to_owned(), MockTenant::builder()));
        MockHost::builder().tenants(tenants).port(port).start().ok().map(|host| (port, host))
    });
    let (port, host) = host.unwrap();
    let ports: Vec<u16> = host.tenants().map(|(_, mock)| mock.address().port()).collect();
    assert_eq!(ports, [port, port + 1]);
}

fn at(host: &str, mock: &RunningMock, target: &str) -> Answer {
    Client::to(mock.address())
        .send(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer x\r\n\r\n"))
}

#[test]
fn on_a_port_for_all_the_hosts_name_tells_whom_a_call_is_for() {
    let tenants = ["acme", "Other"].map(|name| (name.to_owned(), MockTenant::builder()));
    let host = MockHost::builder().tenants(tenants).by_host_name().start().unwrap();
    let [acme, other] = ["acme", "Other"].map(|name| host.tenant(name).unwrap());
    let port = acme.address().port();
    assert_eq!(other.address(), acme.address());
    assert_eq!(acme.base_url(), format!("http://acme.localhost:{port}"));
    assert_eq!(other.token_url(), format!("http://other.localhost:{port}/oauth2/token"));
    let status = "/api/v2/reporting/queries/q";
    assert_eq!(at(&format!("acme.localhost:{port}"), acme, status).status(), 401);
    assert_eq!(at("OTHER.example", acme, status).status(), 401);
    assert_eq!(at("other", acme, status).status(), 401);
    assert_eq!((acme.ledger().len(), other.ledger().len()), (1, 2));
    for stranger in ["localhost", "127.0.0.1", "nobody.localhost"] {
        let refusal = at(stranger, acme, status);
        assert_eq!(refusal.status(), 421);
        assert!(refusal.text().contains("acme, Other"), "{}", refusal.text());
    }
    assert_eq!((acme.ledger().len(), other.ledger().len()), (1, 2));
    // One connection may serve several tenants.
    let mut client = Client::to(acme.address());
    for name in ["acme", "other", "nobody", "acme"] {
        client.send(&format!("GET {status} HTTP/1.1\r\nHost: {name}.localhost\r\n\r\n"));
    }
    assert_eq!((acme.ledger().len(), other.ledger().len()), (3, 3));
}

#[test]
fn what_can_not_be_served_is_refused_with_its_reason() {
    let refusal = |host: cxtract::mock::MockHostBuilder| host.start().unwrap_err().to_string();
    assert!(refusal(MockHost::builder()).contains("no tenant"));
    let twice = ["acme", "ACME"].map(|name| (name.to_owned(), MockTenant::builder()));
    assert!(refusal(MockHost::builder().tenants(twice)).contains("ACME"));
    let shy = MockHost::builder().tenant("shy", MockTenant::builder().tls(Tls::Good)).by_host_name();
    assert!(refusal(shy).contains("shy"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let late = refusal(MockHost::builder().tenant("late", MockTenant::builder()).port(port));
    assert!(late.contains("late") && late.contains(&port.to_string()), "{late}");
}

#[test]
fn a_host_that_is_dropped_closes_every_connection() {
    let host = three();
    let mut clients: Vec<Client> = host.tenants().map(|(_, mock)| Client::connect(mock)).collect();
    drop(host);
    for client in &mut clients {
        assert!(client.is_closed_soon());
    }
}

/// A host with a strict tenant that was called while it had told to wait.
fn offended() -> RunningHost {
    let told = FaultRule::new(Matcher::any().first(1), Fault::told_to_wait(429, 30));
    let strict = MockTenant::builder().fault(told).strict();
    let host =
        MockHost::builder().tenant("calm", MockTenant::builder().strict()).tenant("strict", strict).start().unwrap();
    let mock = host.tenant("strict").unwrap();
    let mut client = Client::without_token(mock);
    assert_eq!(client.submit().status(), 429);
    assert_eq!(client.calls_on(mock).status(), 429);
    host
}

#[test]
fn a_strict_tenant_of_a_host_complains_when_the_host_is_dropped_and_is_named_when_it_is_stopped() {
    let host = offended();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(host))).is_err());
    let stopped = offended().stop();
    assert_eq!(stopped.offended().collect::<Vec<_>>(), ["strict"]);
    assert_eq!(stopped.tenants().map(|(_, mock)| mock.ledger().is_empty()).collect::<Vec<_>>(), [true, false]);
}

/// What a client that trusts this authority gets of a plain request: all that came, and whether the end was told.
fn over_tls(mock: &RunningMock, ca: &str, host: &str) -> Result<(String, bool), String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let tcp = TcpStream::connect(mock.address()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = rustls::StreamOwned::new(session, tcp);
    let request = "GET /elsewhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut came = Vec::new();
    let told = stream.read_to_end(&mut came);
    Ok((String::from_utf8(came).unwrap(), told.is_ok()))
}

fn with_tls(tls: Tls) -> RunningMock {
    MockTenant::builder().tls(tls).start().unwrap()
}

#[test]
fn n8_a_tenant_has_a_good_certificate_or_one_that_is_bad_in_one_way() {
    let good = with_tls(Tls::Good);
    assert_eq!(good.base_url(), format!("https://127.0.0.1:{}", good.address().port()));
    for host in ["localhost", "127.0.0.1"] {
        let (answer, told) = over_tls(&good, good.ca_pem().unwrap(), host).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 ") && told);
    }
    for (tls, reason) in [(Tls::Expired, "expired"), (Tls::WrongHost, "not valid for name"), (Tls::UnknownCa, "issuer")]
    {
        let mock = with_tls(tls);
        let refusal = over_tls(&mock, mock.ca_pem().unwrap(), "localhost").unwrap_err().to_lowercase();
        assert!(refusal.contains(reason), "{tls:?}: {refusal}");
        assert!(mock.ledger().is_empty());
    }
    assert_eq!(MockTenant::builder().start().unwrap().ca_pem(), None);
}

#[test]
fn n9_a_connection_over_tls_ends_with_a_goodbye_or_without_one_and_may_be_cut_either_way() {
    let end = |tls: Tls, fault: Option<Fault>| {
        let builder = MockTenant::builder().tls(tls);
        let mock = fault.into_iter().fold(builder, |b, f| b.fault(FaultRule::new(Matcher::any(), f))).start().unwrap();
        let (answer, told) = over_tls(&mock, mock.ca_pem().unwrap(), "localhost").unwrap();
        (answer.contains("no such resource"), told)
    };
    assert_eq!(end(Tls::Good, None), (true, true));
    assert_eq!(end(Tls::NoCloseNotify, None), (true, false));
    assert_eq!(end(Tls::Good, Some(Fault::CutAt(10))), (false, true));
    assert_eq!(end(Tls::NoCloseNotify, Some(Fault::CutAt(10))), (false, false));
}

#[test]
fn a_host_with_tls_has_one_authority_for_all_its_tenants() {
    let tenants = ["a", "b"].map(|name| (name.to_owned(), MockTenant::builder().tls(Tls::Good)));
    let host = MockHost::builder().tenants(tenants).tenant("plain", MockTenant::builder()).start().unwrap();
    for name in ["a", "b"] {
        assert!(over_tls(host.tenant(name).unwrap(), host.ca_pem().unwrap(), "localhost").is_ok());
    }
    let mut plain = Client::without_token(host.tenant("plain").unwrap());
    let answer = plain.get("/elsewhere", "");
    assert_eq!((answer.status(), answer.ended), (404, Ended::Open));
}
