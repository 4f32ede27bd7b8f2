//! Extractions, watermarks and waits as rows, and back.
//!
//! Every row carries a checksum over all that it means, its key included; an extraction's covers its queries too, so
//! that none of them can go missing alone. A row is never used before its checksum has been held against it.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use xxhash_rust::xxh3::Xxh3;

use crate::model::{QueryId, ReportName, ReportState, TenantName, Timestamp, Window};
use crate::state::{Begun, Checkpoint, ExtractionKey, Origin, StoredExtraction, StoredQuery, TenantWait};

use super::schema;
use super::trouble::Trouble;

type Found<T> = Result<T, Trouble>;

macro_rules! select_extractions {
    ($which:literal) => {
        concat!(
            "SELECT number, report, tenant, window_from, window_to, hash, origin, form, output, state, message, ",
            "submissions, expired, position, memo, n_resumed, delivery, manifest, created_at, updated_at, checksum ",
            "FROM extraction ",
            $which
        )
    };
}

/// Looks up an extraction, and the number by which its rows are tied together.
pub(super) fn find(db: &Connection, key: &ExtractionKey) -> Found<Option<(i64, StoredExtraction)>> {
    let which =
        select_extractions!("WHERE report = ?1 AND tenant = ?2 AND window_from = ?3 AND window_to = ?4 AND hash = ?5");
    let ExtractionKey { report, tenant, window, hash } = key;
    let key = params![report.as_str(), tenant.as_str(), window.from.0, window.to.0, hash];
    let row = db.prepare_cached(which)?.query_row(key, |row| Ok(read_extraction(row))).optional()?;
    row.map(|row| with_queries(db, row?)).transpose()
}

/// Every extraction, in no order.
pub(super) fn all(db: &Connection) -> Found<Vec<StoredExtraction>> {
    let mut select = db.prepare_cached(select_extractions!(""))?;
    collect(db, select.query_map([], |row| Ok(read_extraction(row)))?)
}

/// The extractions of one report, in no order.
pub(super) fn of_report(db: &Connection, report: &ReportName, tenant: &TenantName) -> Found<Vec<StoredExtraction>> {
    let mut select = db.prepare_cached(select_extractions!("WHERE report = ?1 AND tenant = ?2"))?;
    let whose = params![report.as_str(), tenant.as_str()];
    collect(db, select.query_map(whose, |row| Ok(read_extraction(row)))?)
}

fn collect(
    db: &Connection,
    rows: impl Iterator<Item = rusqlite::Result<Found<ExtractionRow>>>,
) -> Found<Vec<StoredExtraction>> {
    rows.map(|row| with_queries(db, row??).map(|(_, extraction)| extraction)).collect()
}

struct ExtractionRow {
    number: i64,
    extraction: StoredExtraction,
    checksum: i64,
}

fn read_extraction(row: &Row<'_>) -> Found<ExtractionRow> {
    let read = || -> rusqlite::Result<_> {
        let key = ExtractionKey {
            report: ReportName::from(row.get::<_, String>(1)?),
            tenant: TenantName::from(row.get::<_, String>(2)?),
            window: Window { from: Timestamp(row.get(3)?), to: Timestamp(row.get(4)?) },
            hash: row.get(5)?,
        };
        let [origin, form, output, state]: [String; 4] = [row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?];
        let [submissions, expired]: [String; 2] = [row.get(11)?, row.get(12)?];
        let [position, memo]: [Option<String>; 2] = [row.get(13)?, row.get(14)?];
        let Some((origin, state)) = origin_of(&origin).zip(ReportState::parse(&state)) else { return Ok(None) };
        let (Ok(submissions), Ok(expired)) = (serde_json::from_str(&submissions), serde_json::from_str(&expired))
        else {
            return Ok(None);
        };
        let checkpoint = match (position.as_deref().map(serde_json::from_str), memo) {
            (None, None) => None,
            (Some(Ok(position)), Some(memo)) => Some(Checkpoint { position, memo }),
            _ => return Ok(None),
        };
        let extraction = StoredExtraction {
            key,
            begun: Begun { origin, form, output },
            state,
            message: row.get(10)?,
            queries: BTreeMap::new(),
            submissions,
            expired,
            checkpoint,
            n_resumed: row.get::<_, i64>(15)?.cast_unsigned(),
            delivery: row.get(16)?,
            manifest: row.get(17)?,
            created_at: Timestamp(row.get(18)?),
            updated_at: Timestamp(row.get(19)?),
        };
        Ok(Some(ExtractionRow { number: row.get(0)?, extraction, checksum: row.get(20)? }))
    };
    let of = || {
        format!("of report {}", row.get::<_, String>(1).map_or("?".into(), |name| ReportName::from(name).to_string()))
    };
    read().map_err(|error| unreadable(error, "extraction", &of()))?.ok_or_else(|| altered("extraction", &of()))
}

