//! The store that runs use: one SQLite database, which several processes may share.
//!
//! A call is one transaction, durable when it returns. What it changes is moved from SQLite's log into the database at
//! once, so that between calls the database file alone holds everything. Opening looks at every page and every row:
//! a store is whole, or it is refused; it is never repaired and never made anew where something stands already. The
//! pace of the tenants is the exception, and lies elsewhere: see `pace`.

mod file;
mod pace;
mod rows;
mod schema;
mod trouble;

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::model::{ReportName, TenantName, Timestamp, WallClock};

use super::{Begun, Claim, Complaint, ExtractionKey, Store, StoreError, StoredExtraction, TenantWait, Turn, TurnAsked};
use pace::PaceFile;
use trouble::Trouble;

/// How long a call waits for other processes' transactions, each of which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A store in an SQLite database.
pub struct SqliteStore {
    path: PathBuf,
    clock: WallClock,
    connection: Mutex<Connection>,
    /// Opened by the first who calls a tenant.
    pace: Mutex<Option<PaceFile>>,
}

impl SqliteStore {
    /// Opens the store at that path, and makes it where there is none. Times are taken from `clock`.
    pub fn open(path: &Path, clock: WallClock) -> Result<Self, StoreError> {
        opening(path, |path| {
            if !file::is_there(path)? {
                file::create(path, |scratch| {
                    let mut connection = connect(scratch)?;
                    schema::build(&mut connection)?;
                    log_ahead(&connection)?;
                    connection.close().map_err(|(_, error)| error.into())
                })?;
            }
            whole(path).map_err(Trouble::of_content)
        })
        .map(|(path, connection)| Self { path, clock, connection, pace: Mutex::default() })
    }

    /// Opens what the tenants' pace is kept in, too, which otherwise happens at the first call: so that whoever is
    /// about to make calls finds out before.
    pub fn open_pace(&self) -> Result<(), StoreError> {
        self.pace(|_| Ok(()))
    }

