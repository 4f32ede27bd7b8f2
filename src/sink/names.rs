//! The names around an output, and whether they can be used.
//!
//! Everything that belongs to an output stands beside it, so that a rename never has to cross file systems.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{Disk, FileKind, OpenMode};

use super::{Side, SinkError};

/// The names around one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputNames {
    path: PathBuf,
}

impl OutputNames {
    /// The names around the output that ends up at `path`.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The final name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name while it is being written.
    pub fn part(&self) -> PathBuf {
        with(&self.path, ".part")
    }

    /// The manifest's name.
    pub fn manifest(&self) -> PathBuf {
        with(&self.path, ".manifest.json")
    }

    /// The final name of the file for records that were set aside.
    pub fn rejects(&self) -> PathBuf {
        self.side(Side::Rejects)
    }

    /// The final name of a side file. It is never compressed.
    pub fn side(&self, side: Side) -> PathBuf {
        let plain = match self.path.extension() {
            Some(ending) if ending == "gz" || ending == "zst" => self.path.with_extension(""),
            _ => self.path.clone(),
        };
        let suffix = match side {
            Side::Rejects => ".rejects.csv",
            Side::Repairs => ".repairs.jsonl",
        };
        with(&plain, suffix)
    }

    /// What an unfinished extraction leaves: parts, and a manifest that was written aside.
    pub fn unfinished(&self) -> [PathBuf; 4] {
        let [rejects, repairs] = Side::ALL.map(|side| with(&self.side(side), ".part"));
        [self.part(), rejects, repairs, with(&self.manifest(), ".part")]
    }

    /// Removes what an unfinished extraction has left.
    ///
    /// # Errors
    /// The first that can't be removed; the others are removed all the same.
    pub fn remove_unfinished(&self, disk: &dyn Disk) -> io::Result<()> {
        self.unfinished().iter().map(|path| disk.remove(path).map(drop)).fold(Ok(()), Result::and)
    }

    /// The directory that all of them stand in.
    pub fn dir(&self) -> &Path {
        dir_of(&self.path)
    }
}

/// Makes the directory where it is missing, and refuses a destination that could not be finished: a link or a
/// directory where a file should stand, a directory that can't be written to, a name that is too long.
pub fn preflight(disk: &dyn Disk, names: &OutputNames) -> Result<(), SinkError> {
    disk.create_dir_all(names.dir()).map_err(|error| {
        SinkError::unusable(names.dir(), format!("the directory can't be made: {error}; choose another output.dir"))
    })?;
    let sides = Side::ALL.map(|side| names.side(side));
    for path in [names.path().to_owned(), names.part(), names.manifest()].iter().chain(&sides) {
        refuse_what_is_no_file(disk, path)?;
    }
    // The longest of the names, so that one that is too long shows now and not when everything is fetched.
    let probe = with(&names.manifest(), ".part");
    let tried = disk.remove(&probe).and_then(|_| disk.open(&probe, OpenMode::CreateNew)).and_then(|file| {
        drop(file);
        disk.remove(&probe)
    });
    match tried {
        Ok(_) => Ok(()),
        Err(error) => {
            let why = format!("no file can be made there: {error}; check its permissions, or choose another path");
            Err(SinkError::unusable(names.path(), why))
        }
    }
}

pub(super) fn refuse_what_is_no_file(disk: &dyn Disk, path: &Path) -> Result<(), SinkError> {
    let unusable = |error: io::Error| SinkError::unusable(path, format!("can't be looked at: {error}"));
    let why = match disk.facts(path).map_err(unusable)?.map(|facts| facts.kind) {
        None | Some(FileKind::File) => return Ok(()),
        Some(FileKind::Link) => "a link stands where the output should be, and links are not followed; remove it",
        Some(FileKind::Directory) => "a directory stands where the output should be; choose another path",
        Some(FileKind::Other) => "what stands there is no regular file; choose another path, or - for stdout",
    };
    Err(SinkError::unusable(path, why))
}

pub(super) fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Refuses a folder between `base` and the output that is a link: a relative path is to stay inside `base`.
pub fn refuse_links_between(disk: &dyn Disk, base: &Path, names: &OutputNames) -> Result<(), SinkError> {
    let Ok(below) = names.dir().strip_prefix(base) else { return Ok(()) };
    let mut folder = base.to_owned();
    for part in below.components() {
        folder.push(part);
        let facts = disk.facts(&folder).map_err(|error| SinkError::unusable(&folder, error.to_string()))?;
        if facts.is_some_and(|facts| facts.kind == FileKind::Link) {
            let why = "it is a link, and an output stays inside output.dir; write the path that it leads to";
            return Err(SinkError::unusable(&folder, why));
        }
    }
    Ok(())
}

pub(super) fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_no_rename_ever_leaves_the_folder_of_the_output() {
        let names = OutputNames::of("out/2024/calls.csv.gz");
        let all = [names.manifest(), names.side(Side::Rejects), names.side(Side::Repairs)];
        for name in all.iter().chain(&names.unfinished()) {
            assert_eq!(dir_of(name), names.dir());
        }
    }

    #[test]
    fn the_names_around_an_output_follow_from_its_own() {
        let names = OutputNames::of("out/calls.csv.gz");
        assert_eq!(names.part(), Path::new("out/calls.csv.gz.part"));
        assert_eq!(names.manifest(), Path::new("out/calls.csv.gz.manifest.json"));
        assert_eq!(names.rejects(), Path::new("out/calls.csv.rejects.csv"));
        assert_eq!(names.side(Side::Repairs), Path::new("out/calls.csv.repairs.jsonl"));
        assert_eq!(OutputNames::of("out/calls.csv").rejects(), Path::new("out/calls.csv.rejects.csv"));
    }
}
