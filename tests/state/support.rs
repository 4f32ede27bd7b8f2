//! Stores to test, and things to store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cxtract::model::{
    BootId, FileMark, Moment, PageNumber, Position, QueryId, ReportName, ReportState, TenantName, Ticks, Timestamp,
    WallClock, Window,
};
use cxtract::policy::gate::PaceSettings;
use cxtract::state::{
    Begun, Checkpoint, Complaint, ExtractionKey, MemoryStore, Origin, SqliteStore, Store, StoreError, StoredExtraction,
    TenantWait,
};
use tempfile::TempDir;

/// One kind of store, with a clock that goes on by a millisecond whenever it is looked at.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    handle: Box<dyn Fn() -> Arc<dyn Store>>,
}

impl Subject {
    /// A handle to the same stored content: for the SQLite store another connection, as another process would have.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        (self.handle)()
    }
}

/// A fresh store of each kind.
pub(crate) fn subjects() -> [Subject; 2] {
    let memory = MemoryStore::new(ticking());
    let (place, clock) = (Place::new(), ticking());
    [
        Subject { name: "memory", handle: Box::new(move || Arc::new(memory.clone())) },
        Subject {
            name: "sqlite",
            handle: Box::new(move || Arc::new(SqliteStore::open(&place.path(), clock.clone()).unwrap())),
        },
    ]
}

fn ticking() -> WallClock {
    let now = AtomicI64::new(1_000_000);
    WallClock::new(move || Timestamp(now.fetch_add(1, Ordering::Relaxed)))
}

/// A folder for one database.
pub(crate) struct Place(pub(crate) TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("state.db")
    }

    pub(crate) fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), still()).unwrap()
    }
}

/// A clock that stands.
pub(crate) fn still() -> WallClock {
    WallClock::new(|| Timestamp(1_706_745_600_000))
}

pub(crate) fn calls() -> ReportName {
    ReportName::new("calls")
}

pub(crate) fn acme() -> TenantName {
    TenantName::new("acme")
}

pub(crate) fn key(report: &str, day: i64, hash: &str) -> ExtractionKey {
    let window = Window { from: Timestamp(day * 86_400_000), to: Timestamp((day + 1) * 86_400_000 - 1) };
    ExtractionKey { report: ReportName::new(report), tenant: acme(), window, hash: hash.into() }
}

pub(crate) fn begun(output: &str) -> Begun {
    Begun { origin: Origin::Configured, form: r#"{"format":"csv"}"#.into(), output: output.into() }
}

pub(crate) fn at(part: u32, page: u64) -> Checkpoint {
    let sides = BTreeMap::from([("rejects.csv".to_owned(), FileMark { offset: page, crc32: u32::MAX })]);
    let position = Position {
        part,
        query_id: Some(QueryId::new("q-7")),
        next_page: PageNumber(page),
        n_pages: page,
        n_rows: u64::MAX,
        output: FileMark { offset: 1 << 40, crc32: 77 },
        sides,
    };
    Checkpoint { position, memo: format!("columns and counts up to page {page}") }
}

pub(crate) fn wait(received_at: i64, seconds: u64) -> TenantWait {
    let received = Moment { wall: Timestamp(received_at), ticks: Ticks(received_at * 1000), boot: Some(BootId(1)) };
    let asked = Duration::from_secs(seconds);
    TenantWait { status: 429, received, asked, pause: asked }
}

/// How fast the tenant may be called.
pub(crate) const PACE: PaceSettings =
    PaceSettings { requests_per_second: 20.0, burst: 5, adaptive: true, jitter: Duration::ZERO, told_most: None };

/// The tenant asks for a wait.
pub(crate) fn complain(store: &dyn Store, wait: TenantWait) -> Result<(), StoreError> {
    store.tenant_complained(&acme(), &Complaint { pace: PACE, received: wait.received, wait: Some(wait) })
}

/// Puts something of every kind into a store.
pub(crate) fn fill(store: &dyn Store) {
    let unfinished = key("calls", 19_800, "a51c");
    store.begin(&unfinished, &begun("/out/calls.csv")).unwrap();
    for part in 0..3 {
        store.begin_submission(&unfinished, part).unwrap();
        let id = QueryId::new(&format!("query-{part}-of-the-tenant"));
        store.save_query(&unfinished, part, &id, Timestamp(1_706_745_600_123 + i64::from(part))).unwrap();
    }
    store.begin_submission(&unfinished, 3).unwrap();
    store.save_checkpoint(&unfinished, &at(1, 12)).unwrap();
    store.save_state(&unfinished, ReportState::Parked, Some("told to wait")).unwrap();
    let complete = key("agents", 19_799, "0f0f");
    store.begin(&complete, &begun("/out/agents.csv")).unwrap();
    store.complete(&complete, r#"{"rows":12345}"#, Some(Timestamp(1_710_806_399_999))).unwrap();
    complain(store, wait(1_706_745_600_000, 900)).unwrap();
}

/// Everything that can be read of what [`fill`] stored.
pub(crate) type View = (Vec<StoredExtraction>, Vec<StoredExtraction>, Option<Timestamp>, Option<TenantWait>);

pub(crate) fn view(store: &dyn Store) -> Result<View, StoreError> {
    let all = store.list()?;
    let again = [key("agents", 19_799, "0f0f"), key("calls", 19_800, "a51c")];
    let found = again.iter().map(|key| store.load(key)).collect::<Result<Vec<_>, _>>()?;
    let watermark = store.watermark(&ReportName::new("agents"), &acme())?;
    Ok((all, found.into_iter().flatten().collect(), watermark, store.tenant_wait(&acme())?))
}