fn with_queries(db: &Connection, row: ExtractionRow) -> Found<(i64, StoredExtraction)> {
    let ExtractionRow { number, mut extraction, checksum } = row;
    let of = format!("of report {}@{}", extraction.key.report, extraction.key.tenant);
    let select = "SELECT part, id, submitted_at, after_loss, checksum FROM query WHERE extraction = ?1";
    let mut select = db.prepare_cached(select)?;
    let read = |row: &Row<'_>| -> rusqlite::Result<(u32, StoredQuery, i64)> {
        let id = QueryId::from(row.get::<_, String>(1)?);
        Ok((
            row.get(0)?,
            StoredQuery { id, submitted_at: Timestamp(row.get(2)?), after_loss: row.get(3)? },
            row.get(4)?,
        ))
    };
    for row in select.query_map([number], read)? {
        let (part, query, checksum) = row.map_err(|error| unreadable(error, "query", &of))?;
        if checksum != sum_of_query(number, part, &query) {
            return Err(altered("query", &of));
        }
        extraction.queries.insert(part, query);
    }
    if checksum != sum_of(number, &extraction) {
        return Err(altered("extraction", &of));
    }
    Ok((number, extraction))
}

/// Stores an extraction in place of whatever is stored under its key.
pub(super) fn replace(db: &Connection, extraction: &StoredExtraction) -> Found<()> {
    delete(db, &extraction.key)?;
    // Its number is part of its checksum, so that it must be known before the row is made.
    let number: i64 =
        db.prepare_cached("SELECT coalesce(max(number), 0) + 1 FROM extraction")?.query_one([], |row| row.get(0))?;
    let ExtractionKey { report, tenant, window, hash } = &extraction.key;
    let Begun { origin, form, output } = &extraction.begun;
    let insert = "INSERT INTO extraction VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '', NULL, '', 0, NULL, NULL, 0, \
                  NULL, NULL, ?10, 0, 0)";
    db.prepare_cached(insert)?.execute(params![
        number,
        report.as_str(),
        tenant.as_str(),
        window.from.0,
        window.to.0,
        hash,
        word_of(*origin),
        form,
        output,
        extraction.created_at.0,
    ])?;
    update(db, number, &BTreeMap::new(), extraction)
}

