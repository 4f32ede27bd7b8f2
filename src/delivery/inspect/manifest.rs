//! A file against the manifest that stands beside it: every difference is named with both values.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use serde::Deserialize;

use super::faults::{Fault, Faults};
use crate::csv::forms::unescape;
use crate::model::OutputNames;

/// The version of the format that is understood.
const VERSION: u32 = 1;
/// Far more than a manifest takes, so that something else of that name can't fill the memory.
const MOST_BYTES: u64 = 16 << 20;
/// How many columns that differ are named.
const COLUMNS_SHOWN: usize = 20;
/// How many characters of a column's name are shown.
const NAME_CHARS_SHOWN: usize = 60;

/// What a manifest says of its file.
#[derive(Debug, Deserialize)]
pub(super) struct Promise {
    version: u32,
    output: Output,
    columns: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Output {
    bytes: u64,
    rows: u64,
    sha256: String,
}

/// What is known of the file's content.
pub(super) struct Content<'a> {
    /// Rows, at least and at most: in a table of one column a blank line may be one.
    pub(super) n_rows: std::ops::RangeInclusive<u64>,
    /// The header's fields.
    pub(super) names: &'a [Vec<u8>],
}

/// Reads the manifest beside a file; none where there is none.
pub(super) fn beside(file: &Path, faults: &mut Faults) -> Option<Promise> {
    let problem = match read(&OutputNames::of(file).manifest()) {
        Ok(None) => return None,
        Ok(Some(promise)) if promise.version == VERSION => return Some(promise),
        Ok(Some(promise)) => format!("it is of version {}, and this program knows {VERSION}", promise.version),
        Err(error) => error.to_string(),
    };
    faults.push(Fault::of_file("manifest", format!("its manifest can't be used: {problem}")));
    None
}

fn read(path: &Path) -> io::Result<Option<Promise>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

impl Promise {
    /// How many rows there are, where the file alone does not tell.
    pub(super) fn n_rows(&self) -> u64 {
        self.output.rows
    }

    /// Compares the file as it lies on the disk.
    pub(super) fn compare_stored(&self, n_bytes: u64, sha256: Option<&str>, faults: &mut Faults) {
        let Output { bytes, sha256: due, .. } = &self.output;
        if n_bytes != *bytes {
            differs(faults, format!("it has {n_bytes} bytes, and its manifest says {bytes}"));
        }
        if let Some(found) = sha256
            && !found.eq_ignore_ascii_case(due)
        {
            // What stands there may be anything.
            let due: String = due.chars().take(64).collect();
            differs(faults, format!("its sha256 is {found}, and its manifest says {due}"));
        }
    }

    /// Compares what stands in the file.
    pub(super) fn compare_content(&self, content: &Content<'_>, faults: &mut Faults) {
        if !content.n_rows.contains(&self.output.rows) {
            let (found, due) = (content.n_rows.end(), self.output.rows);
            differs(faults, format!("it has {found} rows, and its manifest says {due}"));
        }
        let (found, due) = (content.names, &self.columns);
        if found.len() != due.len() {
            differs(faults, format!("its header has {} columns, and its manifest says {}", found.len(), due.len()));
        }
        let differing = found.iter().zip(due).enumerate().filter(|(_, (found, due))| !is_same(found, due));
        for (i, (found, due)) in differing.take(COLUMNS_SHOWN) {
            let (found, due) = (shown(&String::from_utf8_lossy(found)), shown(due));
            differs(faults, format!("its column {} is {found}, and its manifest says {due}", i + 1));
        }
    }
}

fn differs(faults: &mut Faults, message: String) {
    faults.push(Fault::of_file("manifest", message));
}

/// Whether a name in the header is the manifest's, in whichever of the forms it was delivered: bytes that are no UTF-8
/// are kept and shown replaced, newlines may be escaped, and names that a spreadsheet would run may begin with `'`.
fn is_same(found: &[u8], due: &str) -> bool {
    let is = |bytes: &[u8]| String::from_utf8_lossy(bytes) == due;
    let is_unescaped = |bytes: &[u8]| {
        let lines_alike = due.replace("\r\n", "\n").replace('\r', "\n");
        String::from_utf8_lossy(&unescape(bytes)) == lines_alike
    };
    let bare = found.strip_prefix(b"'");
    [Some(found), bare].into_iter().flatten().any(|bytes| is(bytes) || is_unescaped(bytes))
}

fn shown(name: &str) -> String {
    let short: String = name.chars().take(NAME_CHARS_SHOWN).collect();
    let dots = if short.len() < name.len() { "…" } else { "" };
    format!("{short:?}{dots}")
}
