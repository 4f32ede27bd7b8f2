//! The first page of the desk: the tenants of this process, and where each tells what.

use askama::Template;

use crate::mock::house::{Door, Resident};
use crate::mock::request::MockRequest;

use super::findings::Grade;

#[derive(Template)]
#[template(path = "mock/desk/index.html")]
struct Index {
    tenants: Vec<Line>,
    /// Where the calls of the first tenant begin.
    example: String,
    token_url: String,
}

struct Line {
    name: String,
    base_url: String,
    grade: Grade,
    n_calls: usize,
}

impl Line {
    fn of(resident: &Resident, base_url: String) -> Self {
        let card = resident.scorecard(false);
        Self { name: resident.name.clone(), base_url, grade: card.grade, n_calls: card.verdict.calls }
    }
}

/// The page, whoever of the tenants was called.
///
/// # Errors
/// If the template can't be filled.
pub(super) fn render(door: &Door, request: &MockRequest) -> Result<String, askama::Error> {
    let all = &door.house.residents;
    // A tenant that does not know its own address is the one that was called.
    let host = request.header("host").unwrap_or("localhost");
    let base = |resident: &Resident| match resident.base_url.as_str() {
        "" => format!("http://{host}"),
        known => known.to_owned(),
    };
    let asked = door.only_resident().or(all.first());
    let example = asked.map(&base).unwrap_or_default();
    let token_path = asked.map(|resident| resident.tenant.lock().settings.token_path.clone()).unwrap_or_default();
    let tenants = all.iter().map(|resident| Line::of(resident, base(resident))).collect();
    Index { tenants, token_url: format!("{example}{token_path}"), example }.render()
}
