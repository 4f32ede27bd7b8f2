//! A copy of a file in which every record is good: joined where there is one way only, set aside otherwise.
//!
//! The copy appears under its name when it is whole. Beside it stand the records that were set aside, each with its
//! reason, and a receipt for each that was joined; neither file is left where it would be empty. The order of rows
//! and every byte of good records are kept.

use std::io;
use std::path::{Path, PathBuf};

use super::mending;
use super::names::Names;
use super::source::{Cut, Source};
use super::structure::Structure;
use super::watch::Watch;
use super::written::{Sealed, Written};
use crate::csv::BOM;
use crate::csv::mend::{Joined, Mended, Rejected};
use crate::csv::papers::{REJECTS_HEADER, receipt, reject_row};
use crate::delivery::RealDisk;
use crate::model::Disk;

/// A file is one page.
const PAGE: u64 = 1;
/// The record that is the header.
const HEADER: u64 = 1;

/// What a repair came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Rows in the copy, the header not counted.
    pub n_rows: u64,
    /// Of these, put together again.
    pub n_joined: u64,
    /// Records that were set aside.
    pub n_rejected: u64,
    /// Where these stand, if there are any.
    pub rejects: Option<PathBuf>,
    /// Where the receipts of what was joined stand, if there are any.
    pub repairs: Option<PathBuf>,
    /// The first line with bytes that are no UTF-8. Such bytes are kept.
    pub bad_utf8_line: Option<u64>,
}

/// Why there is no repaired copy.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The names can't be used.
    #[error("{0}")]
    Refused(String),
    /// The file can't be read.
    #[error("{path} can't be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copy, or what stands beside it, can't be written.
    #[error("{path} can't be written: {source}")]
    Unwritable {
        /// The copy.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The header itself is damaged, so that nothing can be judged by it.
    #[error("the header of {path} (line {line}) can't be read for certain: {why}; mend that line by hand")]
    Header {
        /// The file.
        path: PathBuf,
        /// Its line.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It was asked to end.
    #[error("ended before it was done; nothing was written")]
    Interrupted,
}

/// Writes a copy of `input` in which every record is good. No record may be longer than `record_bytes`.
///
/// # Errors
/// If so, nothing appears under any of the names.
pub fn repair(input: &Path, output: &Path, record_bytes: u64, watch: &mut dyn Watch) -> Result<Repaired, RepairError> {
    let names = Names::around(output);
    if let Some(why) = names.refusal(input) {
        return Err(RepairError::Refused(why));
    }
    carry_out(input, &names, record_bytes, watch).map_err(|cut| match cut {
        Cut::Unreadable(source) => RepairError::Unreadable { path: input.to_owned(), source },
        Cut::Interrupted => RepairError::Interrupted,
        Cut::Taker(Refused::Writing(source)) => RepairError::Unwritable { path: output.to_owned(), source },
        Cut::Taker(Refused::Header { line, why }) => RepairError::Header { path: input.to_owned(), line, why },
    })
}

/// Why the copy can take no more.
enum Refused {
    Writing(io::Error),
    Header { line: u64, why: String },
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Writing(error)
    }
}

fn carry_out(input: &Path, names: &Names, record_bytes: u64, watch: &mut dyn Watch) -> Result<Repaired, Cut<Refused>> {
    let open = || Source::open(input, false).and_then(|opened| opened.text()).map_err(Cut::Unreadable);
    let mut source = open()?;
    let stamp = source.stamp();
    let structure = Structure::read(&mut source, record_bytes, watch)?;
    let mut evidence = None;
    if let Some(n_columns) = structure.n_columns().filter(|_| !structure.is_sound()) {
        evidence = Some(mending::evidence(&mut open()?, n_columns, record_bytes, watch)?);
    }
    let mut source = open()?;
    let mut copy = Copy::begin(names, structure.line_ending()).map_err(taker)?;
    copy.output.write(&BOM[..source.bom_len()]).map_err(taker)?;
    match mending::rules(&structure, record_bytes, evidence) {
        Some(rules) => mending::mend(&mut source, rules, watch, &mut copy)?,
        // Blank lines alone.
        None => source.each("copying", watch, |chunk| Ok(copy.output.write(chunk)?))?,
    }
    // What was judged by one state of the file must not be written from another.
    source.is_still(stamp).map_err(Cut::Unreadable)?;
    let bad_utf8_line = structure.bad_utf8.map(|bad| bad.line);
    copy.publish(bad_utf8_line).map_err(taker)
}

