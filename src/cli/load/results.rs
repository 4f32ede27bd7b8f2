//! The files that a load's result goes to.
//!
//! They are opened before the load, because after an hour it would be too late to learn that they can't be, and filled
//! after it. One that was made here and never filled goes again.

use std::fs::{File, OpenOptions, canonicalize, remove_file};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::args::LoadArgs;

/// A file that is open and waits for its content.
#[derive(Debug)]
pub(super) struct ResultFile {
    path: PathBuf,
    file: File,
    is_new: bool,
    is_filled: bool,
}

/// Where the result goes besides stdout.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) json: Option<ResultFile>,
    pub(super) html: Option<ResultFile>,
}

impl Results {
    /// Opens what is asked for.
    ///
    /// # Errors
    /// If one can't be written, or they are one and the same.
    pub(super) fn open(args: &LoadArgs) -> Result<Self, String> {
        let is_stdout = |file: &Path| file == Path::new("-");
        if args.html.as_deref().is_some_and(is_stdout) {
            return Err("--html: the page goes to a file, not to stdout; name one".to_owned());
        }
        let open = |option: &str, file: Option<&Path>| file.map(|file| ResultFile::open(option, file)).transpose();
        let json = open("--json", args.json.as_deref().filter(|file| !is_stdout(file)))?;
        let html = open("--html", args.html.as_deref())?;
        if let (Some(json), Some(html)) = (&json, &html)
            && json.is_same(html)
        {
            return Err(format!("--json and --html are both {}; name two files", html.path.display()));
        }
        Ok(Self { json, html })
    }
}

impl ResultFile {
    fn open(option: &str, path: &Path) -> Result<Self, String> {
        let is_new = !path.exists();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| format!("{option}: {} can't be written: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, is_new, is_filled: false })
    }

    fn is_same(&self, other: &Self) -> bool {
        let real = |path: &Path| canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // Two words may well go to one device.
        self.file.metadata().is_ok_and(|meta| meta.is_file()) && real(&self.path) == real(&other.path)
    }

    /// Puts the text there, instead of what was there.
    ///
    /// # Errors
    /// The system's words and the file's name.
    pub(super) fn fill(&mut self, text: &str) -> Result<(), String> {
        self.is_filled = true;
        let mut write = || -> io::Result<()> {
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            self.file.write_all(text.as_bytes())
        };
        write().map_err(|error| format!("error: {} can't be written: {error}", self.path.display()))
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        if self.is_new && !self.is_filled {
            let _ = remove_file(&self.path);
        }
    }
}