/// Stores what became of an extraction; `queries` are those that are stored of it.
pub(super) fn update(
    db: &Connection,
    number: i64,
    queries: &BTreeMap<u32, StoredQuery>,
    extraction: &StoredExtraction,
) -> Found<()> {
    for part in queries.keys().filter(|part| !extraction.queries.contains_key(part)) {
        db.prepare_cached("DELETE FROM query WHERE extraction = ?1 AND part = ?2")?
            .execute([number, (*part).into()])?;
    }
    for (part, query) in extraction.queries.iter().filter(|(part, query)| queries.get(part) != Some(query)) {
        let checksum = sum_of_query(number, *part, query);
        db.prepare_cached("INSERT OR REPLACE INTO query VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
            number,
            part,
            query.id.as_str(),
            query.submitted_at.0,
            query.after_loss,
            checksum
        ])?;
    }
    let set = "UPDATE extraction SET state = ?2, message = ?3, submissions = ?4, expired = ?5, position = ?6, \
               memo = ?7, n_resumed = ?8, delivery = ?9, manifest = ?10, updated_at = ?11, checksum = ?12 \
               WHERE number = ?1";
    let checkpoint = extraction.checkpoint.as_ref();
    db.prepare_cached(set)?.execute(params![
        number,
        extraction.state.as_str(),
        extraction.message,
        json(&extraction.submissions),
        json(&extraction.expired),
        checkpoint.map(|checkpoint| json(&checkpoint.position)),
        checkpoint.map(|checkpoint| &checkpoint.memo),
        extraction.n_resumed.cast_signed(),
        extraction.delivery,
        extraction.manifest,
        extraction.updated_at.0,
        sum_of(number, extraction),
    ])?;
    Ok(())
}

/// Forgets an extraction, where there is one.
pub(super) fn delete(db: &Connection, key: &ExtractionKey) -> Found<()> {
    let which = "DELETE FROM extraction \
                 WHERE report = ?1 AND tenant = ?2 AND window_from = ?3 AND window_to = ?4 AND hash = ?5";
    let ExtractionKey { report, tenant, window, hash } = key;
    let key = params![report.as_str(), tenant.as_str(), window.from.0, window.to.0, hash];
    db.prepare_cached(which)?.execute(key)?;
    Ok(())
}

