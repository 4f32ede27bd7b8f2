//! HTTP routes for an actix-web host that embeds the engine.
//!
//! | route | does |
//! | --- | --- |
//! | `GET /reports` | where every report stands, and how it last ended |
//! | `POST /reports/{name}/extract` | starts an extraction: 202; with `?wait=true` answers when it has ended; `?fresh=true` starts again |
//! | `POST /reports/{name}/pause`, `…/resume`, `…/cancel` | does that |
//!
//! The routes know nobody: whoever may reach them may use them. Mount them on a loopback address or behind the host's
//! own guard. Nothing here decides anything about an extraction; it hands over and tells.

mod desk;
mod words;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, Scope, web};
use serde::Deserialize;
use serde_json::json;

use crate::engine::EngineHandle;
use crate::model::{Ending, ReportName, WallClock};

use self::desk::{Desk, Ended};

/// A scope with all routes, for the reports named; mount it with [`actix_web::App::service`]. Made once and cloned
/// into each worker as [`Routes`], so that all workers know what is under way.
///
/// ```no_run
/// # async fn host(config: cxtract::Config) -> Result<(), Box<dyn std::error::Error>> {
/// use actix_web::{App, HttpServer};
///
/// let reports: Vec<_> = config.reports.iter().map(|report| report.name.clone()).collect();
/// let engine = cxtract::Engine::builder().config(config).start()?;
/// let routes = cxtract::service::Routes::new(engine, reports);
/// HttpServer::new(move || App::new().service(routes.scope("/reports"))).bind(("127.0.0.1", 8080))?.run().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Routes {
    desk: web::Data<Desk>,
}

impl Routes {
    /// Routes to that engine. Only the reports named can be asked for.
    pub fn new(engine: EngineHandle, reports: impl IntoIterator<Item = ReportName>) -> Self {
        Self { desk: web::Data::new(Desk::new(engine, reports)) }
    }

    /// All routes below `prefix`, as in `/reports`.
    pub fn scope(&self, prefix: &str) -> Scope {
        web::scope(prefix)
            .app_data(self.desk.clone())
            .route("", web::get().to(list))
            .route("/{report}/extract", web::post().to(extract))
            .route("/{report}/pause", web::post().to(pause))
            .route("/{report}/resume", web::post().to(resume))
            .route("/{report}/cancel", web::post().to(cancel))
    }
}

#[derive(Debug, Default, Deserialize)]
struct ExtractOptions {
    #[serde(default)]
    wait: bool,
    #[serde(default)]
    fresh: bool,
}

async fn list(desk: web::Data<Desk>) -> HttpResponse {
    HttpResponse::Ok().json(desk.overview().await)
}

async fn extract(
    desk: web::Data<Desk>,
    report: web::Path<String>,
    options: web::Query<ExtractOptions>,
) -> HttpResponse {
    let Some(report) = desk.report(&report) else { return unknown(&report) };
    let Some(turn) = desk.begin(&report) else {
        let message = "an extraction of this report is under way; pause, cancel or wait for it";
        return HttpResponse::Conflict().json(json!({ "report": report, "error": message }));
    };
    let fresh = options.fresh;
    // A client that hangs up must not take the extraction with it: it runs by itself in either case.
    let task = actix_web::rt::spawn(async move { turn.run(fresh).await });
    if !options.wait {
        return HttpResponse::Accepted().json(json!({ "report": report, "outcome": "started" }));
    }
    match task.await {
        Ok(ended) => answer(&ended),
        Err(_) => HttpResponse::InternalServerError()
            .json(json!({ "report": report, "error": "the extraction's task died; ask again" })),
    }
}

async fn pause(desk: web::Data<Desk>, report: web::Path<String>) -> HttpResponse {
    let Some(report) = desk.report(&report) else { return unknown(&report) };
    done(&report, desk.engine().pause(report.as_str()).await)
}

async fn resume(desk: web::Data<Desk>, report: web::Path<String>) -> HttpResponse {
    let Some(report) = desk.report(&report) else { return unknown(&report) };
    done(&report, desk.engine().resume(report.as_str()).await)
}

async fn cancel(desk: web::Data<Desk>, report: web::Path<String>) -> HttpResponse {
    let Some(report) = desk.report(&report) else { return unknown(&report) };
    done(&report, desk.engine().cancel(report.as_str()).await)
}

fn unknown(report: &str) -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "report": report, "error": "there is no such report" }))
}

fn done(report: &ReportName, done: bool) -> HttpResponse {
    if done {
        HttpResponse::Ok().json(json!({ "report": report, "done": true }))
    } else {
        HttpResponse::Conflict().json(json!({ "report": report, "error": "no extraction of this report is under way" }))
    }
}

/// Parked is 503, because asking again later is right; failed is 502, because the tenant is to blame as a rule.
fn answer(ended: &Ended) -> HttpResponse {
    let status = match &ended.ending {
        Ending::Complete(_) | Ending::Skipped(_) => StatusCode::OK,
        Ending::Parked(_) => StatusCode::SERVICE_UNAVAILABLE,
        Ending::Failed(_) => StatusCode::BAD_GATEWAY,
    };
    let mut response = HttpResponse::build(status);
    if let Ending::Parked(park) = &ended.ending
        && let Some(until) = park.until
    {
        let seconds = until.since(WallClock::system().now()).as_secs().max(1);
        response.insert_header((RETRY_AFTER, seconds));
    }
    response.json(words::ended(ended))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Failure, FailureClass, Park, ParkReason};

    fn status(ending: Ending) -> u16 {
        let now = WallClock::system().now();
        answer(&Ended { report: ReportName::new("a"), ending, at: now }).status().as_u16()
    }

    fn park(until: Option<Duration>) -> Ending {
        let until = until.map(|d| WallClock::system().now().plus(d));
        Ending::Parked(Park { reason: ParkReason::TenantPause, message: "told to wait".into(), until })
    }

    #[test]
    fn each_ending_has_its_status() {
        assert_eq!(status(Ending::Skipped("delivered already".into())), 200);
        assert_eq!(status(park(None)), 503);
        assert_eq!(status(Ending::Failed(Failure::new(FailureClass::Data, "page 3"))), 502);
    }

    #[test]
    fn a_parked_report_says_when_to_ask_again() {
        let ended = |ending| Ended { report: ReportName::new("a"), ending, at: WallClock::system().now() };
        let with = answer(&ended(park(Some(Duration::from_secs(100)))));
        let seconds: u64 = with.headers().get(RETRY_AFTER).unwrap().to_str().unwrap().parse().unwrap();
        assert!((90..=100).contains(&seconds), "{seconds}");
        assert!(answer(&ended(park(None))).headers().get(RETRY_AFTER).is_none());
    }
}
