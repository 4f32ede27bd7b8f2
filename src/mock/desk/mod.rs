//! What a tenant tells people and scripts about its client, under `/__mock/` on its own port.
//!
//! None of it needs a token, counts against a limit or stands in the ledger: looking on changes nothing. Long answers
//! are made piece by piece, and no lock is held while bytes move. Credentials can't be shown, because nothing here ever
//! sees any.

mod answer;
mod expected;
mod findings;
mod index;
mod ledger;
mod page;
mod plot;
mod scorecard;
mod words;

use std::io;

use tokio::io::AsyncWrite;

use super::house::{Door, Resident};
use super::openapi::openapi;
use super::request::MockRequest;

use self::answer::{Answer, send};

pub use self::findings::{Finding, Grade};
pub(super) use self::scorecard::Records;
pub use self::scorecard::{CallsByKind, CallsOverTime, Figures, QueryLine, Scorecard};

const ROOT: &str = "/__mock";

/// The paths below the root, each with its method.
const KNOWN: [(&str, &str); 8] = [
    ("/", "GET"),
    ("/ledger", "GET"),
    ("/scorecard", "GET"),
    ("/scorecard.json", "GET"),
    ("/scorecard.html", "GET"),
    ("/expected", "GET"),
    ("/openapi.json", "GET"),
    ("/reset", "POST"),
];

/// Whether a request is for the desk.
pub(super) fn is_meant(target: &str) -> bool {
    target.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// Answers a request that is for the desk. `last` says that the connection is closed after it.
///
/// # Errors
/// If the client is gone, or if the answer can't be told to its end.
pub(super) async fn answer<S>(stream: &mut S, door: &Door, request: &MockRequest, last: bool) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let (path, parameters) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let below = path.strip_prefix(ROOT).unwrap_or_default();
    let below = if below.is_empty() { "/" } else { below };
    let Some((_, method)) = KNOWN.iter().find(|(known, _)| *known == below) else {
        let known: Vec<String> = KNOWN.iter().map(|(below, method)| format!("{method} {ROOT}{below}")).collect();
        let message = format!("nothing here; there is {}", known.join(", "));
        return send(stream, Answer::refusal(404, &message), last).await;
    };
    if request.method != *method {
        let message = format!("{ROOT}{below} answers to {method} alone");
        return send(stream, Answer::refusal(405, &message).with("Allow", method), last).await;
    }
    if *method == "POST" && answer::is_of_another_page(request) {
        let message = format!("{ROOT}{below} takes no orders from pages of another origin");
        return send(stream, Answer::refusal(403, &message), last).await;
    }
    if !matches!(below, "/ledger" | "/expected") {
        let (door, request, below) = (door.clone(), request.clone(), below.to_owned());
        // A long ledger takes some counting, and calls are not to wait for it.
        let made = tokio::task::spawn_blocking(move || whole(&below, &door, &request));
        return send(stream, made.await?, last).await;
    }
    let resident = match door.resident(request) {
        Ok(resident) => resident,
        Err(why) => return send(stream, Answer::refusal(421, &why), last).await,
    };
    if below == "/ledger" {
        return ledger::send(stream, resident, last).await;
    }
    match expected::asked(resident, parameters) {
        Ok(file) => expected::send(stream, file, last).await,
        Err(refusal) => send(stream, refusal, last).await,
    }
}

/// What is made whole before it is sent.
fn whole(below: &str, door: &Door, request: &MockRequest) -> Answer {
    if below == "/" {
        return Answer::html(index::render(door, request));
    }
    let resident = match door.resident(request) {
        Ok(resident) => resident,
        Err(why) => return Answer::refusal(421, &why),
    };
    let json = |card: &Scorecard| match serde_json::to_vec_pretty(card) {
        Ok(text) => Answer::new(200, "application/json", text),
        Err(error) => Answer::refusal(500, &format!("the scorecard can't be written: {error}")),
    };
    let page = |resident: &Resident| Answer::html(page::render(&resident.scorecard(false), &resident.base_url));
    match below {
        "/reset" => {
            let now = resident.now();
            resident.tenant.lock().forget_ledger(now);
            Answer::new(204, "", Vec::new())
        }
        "/openapi.json" => Answer::new(200, "application/json", openapi(&resident.base_url)),
        "/scorecard.html" => page(resident),
        "/scorecard" if answer::prefers_html(request) => page(resident),
        _ => json(&resident.scorecard(false)),
    }
}
