//! The three steps of a query behind a good token: submission, status, pages.

use std::time::Duration;

use serde_json::json;

use super::data::mix;
use super::fault::Fault;
use super::ledger::Refused;
use super::query::{Fate, MockQuery, Submission};
use super::report::{End, LinkStyle, MockReport};
use super::request::{Call, MockRequest};
use super::script::{BodyPlan, Framing, Script};
use super::tenant::{Remarks, Tenant};

impl Tenant {
    pub(super) fn submit(&mut self, request: &MockRequest, now: Duration, remarks: &mut Remarks) -> Script {
        if !request.has_type("application/json") {
            return Script::refusal(400, "the body must be application/json");
        }
        let submission = match Submission::read(&request.body, self.settings.json_kind.is_some()) {
            Ok(submission) => submission,
            Err((status, message)) => return Script::refusal(status, &message),
        };
        let Some(rows) = self.settings.report(&submission.template).map(MockReport::n_rows) else {
            return Script::refusal(422, &format!("unknown templateId {}", submission.template));
        };
        remarks.asked = Some(submission.asked(&request.body));
        if let Some(message) = self.settings.licence.refuses(submission.window, rows) {
            return Script::refusal(403, &message);
        }
        let life = self.settings.query_life;
        let most = self.settings.max_open_queries;
        if most != usize::MAX && self.queries.n_open(now, life) >= most {
            remarks.refused = Some(Refused::OpenQueries);
            return self.throttled(429, Duration::from_secs(1), now, "too many open queries");
        }
        let nth = self.queries.len();
        let id = submission.id(nth, self.settings.salt);
        let draw = mix(self.settings.seed ^ mix(nth as u64));
        self.open_query(submission, id.clone(), now, now + self.settings.ready.time(draw, rows));
        remarks.query = Some(id.clone());
        Script::json(202, &json!({ "queryId": id }))
    }

    fn open_query(&mut self, submission: Submission, id: String, now: Duration, ready_at: Duration) -> usize {
        let nth = self.queries.len();
        let fates = [self.settings.fates.get(&nth), self.settings.fates_of.get(&submission.template)];
        let fate = fates.into_iter().flatten().next().or(self.settings.every_fate.as_ref()).cloned();
        self.queries.add(MockQuery {
            id,
            nth,
            template: submission.template,
            window: submission.window,
            page_size: submission.page_size,
            submitted: now,
            ready_at,
            pages_served: 0,
            polls_when_ready: 0,
            polls: 0,
            json: submission.json,
            remembered: false,
            read_to_end: false,
            expired: false,
            fate,
        })
    }

    /// Which of the queries an id names. A tenant that remembers knows the ids of its earlier lives.
    pub(super) fn find_query(&mut self, id: &str, now: Duration) -> Option<usize> {
        let known = self.queries.find(id);
        if known.is_some() || !self.settings.remembers_queries {
            return known;
        }
        let submission = Submission::of_id(id).filter(|s| self.settings.report(&s.template).is_some())?;
        let nth = self.open_query(submission, id.to_owned(), now, now);
        self.queries[nth].remembered = true;
        Some(nth)
    }

    pub(super) fn status(&mut self, query: Option<usize>, now: Duration) -> Script {
        let Some(query) = query.filter(|&nth| !self.queries[nth].is_gone(now, self.settings.query_life)) else {
            return Script::refusal(404, "no such query");
        };
        let query = &mut self.queries[query];
        let word = query.poll(now).to_owned();
        let mut answer = json!({ "queryId": query.id, "status": word });
        match (word.as_str(), &query.fate) {
            ("failed", Some(Fate::Fails(message))) => answer["errorMessage"] = json!(message),
            ("failed", _) => answer["errorMessage"] = json!("the query failed"),
            ("complete", _) => {
                let report = self.settings.report(&query.template);
                if let Some(rows) = report.and_then(|report| report.total_rows.of(report.n_rows())) {
                    answer["totalRows"] = json!(rows);
                }
            }
            _ => {}
        }
        Script::json(200, &answer)
    }

