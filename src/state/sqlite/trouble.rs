//! What can go wrong in the SQLite store, and how it is told.
//!
//! The line that matters is drawn here: what speaks of the content is damage, and nothing may be built on it; what
//! speaks of the moment is a failure, and the same call may succeed later.

use std::io;
use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::state::StoreError;

use super::schema;

/// Why a call on the database did not succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// SQLite's own word.
    Sqlite(rusqlite::Error),
    /// The system's word about a file that is not SQLite's business.
    Io(io::Error),
    /// What was found can't be what was stored.
    Damaged(String),
    /// The store's version is above what this program knows.
    TooNew(u32),
    /// There is no such extraction.
    Unknown,
    /// It can't work here, for a reason that is no system error.
    Unfit(&'static str),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Trouble {
    /// As it is while a store is looked over: statements that are right on every sound store have no other way to be
    /// wrong than that this one isn't.
    pub(super) fn of_content(self) -> Self {
        match self {
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                Self::Damaged(error.to_string())
            }
            other => other,
        }
    }

    /// As the caller of the store learns it; `path` is the database.
    pub(super) fn told(self, doing: &str, path: &Path) -> StoreError {
        let path = path.display();
        let doing = format!("{doing} in {path}");
        let damaged =
            |what: &dyn std::fmt::Display| StoreError::Damaged { what: format!("{path}: {}", in_one_line(what)) };
        match self {
            Self::Sqlite(error) if is_damage(&error) => damaged(&error),
            Self::Sqlite(error) if is_lack_of_room(&error) => StoreError::Full { doing },
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                let long = super::PATIENCE.as_secs();
                StoreError::failed(doing, format!("another process has held it for {long} s; is one stopped there?"))
            }
            Self::Sqlite(error) => StoreError::failed(doing, error),
            Self::Io(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { doing },
                _ => StoreError::failed(doing, error),
            },
            Self::Damaged(what) => damaged(&what),
            Self::TooNew(found) => StoreError::TooNew { path: path.to_string(), found, known: schema::VERSION },
            Self::Unknown => StoreError::failed(doing, "the extraction is not known"),
            Self::Unfit(why) => StoreError::failed(doing, why),
        }
    }
}

/// What SQLite says of damage quotes the damaged content, which may hold anything.
fn in_one_line(what: &dyn std::fmt::Display) -> String {
    let what = what.to_string().replace(char::is_control, " ");
    what.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the content is to blame: the file's structure, or a value that can't be one of ours.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    match error {
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..) => true,
        _ => matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)),
    }
}

/// Whether the disk is full. The shared-memory file is grown by writing to it, and SQLite has no word of its own for
/// the system's refusal there.
fn is_lack_of_room(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(trouble: impl Into<Trouble>) -> StoreError {
        trouble.into().told("storing a position", Path::new("/s/state.db"))
    }

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn a_full_disk_is_told_as_such_whoever_noticed_it() {
        let doing = "storing a position in /s/state.db".to_owned();
        for full in [
            told(sqlite(ffi::SQLITE_FULL)),
            told(sqlite(ffi::SQLITE_IOERR_SHMSIZE)),
            told(io::Error::from(io::ErrorKind::StorageFull)),
        ] {
            assert_eq!(full, StoreError::Full { doing: doing.clone() });
        }
    }

    #[test]
    fn a_locked_database_or_a_broken_disk_is_no_damage() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_IOERR, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_READONLY] {
            assert!(matches!(told(sqlite(code)), StoreError::Failed { .. }), "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
            let told = told(sqlite(code)).to_string();
            assert!(told.contains("/s/state.db") && told.contains("--fresh"), "{told}");
        }
    }
}
