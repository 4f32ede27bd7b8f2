//! The HTTP routes over a real engine and an embedded tenant.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, test};
use cxtract::config::Sources;
use cxtract::mock::{MockReport, MockTenant, RunningMock};
use cxtract::model::{ReportName, TenantName};
use cxtract::service::Routes;
use cxtract::{Config, Engine};
use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "
tenants: {demo: {mock: {}, poll: {initial_delay: 50ms}}}
reports:
  calls: {tenant: demo, template_id: calls, window: {from: 2024-01-01, to: 2024-01-31}, page_size: 500}
";

struct Host {
    folder: TempDir,
    _mock: RunningMock,
    routes: Routes,
}

fn host(ready_after: Duration) -> Host {
    let folder = tempfile::tempdir().unwrap();
    let mock = MockTenant::builder()
        .default_report(MockReport::with_rows(2_000))
        .ready_after(ready_after)
        .latency(Duration::from_millis(1))
        .strict()
        .start()
        .unwrap();
    let mut config = Config::load(&Sources::text(folder.path().join("config.yaml"), CONFIG)).unwrap();
    config.point_mock(&TenantName::new("demo"), &mock.base_url()).unwrap();
    let engine = Engine::builder().config(config).start().unwrap();
    Host { folder, _mock: mock, routes: Routes::new(engine, [ReportName::new("calls")]) }
}

async fn call(host: &Host, request: test::TestRequest) -> (StatusCode, Value) {
    let app = test::init_service(App::new().service(host.routes.scope("/reports"))).await;
    let response = test::call_service(&app, request.to_request()).await;
    let status = response.status();
    (status, test::read_body_json(response).await)
}

fn post(path: &str) -> test::TestRequest {
    test::TestRequest::post().uri(path)
}

#[actix_web::test]
async fn who_waits_is_told_the_end() {
    let host = host(Duration::ZERO);
    let (status, told) = call(&host, post("/reports/calls/extract?wait=true")).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(told["outcome"], "complete");
    assert_eq!(told["manifest"]["output"]["rows"], 2_000);
    assert!(host.folder.path().join("out/calls.csv").exists());

    let (_, list) = call(&host, test::TestRequest::get().uri("/reports")).await;
    assert_eq!(list[0]["under_way"], false);
    assert_eq!(list[0]["last"]["outcome"], "complete");
}

#[actix_web::test]
async fn a_report_that_is_under_way_is_not_started_twice_and_can_be_cancelled() {
    let host = host(Duration::from_secs(3_600));
    let (status, _) = call(&host, post("/reports/calls/extract")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, _) = call(&host, post("/reports/calls/extract")).await;
    assert_eq!(status, StatusCode::CONFLICT);

    let mut outcome = Value::Null;
    for _ in 0..200 {
        call(&host, post("/reports/calls/cancel")).await;
        let (_, list) = call(&host, test::TestRequest::get().uri("/reports")).await;
        outcome = list[0]["last"]["outcome"].clone();
        if outcome != Value::Null {
            break;
        }
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(outcome, "parked");
}

#[actix_web::test]
async fn an_unknown_report_is_not_found() {
    let host = host(Duration::ZERO);
    for path in ["extract", "pause", "resume", "cancel"] {
        let (status, _) = call(&host, post(&format!("/reports/other/{path}"))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}
