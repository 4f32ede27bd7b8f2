//! The last steps of a delivery: whole files get their final names, the manifest last.
//!
//! Who waits for the manifest finds everything whole, and never a manifest of an older delivery beside newer
//! files: the old one is taken away before the first rename. Every step can be done again, so that a run after a
//! crash finishes what was begun; it then believes a file only by its SHA-256.

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use serde::{Deserialize, Serialize};

use crate::model::{Disk, OpenMode, OutputNames, with};

use super::SinkError;
use super::digest::{Backstage, Digester};
use super::names::{dir_of, refuse_what_is_no_file};

const READ_SIZE: usize = 1024 * 1024;

/// A whole, synced file that waits under its `.part` name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliverable {
    /// Its final name.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

/// Everything that a delivery makes visible. Stored before the first step, so that it can be done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The output.
    pub output: Deliverable,
    /// Side files, in the same directory.
    pub sides: Vec<Deliverable>,
    /// Names to take away: side files of an older delivery that have no successor, parts in which nothing stands.
    pub stale: Vec<PathBuf>,
    /// The manifest's text.
    pub manifest: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Delivered,
}

impl Publication {
    /// As it is stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a publication holds only text and numbers")
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// If it is no publication, in the reader's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Publishes files that were sealed just now.
    pub fn publish(&self, disk: &dyn Disk) -> Result<(), SinkError> {
        let mut stages = Vec::new();
        for file in self.files() {
            refuse_what_is_no_file(disk, &file.path)?;
            let part = with(&file.path, ".part");
            let facts = disk.facts(&part).map_err(|error| failed(&part, "looking it up", error))?;
            if facts.is_none_or(|facts| facts.len != file.bytes) {
                return Err(SinkError::lost(part.display(), "it was taken away or changed before it was delivered"));
            }
            stages.push(Stage::Waiting);
        }
        self.carry_out(disk, &stages)
    }

    /// Goes on with a publication that a crash may have interrupted anywhere, also before its first or after its
    /// last step.
    pub fn redo(&self, disk: &dyn Disk) -> Result<(), SinkError> {
        let stages = self.files().map(|file| file.stage(disk)).collect::<Result<Vec<_>, _>>()?;
        let is_shown = holds(disk, &self.manifest_path(), self.manifest.as_bytes())?;
        if is_shown && stages.iter().all(|stage| *stage == Stage::Delivered) {
            return sync_dir(disk, dir_of(&self.output.path));
        }
        self.carry_out(disk, &stages)
    }

    fn files(&self) -> impl Iterator<Item = &Deliverable> {
        self.sides.iter().chain([&self.output])
    }

    fn manifest_path(&self) -> PathBuf {
        OutputNames::of(&self.output.path).manifest()
    }

    fn carry_out(&self, disk: &dyn Disk, stages: &[Stage]) -> Result<(), SinkError> {
        let dir = dir_of(&self.output.path);
        let manifest = self.manifest_path();
        let aside = with(&manifest, ".part");
        self.write_aside(disk, &aside)?;
        if remove(disk, &manifest)? {
            // Durable before the first rename, or a power cut could bring the old manifest back beside the new output.
            sync_dir(disk, dir)?;
        }
        fail::fail_point!("publish-before-files");
        for path in &self.stale {
            remove(disk, path)?;
        }
        for (file, stage) in self.files().zip(stages) {
            if *stage == Stage::Waiting {
                rename(disk, &with(&file.path, ".part"), &file.path)?;
            }
            fail::fail_point!("publish-between-files");
        }
        sync_dir(disk, dir)?;
        fail::fail_point!("publish-before-manifest");
        rename(disk, &aside, &manifest)?;
        sync_dir(disk, dir)?;
        fail::fail_point!("publish-done");
        Ok(())
    }

    fn write_aside(&self, disk: &dyn Disk, aside: &Path) -> Result<(), SinkError> {
        remove(disk, aside)?;
        let written = disk.open(aside, OpenMode::CreateNew).and_then(|mut file| {
            file.write_all(self.manifest.as_bytes())?;
            file.sync_data()
        });
        written.map_err(|error| failed(aside, "writing the manifest", error))
    }
}

impl Deliverable {
    fn stage(&self, disk: &dyn Disk) -> Result<Stage, SinkError> {
        let part = with(&self.path, ".part");
        if self.is_at(disk, &part)? {
            return Ok(Stage::Waiting);
        }
        if self.is_at(disk, &self.path)? {
            return Ok(Stage::Delivered);
        }
        Err(SinkError::lost(self.path.display(), "neither it nor its .part holds what was to be delivered"))
    }

    fn is_at(&self, disk: &dyn Disk, path: &Path) -> Result<bool, SinkError> {
        let reading = |error| failed(path, "reading it again", error);
        if disk.facts(path).map_err(reading)?.is_none_or(|facts| facts.len != self.bytes) {
            return Ok(false);
        }
        let file = disk.open(path, OpenMode::Read).map_err(reading)?;
        let mut digester = Digester::new(&Backstage::inline());
        let mut offset = 0;
        loop {
            let mut block = BytesMut::zeroed(READ_SIZE);
            let n = file.read_at(&mut block, offset).map_err(reading)?;
            if n == 0 {
                return Ok(offset == self.bytes && digester.finish()? == self.sha256);
            }
            block.truncate(n);
            digester.update(&block.freeze());
            offset += n as u64;
        }
    }
}

fn holds(disk: &dyn Disk, path: &Path, contents: &[u8]) -> Result<bool, SinkError> {
    let reading = |error| failed(path, "reading it again", error);
    if disk.facts(path).map_err(reading)?.is_none_or(|facts| facts.len != contents.len() as u64) {
        return Ok(false);
    }
    let file = disk.open(path, OpenMode::Read).map_err(reading)?;
    let mut found = vec![0; contents.len()];
    let mut n = 0;
    while n < found.len() {
        match file.read_at(&mut found[n..], n as u64).map_err(reading)? {
            0 => return Ok(false),
            k => n += k,
        }
    }
    Ok(found == contents)
}

fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), SinkError> {
    disk.rename(from, to).map_err(|error| failed(to, "giving it its final name", error))
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<bool, SinkError> {
    disk.remove(path).map_err(|error| failed(path, "removing what an earlier delivery left", error))
}

fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), SinkError> {
    disk.sync_dir(dir).map_err(|error| failed(dir, "making the new names durable", error))
}

fn failed(path: &Path, doing: &str, error: std::io::Error) -> SinkError {
    SinkError::failed(path.display(), doing, error)
}
