//! The names that a repair writes to, and why some can't be used.
//!
//! What is refused is refused before anything is made: a repair never writes over what it reads, through whatever
//! links, and never over what a delivery left to be gone on from.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::{OutputNames, Side, with};

/// The names around the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) output: PathBuf,
    pub(super) rejects: PathBuf,
    pub(super) repairs: PathBuf,
}

impl Names {
    pub(super) fn around(output: &Path) -> Self {
        let names = OutputNames::of(output);
        Self { output: output.to_owned(), rejects: names.rejects(), repairs: names.side(Side::Repairs) }
    }

    fn all(&self) -> [&Path; 3] {
        [&self.output, &self.rejects, &self.repairs]
    }

    /// The directory that all of them stand in.
    pub(super) fn dir(&self) -> &Path {
        self.output.parent().unwrap_or(Path::new(""))
    }

    /// Says why these names can't be used for a copy of `input`.
    pub(super) fn refusal(&self, input: &Path) -> Option<String> {
        if self.output.file_name().is_none() {
            return Some(format!("{} is no name of a file", self.output.display()));
        }
        let id_of = |path: &Path| std::fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
        let input_id = id_of(input);
        for path in self.all() {
            let shown = path.display();
            if input_id.is_some() && id_of(path) == input_id {
                return Some(format!("{shown} is the file that is to be read; name another one to write"));
            }
            match std::fs::symlink_metadata(path) {
                Ok(facts) if facts.is_file() => {}
                Ok(_) => return Some(format!("{shown} is there and is no regular file; name another one to write")),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => return Some(format!("{shown} can't be looked at: {error}")),
            }
            let part = part_of(path);
            if std::fs::symlink_metadata(&part).is_ok() {
                return Some(format!(
                    "{} is there already: an extraction may go on from it, or a repair was ended before it was done; \
                     remove it if neither needs it, or name another file to write",
                    part.display()
                ));
            }
        }
        let manifest = OutputNames::of(&self.output).manifest();
        std::fs::symlink_metadata(&manifest).is_ok().then(|| {
            format!(
                "{} says what was delivered as {}, which the repaired copy is not; name another file to write",
                manifest.display(),
                self.output.display()
            )
        })
    }
}

/// The name of a file while it is being written.
pub(super) fn part_of(path: &Path) -> PathBuf {
    with(path, ".part")
}