    /// Opens the store at that path; none where there is none.
    pub fn open_existing(path: &Path, clock: WallClock) -> Result<Option<Self>, StoreError> {
        let (path, connection) =
            opening(path, |path| file::is_there(path)?.then(|| whole(path).map_err(Trouble::of_content)).transpose())?;
        Ok(connection.map(|connection| Self { path, clock, connection, pace: Mutex::default() }))
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read<R>(&self, doing: &str, act: impl FnOnce(&Connection) -> Result<R, Trouble>) -> Result<R, StoreError> {
        let mut connection = self.connection.lock();
        // In one transaction, so that rows which belong together are of one moment.
        let read = connection.transaction().map_err(Trouble::from).and_then(|transaction| {
            let found = act(&transaction)?;
            transaction.commit()?;
            Ok(found)
        });
        read.map_err(|trouble| trouble.told(doing, &self.path))
    }

    fn write<R>(&self, doing: &str, act: impl FnOnce(&Transaction<'_>) -> Result<R, Trouble>) -> Result<R, StoreError> {
        let mut connection = self.connection.lock();
        let written = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Trouble::from)
            .and_then(|transaction| {
                // A newer program may have migrated the store since it was opened.
                schema::version_of(&transaction)?;
                let done = act(&transaction)?;
                transaction.commit()?;
                Ok(done)
            });
        written.map_err(|trouble| trouble.told(doing, &self.path))
    }

    fn change(
        &self,
        doing: &str,
        key: &ExtractionKey,
        act: impl FnOnce(&Transaction<'_>, &mut StoredExtraction) -> Result<(), Trouble>,
    ) -> Result<StoredExtraction, StoreError> {
        let now = self.clock.now();
        self.write(doing, |transaction| {
            let (number, mut extraction) = rows::find(transaction, key)?.ok_or(Trouble::Unknown)?;
            let queries = extraction.queries.clone();
            act(transaction, &mut extraction)?;
            extraction.updated_at = now;
            rows::update(transaction, number, &queries, &extraction)?;
            Ok(extraction)
        })
    }
}

fn opening<R>(path: &Path, open: impl FnOnce(&Path) -> Result<R, Trouble>) -> Result<(PathBuf, R), StoreError> {
    let doing = "opening it";
    // Not to be taken for a URI by SQLite, nor to depend on where the process is later.
    let absolute = std::path::absolute(path).map_err(|error| Trouble::from(error).told(doing, path))?;
    match open(&absolute) {
        Ok(opened) => Ok((absolute, opened)),
        Err(trouble) => Err(trouble.told(doing, &absolute)),
    }
}

/// Opens a database that is there, of this program's version and without a fault in any page or row.
fn whole(path: &Path) -> Result<Mutex<Connection>, Trouble> {
    let mut connection = connect(path)?;
    // Closing must not write to a database that turns out to be damaged or of a newer program.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let snapshot = connection.transaction()?;
    let version = schema::version_of(&snapshot)?;
    let structure: String = snapshot.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if structure != "ok" {
        return Err(Trouble::Damaged(structure));
    }
    schema::check(&snapshot, version)?;
    rows::check(&snapshot, version)?;
    snapshot.commit()?;
    if connection.is_readonly("main")? {
        return Err(match std::fs::metadata(path)?.permissions().readonly() {
            true => Trouble::Unfit("its permissions don't let it be written"),
            // SQLite got as far as this, so that nothing but the header keeps it from writing.
            false => Trouble::Damaged("its header says that it can only be read".into()),
        });
    }
    log_ahead(&connection)?;
    if version < schema::VERSION {
        schema::migrate(&mut connection)?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(Mutex::new(connection))
}

fn connect(path: &Path) -> Result<Connection, Trouble> {
    // Without leave to create: a database that has just gone is not one to be made.
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(32);
    // Each commit moves the log into the database, where no reader holds it: what a kill leaves of the log may then be
    // lost without loss. Emptying the log, too, would cost several times as much.
    connection.pragma_update(None, "wal_autocheckpoint", 1)?;
    for (name, value) in
        [("foreign_keys", "ON"), ("synchronous", "FULL"), ("cell_size_check", "ON"), ("trusted_schema", "OFF")]
    {
        connection.pragma_update(None, name, value)?;
    }
    Ok(connection)
}

fn log_ahead(connection: &Connection) -> Result<(), Trouble> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        _ => Err(Trouble::Unfit("its file system can't share memory between processes, which a write-ahead log needs")),
    }
}

impl Store for SqliteStore {
    fn claim(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Claim>, StoreError> {
        let lock = file::lock(&self.path, report, tenant);
        let lock = lock.map_err(|trouble| trouble.told(&format!("claiming report {report}"), &self.path))?;
        Ok(lock.map(Claim::new))
    }

    fn load(&self, key: &ExtractionKey) -> Result<Option<StoredExtraction>, StoreError> {
        self.read("looking up an extraction", |db| Ok(rows::find(db, key)?.map(|(_, extraction)| extraction)))
    }

    fn list(&self) -> Result<Vec<StoredExtraction>, StoreError> {
        self.read("listing extractions", rows::all).map(sorted)
    }

    fn of_report(&self, report: &ReportName, tenant: &TenantName) -> Result<Vec<StoredExtraction>, StoreError> {
        self.read("listing a report's extractions", |db| rows::of_report(db, report, tenant)).map(sorted)
    }

    fn begin(&self, key: &ExtractionKey, begun: &Begun) -> Result<(), StoreError> {
        let fresh = StoredExtraction::new(key.clone(), begun.clone(), self.clock.now());
        self.write("storing a beginning", |db| rows::replace(db, &fresh))
    }

    fn alter(
        &self,
        doing: &'static str,
        key: &ExtractionKey,
        act: &mut dyn FnMut(&mut StoredExtraction),
    ) -> Result<StoredExtraction, StoreError> {
        self.change(doing, key, |_, extraction| {
            act(extraction);
            Ok(())
        })
    }

    fn complete(&self, key: &ExtractionKey, manifest: &str, watermark: Option<Timestamp>) -> Result<(), StoreError> {
        self.change("storing a completion", key, |db, extraction| {
            extraction.completed(manifest);
            watermark.map_or(Ok(()), |to| rows::advance(db, &key.report, &key.tenant, to))
        })
        .map(drop)
    }

    fn forget(&self, key: &ExtractionKey) -> Result<(), StoreError> {
        self.write("forgetting an extraction", |db| rows::delete(db, key))
    }

    fn watermark(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Timestamp>, StoreError> {
        self.read("looking up a watermark", |db| rows::watermark(db, report, tenant))
    }

    fn tenant_wait(&self, tenant: &TenantName) -> Result<Option<TenantWait>, StoreError> {
        self.read("looking up a tenant's wait", |db| rows::wait(db, tenant))
    }

    fn tenant_complained(&self, tenant: &TenantName, complaint: &Complaint) -> Result<(), StoreError> {
        let told = self.pace(|pace| {
            pace.change(tenant, |kept, _| {
                kept.complained(complaint);
                Ok(())
            })
        });
        let stored = complaint.wait.map_or(Ok(()), |wait| {
            self.write("storing a tenant's wait", |db| {
                let wait = wait.or_longer(rows::wait(db, tenant)?, &complaint.received);
                rows::replace_wait(db, tenant, &wait)
            })
        });
        told.and(stored)
    }

    fn take_turn(&self, tenant: &TenantName, asked: &TurnAsked) -> Result<Turn, StoreError> {
        self.pace(|pace| {
            let is_first = !pace.caught_up.contains(tenant);
            let wait = if is_first { self.wait_by_present_clocks(tenant, asked)? } else { None };
            let turn = pace.change(tenant, |kept, calls| {
                let now = asked.clock.moment(&asked.wall);
                if let Some(wait) = wait {
                    kept.heard_of(wait, &now);
                }
                kept.take_turn(asked, &now, calls)
            })?;
            if is_first {
                pace.caught_up.insert(tenant.clone());
            }
            Ok(turn)
        })
    }
}

impl SqliteStore {
    fn pace<R>(&self, act: impl FnOnce(&mut PaceFile) -> Result<R, StoreError>) -> Result<R, StoreError> {
        let mut pace = self.pace.lock();
        match &mut *pace {
            Some(pace) => act(pace),
            none => act(none.insert(PaceFile::open(&self.path)?)),
        }
    }

    /// The stored wait, once for each process. One from before the machine's start runs by the present clocks from
    /// here on, for whoever asks later too.
    fn wait_by_present_clocks(&self, tenant: &TenantName, asked: &TurnAsked) -> Result<Option<TenantWait>, StoreError> {
        let Some(stored) = self.tenant_wait(tenant)? else { return Ok(None) };
        let now = asked.clock.moment(&asked.wall);
        if stored.by_clocks_of(&now) == stored {
            return Ok(Some(stored));
        }
        self.write("storing a tenant's wait", |db| {
            let now = asked.clock.moment(&asked.wall);
            let wait = rows::wait(db, tenant)?.map(|wait| wait.by_clocks_of(&now));
            wait.map_or(Ok(()), |wait| rows::replace_wait(db, tenant, &wait))?;
            Ok(wait)
        })
    }
}

fn sorted(mut extractions: Vec<StoredExtraction>) -> Vec<StoredExtraction> {
    extractions.sort_by(|a, b| a.key.order().cmp(&b.key.order()));
    extractions
}

#[cfg(test)]
mod tests {

    use crate::model::Window;
    use crate::state::Origin;

    use super::*;

    fn store() -> (tempfile::TempDir, SqliteStore, ExtractionKey) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("state.db"), WallClock::new(|| Timestamp(7))).unwrap();
        let window = Window { from: Timestamp(0), to: Timestamp(9) };
        let (report, tenant) = (ReportName::new("calls"), TenantName::new("acme"));
        let key = ExtractionKey { report, tenant, window, hash: "h".into() };
        store.begin(&key, &Begun { origin: Origin::Given, form: "{}".into(), output: "-".into() }).unwrap();
        (folder, store, key)
    }

