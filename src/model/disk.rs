//! What the program asks of a file system, so that a simulated one can take its place.
//!
//! The two sync calls are the point: bytes are safe after [`DiskFile::sync_data`], names after [`Disk::sync_dir`],
//! and nothing else is promised. Only the vocabulary stands here; `delivery` has the real and the simulated disk.

use std::io;
use std::path::{Path, PathBuf};

/// What stands behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, whatever it leads to.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// Tells one file from another, whatever their names (device and inode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(pub u64, pub u64);

/// What can be known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// What it is.
    pub kind: FileKind,
    /// Which it is.
    pub id: FileId,
    /// Its length in bytes.
    pub len: u64,
}

/// How a file is opened. No way of opening follows a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Makes a new file, readable by its owner only; an error if the name is taken.
    CreateNew,
    /// Opens an existing file for reading and for writing at its end.
    Append,
    /// Opens an existing file for reading.
    Read,
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Makes a directory and its parents, open to their owner only; those that exist stay as they are.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Opens a regular file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in the same directory, in place of any file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's or a link's name away; false if there was none.
    fn remove(&self, path: &Path) -> io::Result<bool>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// What stands behind a name, links not followed; none if nothing does.
    fn facts(&self, path: &Path) -> io::Result<Option<FileFacts>>;

    /// The files in a directory, in order of name; none if there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
}

/// An open file. Writes go to its end.
pub trait DiskFile: Send {
    /// Writes all of `bytes` at the end.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Reads from `offset`; 0 at the end of the file.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes the bytes written so far durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file to that length.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// What can be known of the file behind this handle, whatever has become of its name.
    fn facts(&self) -> io::Result<FileFacts>;

    /// A second handle on the same file, for another thread.
    fn try_clone(&self) -> io::Result<Box<dyn DiskFile>>;
}
