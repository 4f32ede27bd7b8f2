//! The other face: the same tenant inside a simulated network, on simulated time.

use std::sync::Arc;
use std::time::Duration;

use cxtract::mock::{MockRequest, MockTenant, Tenant, TenantClock, serve_connection};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Puts that tenant behind port 80 of the simulated host `tenant`.
pub fn host(simulation: &mut turmoil::Sim<'_>, tenant: &Arc<Mutex<Tenant>>) {
    let served = tenant.clone();
    simulation.host("tenant", move || {
        let tenant = served.clone();
        async move {
            let clock = TenantClock::start_now();
            let listener = turmoil::net::TcpListener::bind("0.0.0.0:80").await?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(serve_connection(stream, tenant.clone(), clock));
            }
        }
    });
}

#[test]
fn the_tenant_answers_in_simulated_time() {
    let mut simulation = turmoil::Builder::new().simulation_duration(Duration::from_secs(60)).build();
    let tenant = Arc::new(Mutex::new(MockTenant::builder().latency(Duration::from_secs(30)).build()));
    host(&mut simulation, &tenant);
    simulation.client("client", async {
        let mut stream = turmoil::net::TcpStream::connect("tenant:80").await?;
        let start = tokio::time::Instant::now();
        stream.write_all(b"GET /elsewhere HTTP/1.1\r\nHost: tenant\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        assert!(answer.starts_with(b"HTTP/1.1 404 "));
        assert!(start.elapsed() >= Duration::from_secs(30));
        Ok(())
    });
    simulation.run().unwrap();
    assert_eq!(tenant.lock().ledger().len(), 1);
}

#[test]
fn the_desk_tells_in_simulated_time_as_well() {
    let mut simulation = turmoil::Builder::new().simulation_duration(Duration::from_secs(60)).build();
    let tenant = Arc::new(Mutex::new(MockTenant::builder().build()));
    host(&mut simulation, &tenant);
    simulation.client("client", async {
        for (target, begin) in
            [("scorecard", "HTTP/1.1 200 "), ("ledger", "HTTP/1.1 200 "), ("expected", "HTTP/1.1 400 ")]
        {
            let mut stream = turmoil::net::TcpStream::connect("tenant:80").await?;
            let request = format!("GET /__mock/{target} HTTP/1.1\r\nHost: tenant\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            assert!(answer.starts_with(begin), "{target}: {answer}");
        }
        Ok(())
    });
    simulation.run().unwrap();
    assert!(tenant.lock().ledger().is_empty());
}

#[test]
fn the_heart_needs_no_network_at_all() {
    let mut tenant = MockTenant::builder().block_for(Duration::from_secs(60)).requests_per_second(1.0).build();
    let mut ask = |ms| {
        let request = MockRequest::get("/api/v2/reporting/queries/q", "none");
        let script = tenant.answer(&request, Duration::from_millis(ms));
        (script.status, script.header("retry-after").map(str::to_owned))
    };
    assert_eq!(ask(0), (401, None));
    assert_eq!(ask(900), (429, Some("1".into())));
    assert_eq!(ask(1201), (429, Some("60".into())));
    assert_eq!(ask(31_201), (429, Some("30".into())));
    assert_eq!(ask(61_201), (401, None));
    assert_eq!(tenant.ledger().calls_while_told_to_wait().len(), 2);
}
