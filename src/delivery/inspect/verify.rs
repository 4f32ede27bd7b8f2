//! Whether a file is what its manifest says, and whether its records are what any reader of CSV will see.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::classify::Classifier;
use super::faults::{Fault, Faults};
use super::manifest::{self, Content, Promise};
use super::source::{self, Cut, Seen, Source, Stamp};
use super::structure::Structure;
use super::watch::{Interrupted, Watch};
use super::{RECORD_BYTES, mending};

/// What a file is verified by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyRules {
    /// The longest record, in bytes without its line ending.
    pub record_bytes: u64,
    /// Whether the SHA-256 is wanted also where no manifest asks for it. It takes longer than everything else.
    pub hash: bool,
}

impl Default for VerifyRules {
    fn default() -> Self {
        Self { record_bytes: RECORD_BYTES, hash: false }
    }
}

/// What came of verifying a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The file.
    pub path: PathBuf,
    /// Its size as it lies on the disk; none where it can't be read to its end.
    pub n_bytes: Option<u64>,
    /// Its rows, the header not counted; none where its text can't be read to its end.
    pub n_rows: Option<u64>,
    /// The SHA-256 of the file as it lies on the disk, in lower-case hexadecimal, where it was wanted.
    pub sha256: Option<String>,
    /// Whether a manifest stood beside it.
    pub has_manifest: bool,
    /// What is wrong.
    pub faults: Faults,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Verifies a file. Whatever is wrong with it, also that it is missing, is a fault and no error.
///
/// # Errors
/// Only where it was asked to end.
pub fn verify(path: &Path, rules: &VerifyRules, watch: &mut dyn Watch) -> Result<Verified, Interrupted> {
    let mut faults = Faults::default();
    let promise = manifest::beside(path, &mut faults);
    let has_manifest = promise.is_some();
    let mut verified =
        Verified { path: path.to_owned(), n_bytes: None, n_rows: None, sha256: None, has_manifest, faults };
    match look(&mut verified, promise.as_ref(), rules, watch) {
        Ok(()) => Ok(verified),
        Err(Cut::Interrupted) => Err(Interrupted),
        Err(Cut::Unreadable(error) | Cut::Taker(error)) => {
            verified.faults.push(unreadable(&error));
            Ok(verified)
        }
    }
}

fn unreadable(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::NotFound => Fault::of_file("missing", "there is no such file"),
        _ => Fault::of_file("unreadable", format!("it can't be read: {error}")),
    }
}

fn look(
    verified: &mut Verified,
    promise: Option<&Promise>,
    rules: &VerifyRules,
    watch: &mut dyn Watch,
) -> Result<(), Cut<io::Error>> {
    let opened = Source::open(&verified.path, rules.hash || promise.is_some()).map_err(Cut::Unreadable)?;
    // Compressed data may turn out to be damaged anywhere; the file as it lies on the disk is still looked at.
    let stamp = opened.stamp();
    let (read, seen) = match opened.text() {
        Ok(mut source) => (Structure::read(&mut source, rules.record_bytes, watch), source.finish(watch)?),
        Err(error) => (Err(Cut::Unreadable(error)), opened.finish(watch)?),
    };
    let Seen { n_bytes, sha256, is_unchanged } = seen;
    if !is_unchanged {
        return Err(Cut::Unreadable(source::changed()));
    }
    if let Some(promise) = promise {
        promise.compare_stored(n_bytes, sha256.as_deref(), &mut verified.faults);
    }
    (verified.n_bytes, verified.sha256) = (Some(n_bytes), sha256);
    let structure = read?;
    verified.n_rows = Some(compared(&structure, promise, &mut verified.faults));
    classify(verified, &structure, rules, stamp, watch)
}

/// Rows, and the text against the manifest.
fn compared(structure: &Structure, promise: Option<&Promise>, faults: &mut Faults) -> u64 {
    let least = structure.framed.n_records.saturating_sub(1);
    let n_rows = least..=least + structure.n_empty_values();
    let most = *n_rows.end();
    let Some(promise) = promise else { return most };
    let names = structure.framed.first.as_ref().map_or(&[][..], |first| &first.fields);
    let n_due = promise.n_rows();
    let found = if n_rows.contains(&n_due) { n_due } else { most };
    promise.compare_content(&Content { n_rows, names }, faults);
    found
}

/// Where the first reading has found something, tells what it is.
fn classify(
    verified: &mut Verified,
    structure: &Structure,
    rules: &VerifyRules,
    stamp: Stamp,
    watch: &mut dyn Watch,
) -> Result<(), Cut<io::Error>> {
    if structure.is_sound() && structure.bad_utf8.is_none() {
        return Ok(());
    }
    let n_before = verified.faults.len();
    let open = |path: &Path| Source::open(path, false).and_then(|opened| opened.text()).map_err(Cut::Unreadable);
    let mut evidence = None;
    if let Some(n_columns) = structure.n_columns()
        && !structure.is_sound()
    {
        evidence = Some(mending::evidence(&mut open(&verified.path)?, n_columns, rules.record_bytes, watch)?);
    }
    let Some(mend_rules) = mending::rules(structure, rules.record_bytes, evidence) else { return Ok(()) };
    let mut source = open(&verified.path)?;
    let mut classifier = Classifier::new(structure, &mut verified.faults);
    mending::mend(&mut source, mend_rules, watch, &mut classifier).map_err(|cut| match cut {
        Cut::Unreadable(error) => Cut::Unreadable(error),
        Cut::Interrupted => Cut::Interrupted,
        Cut::Taker(never) => match never {},
    })?;
    source.is_still(stamp).map_err(Cut::Unreadable)?;
    if verified.faults.len() == n_before {
        structure.faults().into_iter().for_each(|fault| verified.faults.push(fault));
    }
    Ok(())
}
