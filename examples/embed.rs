//! A web service that embeds the engine: reports are extracted by HTTP request.
//!
//! `cargo run --example embed` serves on 127.0.0.1:8080; `cargo run --example embed -- --demo` extracts one report by a
//! request to itself, prints the answer, and ends. The tenant is a mock, so that no account is needed.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io;
use std::path::Path;
use std::time::Duration;

use actix_web::rt::time::timeout;
use actix_web::{App, HttpServer};
use cxtract::config::Sources;
use cxtract::mock::{MockReport, MockTenant};
use cxtract::model::{ReportName, TenantName};
use cxtract::service::Routes;
use cxtract::{Config, Engine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The demonstration ends by then, one way or the other.
const DEMO_LIMIT: Duration = Duration::from_secs(60);

const CONFIG: &str = "
tenants:
  demo: {mock: {}, poll: {initial_delay: 200ms}}
reports:
  interactions:
    tenant: demo
    template_id: interaction-detail-report
    window: {from: 2024-01-01, to: 2024-01-31}
    page_size: 1000
";

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let demo = std::env::args().any(|argument| argument == "--demo");

    let mock = MockTenant::builder()
        .default_report(MockReport::with_rows(10_000))
        .ready_after(Duration::from_millis(200))
        .start()?;
    let folder = std::env::temp_dir().join(format!("cxtract-embed-{}", std::process::id()));
    let engine = Engine::builder().config(configuration(&folder, &mock.base_url())?).start()?;
    let routes = Routes::new(engine.clone(), [ReportName::new("interactions")]);

    // Port 0 in the demonstration, so that it runs beside anything else.
    let port = if demo { 0 } else { 8080 };
    let server =
        HttpServer::new(move || App::new().service(routes.scope("/reports"))).workers(1).bind(("127.0.0.1", port))?;
    let address = server.addrs()[0];
    let server = server.run();

    if demo {
        let control = server.handle();
        actix_web::rt::spawn(server);
        let answer = timeout(DEMO_LIMIT, post(address, "/reports/interactions/extract?wait=true")).await??;
        println!("{answer}");
        engine.shutdown().await;
        control.stop(true).await;
        std::fs::remove_dir_all(&folder).ok();
        let done = answer.contains("\"outcome\":\"complete\"");
        return if done { Ok(()) } else { Err("the report was not delivered".into()) };
    }

    println!("try: curl -X POST 'http://{address}/reports/interactions/extract?wait=true'");
    println!("output goes to {}", folder.join("out").display());
    server.await?;
    engine.shutdown().await;
    Ok(())
}

fn configuration(folder: &Path, base_url: &str) -> Result<Config, Box<dyn Error>> {
    let mut config = Config::load(&Sources::text(folder.join("config.yaml"), CONFIG))?;
    config.point_mock(&TenantName::new("demo"), base_url)?;
    Ok(config)
}

/// A request without a client library: what a shell would do with curl.
async fn post(address: std::net::SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