    #[test]
    fn where_there_is_no_room_nothing_changes_and_with_room_again_the_same_call_succeeds() {
        let (_folder, store, key) = store();
        let before = store.load(&key).unwrap();
        let room = |pages: u32| store.connection.lock().pragma_update(None, "max_page_count", pages).unwrap();
        room(1);
        let large = "x".repeat(100_000);
        let refused = store.complete(&key, &large, Some(Timestamp(5))).unwrap_err();
        assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
        assert!(refused.to_string().contains("state.db"), "{refused}");
        assert_eq!(store.load(&key).unwrap(), before);
        assert_eq!(store.watermark(&key.report, &key.tenant), Ok(None));
        room(100_000);
        store.complete(&key, &large, Some(Timestamp(5))).unwrap();
        assert_eq!(store.watermark(&key.report, &key.tenant), Ok(Some(Timestamp(5))));
    }

    /// How many extractions the database file holds, without its log.
    fn n_in_file(store: &SqliteStore) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        std::fs::copy(store.path(), &copy).unwrap();
        SqliteStore::open(&copy, store.clock.clone()).unwrap().list().unwrap().len()
    }

    #[test]
    fn every_commit_is_synced_and_the_database_alone_holds_it() {
        let (_folder, store, key) = store();
        let synchronous: u8 =
            store.connection.lock().pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!(synchronous, 2, "full");
        assert_eq!(n_in_file(&store), 1);
        store.forget(&key).unwrap();
        assert_eq!(n_in_file(&store), 0);
    }

    #[test]
    fn a_reader_keeps_what_it_sees_and_holds_nobody_up() {
        let (_folder, store, key) = store();
        let mut reader = connect(store.path()).unwrap();
        let reading = reader.transaction().unwrap();
        let n_read = || reading.query_row("SELECT count(*) FROM extraction", [], |row| row.get::<_, u32>(0)).unwrap();
        assert_eq!(n_read(), 1);
        store.forget(&key).unwrap();
        assert_eq!(n_read(), 1, "as it was when the reading began");
        drop(reading);
        let begun = Begun { origin: Origin::Given, form: "{}".into(), output: "-".into() };
        for hash in ["i", "j"] {
            store.begin(&ExtractionKey { hash: hash.into(), ..key.clone() }, &begun).unwrap();
        }
        assert_eq!(n_in_file(&store), 2, "the next commit takes along what the reader had held");
    }
}