    pub(super) fn page(
        &mut self,
        request: &MockRequest,
        call: &Call,
        query: Option<usize>,
        fault: Option<&Fault>,
        now: Duration,
    ) -> Script {
        let Some(nth) = query.filter(|&nth| !self.queries[nth].is_gone(now, self.settings.query_life)) else {
            return Script::refusal(404, "no such query");
        };
        let query = &self.queries[nth];
        let (Some(page), Some("csv"), Some(size)) = (call.page, call.format.as_deref(), call.page_size) else {
            return Script::refusal(400, "format=csv, page (from 1) and pageSize are needed");
        };
        if size != query.page_size {
            return Script::refusal(400, "pageSize differs from the submission's");
        }
        if !query.has_pages(now) {
            let status = if query.wavers() { 404 } else { 409 };
            return Script::refusal(status, "the query is not complete");
        }
        let Some(report) = self.settings.report(&query.template).cloned() else {
            return Script::refusal(404, "no such template");
        };
        let (past_end, last) = (report.rows_on(page, size).is_empty(), report.is_last(page, size));
        let mut script = if past_end && report.end == End::NotFound404 {
            Script::refusal(404, "no such page")
        } else {
            let shown = if let Some(Fault::SamePageAs(other)) = fault { *other } else { page };
            let mut source = report.source(self.settings.seed, &query.template, query.window);
            if matches!(fault, Some(Fault::OtherRows)) {
                source = source.changed();
            }
            let mut script = Script::new(200, "text/csv; charset=utf-8", "");
            script.body = BodyPlan::Generated(report.page(source, shown, size));
            script.framing = if report.chunked { Framing::Chunked } else { Framing::ContentLength };
            script.gzip = report.gzip && request.accepts_gzip();
            if query.json {
                script = self.converted(script, page);
            }
            script
        };
        if let Some(count) = report.total_count.of(report.n_rows()) {
            script.set("X-Total-Count", &count.to_string());
        }
        let mut shows_end = past_end;
        if script.status == 200
            && let Some(link) = link(&report, call, page, last || past_end)
        {
            // Who goes by links has no reason to ask again, however else the end would show.
            shows_end |= !link.contains("rel=\"next\"");
            script.set("Link", &link);
        }
        let query = &mut self.queries[nth];
        query.pages_served += u64::from(!past_end);
        query.read_to_end |= shows_end;
        script
    }
}

impl Tenant {
    /// A page of the JSON kind: it comes late or not at all, and what is not ASCII does not survive.
    fn converted(&self, mut script: Script, page: u64) -> Script {
        let draw = mix(self.settings.seed ^ mix(page) ^ mix(self.ledger().len() as u64));
        let plain = String::from_utf8_lossy(&script.body.whole()).replace(|c: char| !c.is_ascii(), "?");
        script.body = BodyPlan::Bytes(plain.into());
        if draw.is_multiple_of(3) {
            script = Script::refusal(504, "the conversion took too long");
        }
        script.delay += self.settings.json_kind.unwrap_or_default();
        script
    }
}

fn link(report: &MockReport, call: &Call, page: u64, last: bool) -> Option<String> {
    let size = call.page_size.unwrap_or_default();
    let to = |page: u64, rel: &str| format!("<{}?format=csv&page={page}&pageSize={size}>; rel=\"{rel}\"", call.path);
    let around = |last: bool| {
        let first = to(page.saturating_sub(1).max(1), if page > 1 { "prev" } else { "first" });
        if last { first } else { format!("{first}, {}", to(page.saturating_add(1), "next")) }
    };
    match report.link {
        LinkStyle::EndsEarly(at) => Some(around(last || page == at)),
        LinkStyle::Looping => Some(to(1, "next")),
        LinkStyle::Elsewhere(address) => Some(format!("<{address}>; rel=\"next\"")),
        LinkStyle::Proper => Some(around(last)),
        LinkStyle::Absent => (report.end == End::LinkWithoutNext).then(|| around(last)),
    }
}
