//! The names of what stands around an output.
//!
//! All of them follow from the output's own and lie in its folder, so that a rename never has to cross file systems.
//! Nothing here looks at a disk.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file beside the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Records that were set aside.
    Rejects,
    /// Receipts of records that were mended.
    Repairs,
}

impl Side {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Rejects, Self::Repairs];

    /// Its name in a position.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Rejects => "rejects",
            Self::Repairs => "repairs",
        }
    }

    /// What its name adds to that of the output.
    fn ending(self) -> &'static str {
        match self {
            Self::Rejects => ".rejects.csv",
            Self::Repairs => ".repairs.jsonl",
        }
    }
}

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
        with(&plain, side.ending())
    }

    /// What an unfinished extraction leaves: parts, and a manifest that was written aside.
    pub fn unfinished(&self) -> [PathBuf; 4] {
        let [rejects, repairs] = Side::ALL.map(|side| with(&self.side(side), ".part"));
        [self.part(), rejects, repairs, with(&self.manifest(), ".part")]
    }

    /// The directory that all of them stand in.
    pub fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// The name with something added to its end.
pub fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

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