/// The watermark of a report.
pub(super) fn watermark(db: &Connection, report: &ReportName, tenant: &TenantName) -> Found<Option<Timestamp>> {
    let select = "SELECT at, checksum FROM watermark WHERE report = ?1 AND tenant = ?2";
    let of = format!("of report {report}@{tenant}");
    let row: Option<(i64, i64)> = db
        .prepare_cached(select)?
        .query_row([report.as_str(), tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(|error| unreadable(error, "watermark", &of))?;
    match row {
        Some((at, checksum)) if checksum == sum_of_watermark(report, tenant, at) => Ok(Some(Timestamp(at))),
        Some(_) => Err(altered("watermark", &of)),
        None => Ok(None),
    }
}

/// Moves the watermark of a report on; it never goes back.
pub(super) fn advance(db: &Connection, report: &ReportName, tenant: &TenantName, to: Timestamp) -> Found<()> {
    if watermark(db, report, tenant)?.is_none_or(|kept| to > kept) {
        let checksum = sum_of_watermark(report, tenant, to.0);
        db.prepare_cached("INSERT OR REPLACE INTO watermark VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            report.as_str(),
            tenant.as_str(),
            to.0,
            checksum
        ])?;
    }
    Ok(())
}

/// What a tenant asked for.
pub(super) fn wait(db: &Connection, tenant: &TenantName) -> Found<Option<TenantWait>> {
    let of = format!("of tenant {tenant}");
    let row: Option<(String, i64)> = db
        .prepare_cached("SELECT wait, checksum FROM tenant_wait WHERE tenant = ?1")?
        .query_row([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(|error| unreadable(error, "tenant_wait", &of))?;
    let Some((wait, checksum)) = row else { return Ok(None) };
    match serde_json::from_str(&wait) {
        Ok(read) if checksum == sum_of_wait(tenant, &wait) => Ok(Some(read)),
        _ => Err(altered("tenant_wait", &of)),
    }
}

/// Stores a wait in place of any that is stored.
pub(super) fn replace_wait(db: &Connection, tenant: &TenantName, wait: &TenantWait) -> Found<()> {
    let wait = json(wait);
    let checksum = sum_of_wait(tenant, &wait);
    db.prepare_cached("INSERT OR REPLACE INTO tenant_wait VALUES (?1, ?2, ?3)")?.execute(params![
        tenant.as_str(),
        wait,
        checksum
    ])?;
    Ok(())
}

/// Holds every row of a store of that version against its checksum.
pub(super) fn check(db: &Connection, version: u32) -> Found<()> {
    all(db)?;
    let pair =
        |row: &Row<'_>| Ok((ReportName::from(row.get::<_, String>(0)?), TenantName::from(row.get::<_, String>(1)?)));
    for whose in db.prepare("SELECT report, tenant FROM watermark")?.query_map([], pair)? {
        let (report, tenant) = whose?;
        watermark(db, &report, &tenant)?;
    }
    if version < schema::WITH_WAITS {
        return Ok(());
    }
    let mut tenants = db.prepare("SELECT tenant FROM tenant_wait")?;
    for tenant in tenants.query_map([], |row| row.get::<_, String>(0))? {
        wait(db, &TenantName::from(tenant?))?;
    }
    Ok(())
}

fn altered(table: &str, of: &str) -> Trouble {
    Trouble::Damaged(format!("the row {of} in table {table} is not as it was stored"))
}

fn unreadable(error: rusqlite::Error, table: &str, of: &str) -> Trouble {
    match error.sqlite_error() {
        Some(_) => Trouble::Sqlite(error),
        None => Trouble::Damaged(format!("the row {of} in table {table} can't be read: {error}")),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("numbers and text under text keys have a form in JSON")
}

fn word_of(origin: Origin) -> &'static str {
    match origin {
        Origin::Configured => "configured",
        Origin::Given => "given",
    }
}

fn origin_of(word: &str) -> Option<Origin> {
    [Origin::Configured, Origin::Given].into_iter().find(|origin| word_of(*origin) == word)
}

fn sum_of(number: i64, extraction: &StoredExtraction) -> i64 {
    let StoredExtraction {
        key: ExtractionKey { report, tenant, window, hash },
        begun: Begun { origin, form, output },
        state,
        message,
        queries,
        submissions,
        expired,
        checkpoint,
        n_resumed,
        delivery,
        manifest,
        created_at,
        updated_at,
    } = extraction;
    let mut sum = Sum::of("extraction");
    sum.number(number).text(report.as_str()).text(tenant.as_str());
    sum.number(window.from.0).number(window.to.0).text(hash);
    sum.text(word_of(*origin)).text(form).text(output);
    sum.text(state.as_str()).maybe(message.as_deref());
    sum.number(queries.len() as i64);
    for (part, query) in queries {
        sum.number(sum_of_query(number, *part, query));
    }
    sum.text(&json(submissions)).text(&json(expired));
    sum.maybe(checkpoint.as_ref().map(|checkpoint| json(&checkpoint.position)).as_deref());
    sum.maybe(checkpoint.as_ref().map(|checkpoint| checkpoint.memo.as_str()));
    sum.number(n_resumed.cast_signed()).maybe(delivery.as_deref()).maybe(manifest.as_deref());
    sum.number(created_at.0).number(updated_at.0).done()
}

fn sum_of_query(number: i64, part: u32, query: &StoredQuery) -> i64 {
    let StoredQuery { id, submitted_at, after_loss } = query;
    let mut sum = Sum::of("query");
    sum.number(number).number(part.into()).text(id.as_str()).number(submitted_at.0);
    sum.number((*after_loss).into()).done()
}

fn sum_of_watermark(report: &ReportName, tenant: &TenantName, at: i64) -> i64 {
    Sum::of("watermark").text(report.as_str()).text(tenant.as_str()).number(at).done()
}

fn sum_of_wait(tenant: &TenantName, wait: &str) -> i64 {
    Sum::of("tenant_wait").text(tenant.as_str()).text(wait).done()
}

/// A checksum over values. Each comes with its length, so that text can't move from one to the next.
struct Sum(Xxh3);

impl Sum {
    fn of(table: &str) -> Self {
        let mut sum = Self(Xxh3::new());
        sum.text(table);
        sum
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    fn maybe(&mut self, text: Option<&str>) -> &mut Self {
        self.number(text.is_some().into()).text(text.unwrap_or_default())
    }

    fn number(&mut self, number: i64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    fn done(&self) -> i64 {
        self.0.digest().cast_signed()
    }
}
