//! Whether the names around an output can be used.
//!
//! What can't be finished is refused before anything is fetched. Nothing is followed that is a link.

use std::io;
use std::path::Path;

use crate::model::{Disk, FileKind, OpenMode, OutputNames, Side, with};

use super::SinkError;

/// Removes what an unfinished extraction has left.
///
/// # Errors
/// The first that can't be removed; the others are removed all the same.
pub fn remove_unfinished(names: &OutputNames, disk: &dyn Disk) -> io::Result<()> {
    names.unfinished().iter().map(|path| disk.remove(path).map(drop)).fold(Ok(()), Result::and)
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
}