fn taker(error: io::Error) -> Cut<Refused> {
    Cut::Taker(Refused::Writing(error))
}

/// The copy while it is being written.
struct Copy<'a> {
    names: &'a Names,
    output: Written,
    line_ending: &'static [u8],
    is_ended: bool,
    n_records: u64,
    rejects: Side<'a>,
    repairs: Side<'a>,
}

/// A file beside the copy, made when something is to be written to it.
struct Side<'a> {
    path: &'a Path,
    written: Option<Written>,
    n: u64,
    text: Vec<u8>,
}

impl<'a> Side<'a> {
    fn of(path: &'a Path) -> Self {
        Self { path, written: None, n: 0, text: Vec::new() }
    }

    fn add(&mut self, header: &[u8], entry: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.text.clear();
        entry(&mut self.text);
        self.n += 1;
        let written = match &mut self.written {
            Some(written) => written,
            None => {
                let mut begun = Written::begin(self.path)?;
                begun.write(header)?;
                self.written.insert(begun)
            }
        };
        written.write(&self.text)
    }

    fn seal(&mut self) -> io::Result<Option<Sealed>> {
        self.written.take().map(Written::seal).transpose()
    }
}

impl<'a> Copy<'a> {
    fn begin(names: &'a Names, line_ending: &'static [u8]) -> io::Result<Self> {
        let output = Written::begin(&names.output)?;
        let (rejects, repairs) = (Side::of(&names.rejects), Side::of(&names.repairs));
        Ok(Self { names, output, line_ending, is_ended: true, n_records: 0, rejects, repairs })
    }

    fn records(&mut self, bytes: &[u8], n_records: u64) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            self.is_ended = matches!(last, b'\n' | b'\r');
        }
        self.n_records += n_records;
        self.output.write(bytes)
    }

    fn publish(mut self, bad_utf8_line: Option<u64>) -> io::Result<Repaired> {
        if !self.is_ended {
            self.output.write(self.line_ending)?;
        }
        let mut repaired = Repaired {
            n_rows: self.n_records.saturating_sub(1),
            n_joined: self.repairs.n,
            n_rejected: self.rejects.n,
            bad_utf8_line,
            ..Repaired::default()
        };
        let sides = [self.rejects.seal()?, self.repairs.seal()?];
        let output = self.output.seal()?;
        let shown = [&mut repaired.rejects, &mut repaired.repairs];
        for ((side, path), shown) in sides.into_iter().zip([&self.names.rejects, &self.names.repairs]).zip(shown) {
            match side {
                Some(side) => {
                    side.publish()?;
                    *shown = Some(path.clone());
                }
                // Of an earlier repair, and about a file that is replaced now.
                None => drop(RealDisk.remove(path)?),
            }
        }
        // Last, so that whoever finds the copy finds what belongs to it.
        output.publish()?;
        RealDisk.sync_dir(self.names.dir())?;
        Ok(repaired)
    }
}

impl Mended for Copy<'_> {
    type Error = Refused;

    fn good(&mut self, bytes: &[u8], n_records: u64) -> Result<(), Refused> {
        Ok(self.records(bytes, n_records)?)
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Refused> {
        self.repairs.add(b"", |text| receipt(PAGE, joined, text))?;
        self.records(joined.after, 1)?;
        Ok(self.records(joined.line_ending, 0)?)
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Refused> {
        if rejected.place.record == HEADER {
            return Err(Refused::Header { line: rejected.place.line, why: rejected.reason.to_string() });
        }
        Ok(self.rejects.add(REJECTS_HEADER, |text| reject_row(PAGE, rejected, text))?)
    }
}
