//! The store's files: the database, made whole or not at all, and the locks beside it.
//!
//! A database appears under its name only when its tables are in it, so that one without them is damage and never a
//! beginning. It is never opened here once it has its name: to close it would take away the locks that SQLite holds on
//! it for a store of this process. Lock files stay when they are free: removing one could take it from under somebody
//! who just opened it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::model::{ReportName, TenantName, with};

use super::trouble::Trouble;

/// Only the owner may read what the store holds.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Whether there is a database at that path; what stands there instead of one is an error.
pub(super) fn is_there(path: &Path) -> Result<bool, Trouble> {
    match fs::metadata(path) {
        Ok(facts) if facts.is_dir() => Err(Trouble::Unfit("that is a folder, not a file")),
        Ok(facts) if !facts.is_file() => Err(Trouble::Unfit("that is no regular file")),
        Ok(facts) if facts.len() == 0 => Err(Trouble::Damaged("the file is empty".into())),
        Ok(_) => Ok(true),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        Err(_) if fs::symlink_metadata(path).is_ok() => Err(Trouble::Unfit("that is a link that leads nowhere")),
        // SQLite would take the log of a lost database for that of a new one. Another process may have made the
        // database, and written, since the look above.
        Err(_) if fs::metadata(with(path, "-wal")).is_ok_and(|log| log.len() > 0) && !path.exists() => {
            Err(Trouble::Damaged("the file is gone, but its -wal is there".into()))
        }
        Err(_) => Ok(false),
    }
}

/// Makes a database that `build` fills, unless another process has made one meanwhile.
pub(super) fn create(path: &Path, build: impl FnOnce(&Path) -> Result<(), Trouble>) -> Result<(), Trouble> {
    let folder = path.parent().ok_or(Trouble::Unfit("that is no path of a file"))?;
    make_folder(folder)?;
    let scratch = Scratch::new(path)?;
    build(&scratch.0)?;
    File::open(&scratch.0)?.sync_all()?;
    match fs::hard_link(&scratch.0, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        // Whoever was first has made the same.
        _ => {}
    }
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    // A power cut must not take a folder, and the store along with it, out of the one above.
    missing.into_iter().filter_map(Path::parent).try_for_each(|above| File::open(above)?.sync_all())
}

/// An empty file beside the database, which goes when this is dropped, with what SQLite puts beside it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let suffix = format!(".new-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let scratch = with(path, &suffix);
            match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&scratch) {
                Ok(file) => {
                    let scratch = Self(scratch);
                    // What the umask took away, SQLite couldn't do without.
                    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
                    return Ok(scratch);
                }
                // Left by a process that bore the same number and was killed.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            // What is left costs room and harms nobody.
            drop(fs::remove_file(with(&self.0, suffix)));
        }
    }
}

/// Takes the lock of a report; none where another holder has it. The lock goes with the file.
pub(super) fn lock(path: &Path, report: &ReportName, tenant: &TenantName) -> Result<Option<File>, Trouble> {
    // By the name that all links lead to: one store has one set of locks.
    let folder = with(&path.canonicalize()?, ".locks");
    make_folder(&folder)?;
    let name = format!("{}@{}.lock", file_name_of(report.as_str()), file_name_of(tenant.as_str()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(folder.join(name))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// A name in small letters, in which whatever else than letters, digits, `_`, `-` and `.` stands as `%` and its code.
fn file_name_of(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.');
    name.to_lowercase()
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_make_locks_that_differ_within_the_folder() {
        assert_eq!(file_name_of("Daily_calls-2.x"), "daily_calls-2.x");
        assert_eq!(file_name_of("../a@b"), "..%2fa%40b");
        assert_eq!(file_name_of("Ä%"), "%c3%a4%25");
    }

    #[test]
    fn what_a_creator_left_when_it_failed_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let failed = create(&path, |_| Err(Trouble::Unfit("no")));
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
