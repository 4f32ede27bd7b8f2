//! The machine's own file system.
//!
//! Links are never followed at the last step of a path: a new file is made under a name that must be free, and
//! an existing one is opened only if its name still leads to the very file that was opened. Nothing here
//! retries a failed sync: after one, nobody knows what is on the disk.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use std::io::Write;

use crate::model::{Disk, DiskFile, FileFacts, FileId, FileKind, OpenMode};

const OWNER_ONLY_FILE: u32 = 0o600;
const OWNER_ONLY_DIR: u32 = 0o700;
/// How long a write that can't go on now waits before it is tried again.
const BUSY_WAIT: Duration = Duration::from_millis(2);

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        // One by one rather than in one call, because the name of each new directory has to be
        // durable too, or a power cut takes all that is in it.
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
        for dir in missing.into_iter().rev() {
            match DirBuilder::new().mode(OWNER_ONLY_DIR).create(dir) {
                Ok(()) => self.sync_dir(parent_of(dir))?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        match dir.as_os_str().is_empty() || dir.is_dir() {
            true => Ok(()),
            false => Err(io::Error::new(ErrorKind::NotADirectory, "not a directory")),
        }
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        if mode == OpenMode::CreateNew {
            // An exclusive creation refuses links by itself, dangling ones included.
            let file = OpenOptions::new().read(true).append(true).create_new(true).mode(OWNER_ONLY_FILE).open(path)?;
            return Ok(Box::new(RealFile(file)));
        }
        regular_file(self.facts(path)?)?;
        let file = RealFile(OpenOptions::new().read(true).append(mode == OpenMode::Append).open(path)?);
        let opened = file.facts()?;
        // The name may have been turned into a link between the look and the opening.
        if regular_file(self.facts(path)?)?.id != opened.id {
            return Err(io::Error::other("it was exchanged for another file while it was being opened"));
        }
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<bool> {
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        match File::open(dir)?.sync_all() {
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {
                tracing::warn!(dir = %dir.display(), "this file system can't make names durable: a power cut may undo a delivery");
                Ok(())
            }
            other => other,
        }
    }

    fn facts(&self, path: &Path) -> io::Result<Option<FileFacts>> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(facts_of(&metadata))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(0) => return Err(io::Error::new(ErrorKind::WriteZero, "the file took no more bytes")),
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::park_timeout(BUSY_WAIT),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(into, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn facts(&self) -> io::Result<FileFacts> {
        Ok(facts_of(&self.0.metadata()?))
    }

    fn try_clone(&self) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Self(self.0.try_clone()?)))
    }
}

fn regular_file(facts: Option<FileFacts>) -> io::Result<FileFacts> {
    let facts = facts.ok_or(ErrorKind::NotFound)?;
    match facts.kind {
        FileKind::File => Ok(facts),
        FileKind::Directory => Err(ErrorKind::IsADirectory.into()),
        FileKind::Link => Err(io::Error::new(ErrorKind::InvalidInput, "it is a link, and links are not followed")),
        FileKind::Other => Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")),
    }
}

fn facts_of(metadata: &std::fs::Metadata) -> FileFacts {
    let kind = match metadata.file_type() {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Directory,
        kind if kind.is_symlink() => FileKind::Link,
        _ => FileKind::Other,
    };
    FileFacts { kind, id: FileId(metadata.dev(), metadata.ino()), len: metadata.len() }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_directories_are_made_for_their_owner_only() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("a/b");
        RealDisk.create_dir_all(&dir).unwrap();
        RealDisk.create_dir_all(&dir).unwrap();
        RealDisk.open(&dir.join("f"), OpenMode::CreateNew).unwrap().write_all(b"x").unwrap();
        assert_eq!(mode_of(&tmp.path().join("a")), 0o700);
        assert_eq!(mode_of(&dir), 0o700);
        assert_eq!(mode_of(&dir.join("f")), 0o600);
    }

    #[test]
    fn d3_a_file_that_takes_a_few_bytes_now_and_then_is_written_to_the_end() {
        // A pipe that must not block takes what it has room for, and then nothing for a while.
        let (mut reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let mut file = RealFile(File::from(std::os::fd::OwnedFd::from(writer)));
        let due: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
        let written = due.clone();
        let writing = std::thread::spawn(move || file.write_all(&written));
        let (mut read, mut piece) = (Vec::new(), [0; 4099]);
        while let Ok(n @ 1..) = std::io::Read::read(&mut reader, &mut piece) {
            read.extend_from_slice(&piece[..n]);
        }
        writing.join().unwrap().unwrap();
        assert!(read == due);
    }

    #[test]
    fn d8_a_folder_whose_names_can_not_be_made_durable_weakens_the_promise_and_fails_nothing() {
        // The kernel's own file system has nothing to sync, and says so.
        assert!(File::open("/proc/self").unwrap().sync_all().is_err());
        RealDisk.sync_dir(Path::new("/proc/self")).unwrap();
        assert!(RealDisk.sync_dir(Path::new("/no/such/folder")).is_err());
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_an_error() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::write(tmp.path().join("f"), "").unwrap();
        assert_eq!(RealDisk.create_dir_all(&tmp.path().join("f")).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert!(RealDisk.create_dir_all(&tmp.path().join("f/g")).is_err());
    }

    #[test]
    fn no_way_of_opening_follows_a_link() {
        let tmp = tempfile::tempdir().unwrap();
        let (target, link) = (tmp.path().join("target"), tmp.path().join("link"));
        std::fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        for mode in [OpenMode::CreateNew, OpenMode::Append, OpenMode::Read] {
            assert!(RealDisk.open(&link, mode).is_err(), "{mode:?}");
        }
        let dangling = tmp.path().join("dangling");
        symlink(tmp.path().join("elsewhere"), &dangling).unwrap();
        assert!(RealDisk.open(&dangling, OpenMode::CreateNew).is_err());
        assert!(!tmp.path().join("elsewhere").exists());
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    }

    #[test]
    fn writes_go_to_the_end_and_a_cut_file_goes_on_from_the_cut() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("f");
        let mut file = RealDisk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_all(b"0123456789").unwrap();
        file.set_len(4).unwrap();
        drop(file);
        RealDisk.open(&path, OpenMode::Append).unwrap().write_all(b"xy").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123xy");
        assert!(RealDisk.remove(&path).unwrap());
        assert!(!RealDisk.remove(&path).unwrap());
        assert_eq!(RealDisk.list(tmp.path()).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(RealDisk.list(&tmp.path().join("none")).unwrap(), Vec::<PathBuf>::new());
    }
}
