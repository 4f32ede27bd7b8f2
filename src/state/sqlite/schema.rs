//! The database's tables, version by version.
//!
//! A version is reached by carrying out its step in one transaction; a step that has been released is never edited.
//! The version stands in the file's header twice, as SQLite's user version and within its application id: only where
//! both agree is a higher version a newer program's work and not damage.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::trouble::Trouble;

/// How each version is made of the one before; the first is made of nothing.
const STEPS: [&str; 2] = [EXTRACTIONS, TENANT_WAITS];

/// The version that this program reads and writes.
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// The first version that has a table of waits.
pub(super) const WITH_WAITS: u32 = 2;

/// The application id of version 0: `cx`, and room for the version.
const APPLICATION: u32 = 0x6378_0000;

const EXTRACTIONS: &str = "
CREATE TABLE extraction (
    number INTEGER PRIMARY KEY,
    report TEXT NOT NULL,
    tenant TEXT NOT NULL,
    window_from INTEGER NOT NULL,
    window_to INTEGER NOT NULL,
    hash TEXT NOT NULL,
    origin TEXT NOT NULL,
    form TEXT NOT NULL,
    output TEXT NOT NULL,
    state TEXT NOT NULL,
    message TEXT,
    submissions TEXT NOT NULL,
    expired TEXT NOT NULL,
    position TEXT,
    memo TEXT,
    n_resumed INTEGER NOT NULL,
    delivery TEXT,
    manifest TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (report, tenant, window_from, window_to, hash)
) STRICT;
CREATE TABLE query (
    extraction INTEGER NOT NULL REFERENCES extraction (number) ON DELETE CASCADE,
    part INTEGER NOT NULL,
    id TEXT NOT NULL,
    submitted_at INTEGER NOT NULL,
    after_loss INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (extraction, part)
) STRICT, WITHOUT ROWID;
CREATE TABLE watermark (
    report TEXT NOT NULL,
    tenant TEXT NOT NULL,
    at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (report, tenant)
) STRICT, WITHOUT ROWID;
";

const TENANT_WAITS: &str = "
CREATE TABLE tenant_wait (
    tenant TEXT NOT NULL PRIMARY KEY,
    wait TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Brings a database to this program's version. One that is there already, or above, is not touched.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Trouble> {
    loop {
        let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been at it since anybody last looked.
        let version = version_of(&write)?;
        if version == VERSION {
            return Ok(());
        }
        step(&write, version)?;
        write.commit()?;
    }
}

/// Makes all tables in a database that is wholly empty.
pub(super) fn build(connection: &mut Connection) -> Result<(), Trouble> {
    build_up_to(connection, VERSION)
}

fn build_up_to(connection: &mut Connection, version: u32) -> Result<(), Trouble> {
    let write = connection.transaction()?;
    for below in 0..version {
        step(&write, below)?;
    }
    Ok(write.commit()?)
}

fn step(write: &Transaction<'_>, from: u32) -> Result<(), Trouble> {
    write.execute_batch(STEPS[from as usize])?;
    write.pragma_update(None, "user_version", from + 1)?;
    write.pragma_update(None, "application_id", APPLICATION + from + 1)?;
    Ok(())
}

/// The version of a database that this program can work with, at once or after migrating it.
pub(super) fn version_of(connection: &Connection) -> Result<u32, Trouble> {
    // In one statement, so that no other process's migration comes between.
    let both = "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id";
    let (version, application): (i64, i64) =
        connection.prepare_cached(both)?.query_one([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let is_ours = application >> 16 == i64::from(APPLICATION >> 16);
    match u32::try_from(version) {
        // How a newer program writes its header is its own affair: to call that damage would tell people to move it
        // away.
        Ok(version) if version > VERSION && is_ours => Err(Trouble::TooNew(version)),
        Ok(version) if version > 0 && application == i64::from(APPLICATION) + i64::from(version) => Ok(version),
        _ => Err(Trouble::Damaged("its header is not that of a state store".into())),
    }
}

/// Holds the tables of a database to those of its version.
pub(super) fn check(connection: &Connection, version: u32) -> Result<(), Trouble> {
    let mut model = Connection::open_in_memory()?;
    build_up_to(&mut model, version)?;
    let found = tables(connection)?;
    if found != tables(&model)? {
        return Err(Trouble::Damaged(format!("its tables are not those of a state store of version {version}")));
    }
    Ok(())
}

fn tables(connection: &Connection) -> Result<Vec<[Option<String>; 4]>, Trouble> {
    let mut select = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?;
    let rows = select.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_version(version: u32) -> Connection {
        let mut database = Connection::open_in_memory().unwrap();
        build_up_to(&mut database, version).unwrap();
        database
    }

    #[test]
    fn every_version_is_migrated_to_the_tables_of_a_new_store() {
        for version in 1..=VERSION {
            let mut database = of_version(version);
            check(&database, version).unwrap();
            migrate(&mut database).unwrap();
            assert_eq!(version_of(&database).unwrap(), VERSION);
            assert_eq!(tables(&database).unwrap(), tables(&of_version(VERSION)).unwrap());
        }
    }

    #[test]
    fn a_version_counts_only_where_the_header_says_it_twice_and_a_newer_one_always() {
        let database = of_version(VERSION);
        for version in [0, VERSION - 1] {
            database.pragma_update(None, "user_version", version).unwrap();
            assert!(matches!(version_of(&database), Err(Trouble::Damaged(_))));
        }
        for application in [APPLICATION + VERSION, APPLICATION + VERSION + 1] {
            database.pragma_update(None, "user_version", VERSION + 1).unwrap();
            database.pragma_update(None, "application_id", application).unwrap();
            assert!(matches!(version_of(&database), Err(Trouble::TooNew(found)) if found == VERSION + 1));
        }
        database.pragma_update(None, "application_id", 0).unwrap();
        assert!(matches!(version_of(&database), Err(Trouble::Damaged(_))));
    }

    #[test]
    fn a_table_more_or_less_is_damage() {
        for change in ["DROP TABLE watermark", "CREATE TABLE own (a)", "ALTER TABLE query RENAME COLUMN id TO it"] {
            let database = of_version(VERSION);
            database.execute_batch(change).unwrap();
            assert!(matches!(check(&database, VERSION), Err(Trouble::Damaged(_))), "{change}");
        }
    }
}
