//! Files that appear whole or not at all: written aside, synced, renamed.
//!
//! What was written aside is taken away again unless it was given its name.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::names::part_of;
use crate::delivery::RealDisk;
use crate::model::{Disk, DiskFile, OpenMode};

const BUFFER_BYTES: usize = 256 * 1024;
/// Harder than that, the time grows much faster than the size shrinks.
const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 1;

/// A file that is being written under another name.
pub(super) struct Written {
    aside: Aside,
    out: Out,
}

enum Out {
    Plain(BufWriter<OnDisk>),
    Gzip(Box<GzEncoder<BufWriter<OnDisk>>>),
    Zstd(Box<zstd::Encoder<'static, BufWriter<OnDisk>>>),
}

impl Written {
    /// Begins a file of that name, compressed as the name says.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let file = RealDisk.open(&part_of(path), OpenMode::CreateNew)?;
        let aside = Aside { path: path.to_owned(), is_named: false };
        let file = BufWriter::with_capacity(BUFFER_BYTES, OnDisk(file));
        let out = match path.extension() {
            Some(ending) if ending == "gz" => Out::Gzip(Box::new(GzEncoder::new(file, Compression::new(GZIP_LEVEL)))),
            Some(ending) if ending == "zst" => {
                let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Out::Zstd(Box::new(encoder))
            }
            _ => Out::Plain(file),
        };
        Ok(Self { aside, out })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.out {
            Out::Plain(out) => out.write_all(bytes),
            Out::Gzip(out) => out.write_all(bytes),
            Out::Zstd(out) => out.write_all(bytes),
        }
    }

    /// Writes down everything that waits, and makes it durable. The name is still the other one.
    pub(super) fn seal(self) -> io::Result<Sealed> {
        let mut file = match self.out {
            Out::Plain(out) => out,
            Out::Gzip(out) => out.finish()?,
            Out::Zstd(out) => out.finish()?,
        };
        file.flush()?;
        file.get_ref().0.sync_data()?;
        Ok(Sealed(self.aside))
    }
}

/// A whole file that waits for its name.
pub(super) struct Sealed(Aside);

impl Sealed {
    /// Gives it its name, in place of any file that had it.
    pub(super) fn publish(mut self) -> io::Result<()> {
        RealDisk.rename(&part_of(&self.0.path), &self.0.path)?;
        self.0.is_named = true;
        Ok(())
    }
}

/// The name under which a file is written. It goes when this is dropped before the file has its own.
struct Aside {
    path: PathBuf,
    is_named: bool,
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = RealDisk.remove(&part_of(&self.path));
        }
    }
}

struct OnDisk(Box<dyn DiskFile>);

impl Write for OnDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
