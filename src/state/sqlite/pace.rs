//! The tenants' pace in a database of its own beside the store.
//!
//! Each call to a tenant is a transaction here, and none of them is worth waiting for the disk: what is lost in a power
//! cut is a second old before anybody could ask for it. So nothing of it is in the store itself, whose transactions are
//! few and durable. A pause is in both: here so that everybody hears of it at once, and there so that it lasts.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use xxhash_rust::xxh3::xxh3_64;

use super::trouble::Trouble;
use super::{connect, file, log_ahead};
use crate::model::{TenantName, Ticks, with};
use crate::state::StoreError;
use crate::state::pace::{Kept, Places};

/// Changes with the tables and with what is kept in them.
const VERSION: u32 = 1;

const TABLES: &str = "
CREATE TABLE tenant (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kept TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE call (
    tenant INTEGER NOT NULL,
    place INTEGER NOT NULL,
    ticks INTEGER NOT NULL,
    PRIMARY KEY (tenant, place)
) STRICT, WITHOUT ROWID;
";

/// Pages of the log after which it is moved into the database, which waits for the disk.
const LOG_PAGES: u32 = 4000;

/// The database of the tenants' pace.
pub(super) struct PaceFile {
    path: PathBuf,
    connection: Connection,
    /// The tenants whose waits in the store have been heard of here.
    pub(super) caught_up: HashSet<TenantName>,
}

impl PaceFile {
    /// Opens the one that goes with the store at `store`, and makes it where there is none.
    pub(super) fn open(store: &Path) -> Result<Self, StoreError> {
        // Whichever name the store goes by, everybody finds the same.
        let store = std::fs::canonicalize(store).map_err(|error| Trouble::from(error).told("opening it", store))?;
        let path = with(&store, "-pace");
        let connection = Self::connection(&path).map_err(|trouble| told(trouble, &path))?;
        Ok(Self { path, connection, caught_up: HashSet::new() })
    }

    fn connection(path: &Path) -> Result<Connection, Trouble> {
        if !file::is_there(path)? {
            file::create(path, |scratch| {
                let connection = connect(scratch)?;
                connection.execute_batch(TABLES)?;
                connection.pragma_update(None, "user_version", VERSION)?;
                log_ahead(&connection)?;
                connection.close().map_err(|(_, error)| error.into())
            })?;
        }
        let connection = connect(path)?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != VERSION {
            return Err(Trouble::Damaged("another version of the program has written it".into()));
        }
        let structure: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if structure != "ok" {
            return Err(Trouble::Damaged(structure));
        }
        log_ahead(&connection)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        Ok(connection)
    }

    /// Changes what is kept of a tenant, in one transaction that everybody else's come before or after.
    pub(super) fn change<R>(
        &mut self,
        tenant: &TenantName,
        act: impl FnOnce(&mut Kept, &mut Calls<'_>) -> Result<R, Trouble>,
    ) -> Result<R, StoreError> {
        let changed =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Trouble::from).and_then(
                |transaction| {
                    let (number, mut kept) = find(&transaction, tenant)?;
                    let before = kept.clone();
                    let done = act(&mut kept, &mut Calls { db: &transaction, tenant: number })?;
                    if kept != before {
                        let text = json(&kept);
                        transaction
                            .prepare_cached("UPDATE tenant SET kept = ?2, checksum = ?3 WHERE number = ?1")?
                            .execute(params![number, text, checksum(&text)])?;
                    }
                    transaction.commit()?;
                    Ok(done)
                },
            );
        changed.map_err(|trouble| told(trouble, &self.path))
    }
}

fn find(db: &Transaction<'_>, tenant: &TenantName) -> Result<(i64, Kept), Trouble> {
    let row: Option<(i64, String, i64)> = db
        .prepare_cached("SELECT number, kept, checksum FROM tenant WHERE name = ?1")?
        .query_row([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((number, text, sum)) = row else {
        let text = json(&Kept::default());
        db.prepare_cached("INSERT INTO tenant (name, kept, checksum) VALUES (?1, ?2, ?3)")?.execute(params![
            tenant.as_str(),
            text,
            checksum(&text)
        ])?;
        return Ok((db.last_insert_rowid(), Kept::default()));
    };
    match serde_json::from_str(&text) {
        Ok(kept) if sum == checksum(&text) => Ok((number, kept)),
        _ => Err(Trouble::Damaged(format!("what it keeps of tenant {tenant} is not as it was stored"))),
    }
}

fn json(kept: &Kept) -> String {
    serde_json::to_string(kept).expect("numbers and text have a form in JSON")
}

fn checksum(text: &str) -> i64 {
    xxh3_64(text.as_bytes()).cast_signed()
}

/// The moments of a tenant's last calls.
pub(super) struct Calls<'a> {
    db: &'a Transaction<'a>,
    tenant: i64,
}

impl Places for Calls<'_> {
    type Error = Trouble;

    fn get(&mut self, place: u64) -> Result<Option<Ticks>, Trouble> {
        let mut select = self.db.prepare_cached("SELECT ticks FROM call WHERE tenant = ?1 AND place = ?2")?;
        let ticks = select.query_row(params![self.tenant, place.cast_signed()], |row| row.get(0)).optional()?;
        Ok(ticks.map(Ticks))
    }

    fn set(&mut self, place: u64, noted: Ticks) -> Result<(), Trouble> {
        let mut insert = self.db.prepare_cached("INSERT OR REPLACE INTO call VALUES (?1, ?2, ?3)")?;
        insert.execute(params![self.tenant, place.cast_signed(), noted.0])?;
        Ok(())
    }
}

/// Damage here is no loss, so that the remedy is another one than for the store.
fn told(trouble: Trouble, path: &Path) -> StoreError {
    let doing = "taking a turn at a tenant";
    match trouble.told(doing, path) {
        StoreError::Damaged { what } => {
            let remedy = "it holds nothing that lasts: move it and its -wal away and run again";
            StoreError::failed(doing, format!("damage in {what}; {remedy}"))
        }
        other => other,
    }
}
