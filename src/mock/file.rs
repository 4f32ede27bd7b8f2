//! A CSV file of one's own as the rows of a report: its first record is the header, the others are served as they stand.
//!
//! Where records begin is found out once, by the `csv` crate, and kept for every so-manieth record: the further apart the
//! longer the file, so that any size takes the same memory. Pages are read where they stand when they are sent. No byte
//! of a record is ever changed, and the file is only read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::ByteRecord;

use super::data::{DataError, PIECE_BYTES};

use self::shape::Shape;

/// How many places are kept; past it every second one is dropped.
const MOST_PLACES: usize = 1 << 17;
const BOM: &[u8] = b"\xEF\xBB\xBF";
/// What files in UTF-16 begin with.
const UTF16_MARKS: [[u8; 2]; 2] = [*b"\xFF\xFE", *b"\xFE\xFF"];

/// A CSV file that is served. Clones share it.
#[derive(Clone)]
pub struct CsvFile(Arc<Opened>);

impl fmt::Debug for CsvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvFile({}, {} rows)", self.0.path.display(), self.0.n_rows)
    }
}

struct Opened {
    path: PathBuf,
    file: File,
    /// With its line ending.
    header: Vec<u8>,
    newline: &'static str,
    n_rows: u64,
    end: u64,
    /// Where each `stride`th row is looked for.
    places: Vec<u64>,
    stride: u64,
}

impl CsvFile {
    /// Opens the file and finds its records.
    ///
    /// # Errors
    /// If it can't be read, is empty, is UTF-16, has a quote that is never closed, has a first row of another number of
    /// fields than its header, or has one column and blank lines, of which nobody can say whether they are rows.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let refuse = |problem: String| DataError::file(path, problem);
        let unreadable = |error: io::Error| refuse(format!("{error}; name a file that can be read"));
        let file = File::open(path).map_err(unreadable)?;
        let end = file.metadata().map_err(unreadable)?.len();
        let mut opened = Opened {
            path: path.to_owned(),
            file,
            header: Vec::new(),
            newline: "\n",
            n_rows: 0,
            end,
            places: Vec::new(),
            stride: 1,
        };
        let mut mark = [0; 3];
        let n_mark = opened.file.read_at(&mut mark, 0).map_err(unreadable)?;
        let is_utf16 = || refuse("it is UTF-16; save it as UTF-8".to_owned());
        if UTF16_MARKS.iter().any(|utf16| mark[..n_mark].starts_with(utf16)) {
            return Err(is_utf16());
        }
        let text = if mark[..n_mark] == *BOM { 3 } else { 0 };
        let shape = Shape::of(From { file: &opened.file, at: text }).map_err(unreadable)?;
        if let Some((nth, line)) = shape.open {
            let record = if nth == 0 { "its header".to_owned() } else { format!("row {nth}") };
            return Err(refuse(format!(
                "{record}, which begins in line {line}, has a quote that is never closed; close it, or write each quote \
                 within a field twice"
            )));
        }
        let start = opened.skip_line_ends(text).map_err(unreadable)?;
        let odd = |error: csv::Error| refuse(format!("{error}; name a CSV file that can be read"));
        let (n_columns, first_row) = opened.index(start).map_err(odd)?;
        if n_columns == 0 {
            return Err(refuse("it is empty; its first record must be the header".to_owned()));
        }
        if let Some(n) = first_row.filter(|n| *n != n_columns) {
            return Err(refuse(format!(
                "its header has {n_columns} fields and its first row {n}; its first record must be a header that the \
                 rows fit under"
            )));
        }
        if let Some(line) = shape.blank.filter(|_| n_columns == 1) {
            return Err(refuse(format!(
                "it has one column, and line {line} is blank, which is a row to some readers and nothing to others; \
                 write an empty value as \"\", or leave the line out"
            )));
        }
        let behind = opened.offset(0).map_err(unreadable)?;
        opened.read_header(start..behind).map_err(unreadable)?;
        // Without its mark it is known by the zero bytes between its letters.
        if opened.header.contains(&0) {
            return Err(is_utf16());
        }
        Ok(Self(Arc::new(opened)))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How many rows it has, without the header.
    pub fn rows(&self) -> u64 {
        self.0.n_rows
    }

    /// The header record with its line ending, without a byte order mark.
    pub fn header(&self) -> &[u8] {
        &self.0.header
    }

    /// How its header ends.
    pub(super) fn newline(&self) -> &'static str {
        self.0.newline
    }

    /// Whether some record that has a line ending has another than the header. Reads the whole file.
    pub(super) fn is_mixed(&self) -> bool {
        let newline = self.0.newline;
        (1..=self.0.n_rows).any(|row| {
            match self.span(row - 1..row, true, false).and_then(|span| self.ending(span.end)) {
                Ok(ending) => ending != newline && !(row == self.0.n_rows && ending.is_empty()),
                Err(_) => true,
            }
        })
    }

    /// Where those rows stand. They may lack the last line ending, or half of the last row.
    pub(super) fn span(&self, rows: Range<u64>, final_newline: bool, cut_record: bool) -> io::Result<Range<u64>> {
        let start = self.0.offset(rows.start)?;
        let mut end = self.0.offset(rows.end)?.max(start);
        if cut_record {
            let last = self.0.offset(rows.end.saturating_sub(1))?.clamp(start, end);
            end = last + (end - last) / 2;
        } else if !final_newline {
            end = end.saturating_sub(self.ending(end)?.len() as u64).max(start);
        }
        Ok(start..end)
    }

    /// Appends a piece of what stands there; the rest comes back.
    pub(super) fn read(&self, span: Range<u64>, out: &mut Vec<u8>) -> io::Result<Range<u64>> {
        let n = (span.end - span.start).min(PIECE_BYTES as u64);
        let start = out.len();
        out.resize(start + n as usize, 0);
        if let Err(error) = self.0.file.read_exact_at(&mut out[start..], span.start) {
            out.truncate(start);
            return Err(error);
        }
        Ok(span.start + n..span.end)
    }

    /// Appends a row as it stands there.
    pub(super) fn row(&self, row: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let mut span = self.span(row..row + 1, true, false)?;
        while !span.is_empty() {
            span = self.read(span, out)?;
        }
        Ok(())
    }

    /// The line ending before that place.
    fn ending(&self, end: u64) -> io::Result<&'static str> {
        let mut bytes = [0; 2];
        let n = end.min(2) as usize;
        self.0.file.read_exact_at(&mut bytes[2 - n..], end - n as u64)?;
        Ok(match bytes {
            [b'\r', b'\n'] => "\r\n",
            [_, b'\n'] => "\n",
            [_, b'\r'] => "\r",
            _ => "",
        })
    }
}

impl Opened {
    fn records_from(&self, at: u64, buffer: usize) -> csv::Reader<From<'_>> {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).buffer_capacity(buffer);
        builder.from_reader(From { file: &self.file, at })
    }

    /// Finds the rows behind the header that starts there. Answers how many fields the header and the first row have.
    fn index(&mut self, start: u64) -> Result<(usize, Option<usize>), csv::Error> {
        let (mut places, mut n_rows, mut stride) = (Vec::new(), 0u64, 1u64);
        let (mut n_columns, mut first_row) = (0, None);
        let mut records = self.records_from(start, 1 << 20);
        let mut record = ByteRecord::new();
        if records.read_byte_record(&mut record)? {
            n_columns = record.len();
        }
        loop {
            let place = start + records.position().byte();
            if !records.read_byte_record(&mut record)? {
                break;
            }
            first_row = first_row.or(Some(record.len()));
            if n_rows.is_multiple_of(stride) {
                places.push(place);
            }
            n_rows += 1;
            if places.len() > MOST_PLACES {
                let mut nth = 0;
                places.retain(|_| {
                    nth += 1;
                    nth % 2 == 1
                });
                stride *= 2;
            }
        }
        drop(records);
        (self.places, self.n_rows, self.stride) = (places, n_rows, stride);
        Ok((n_columns, first_row))
    }

    fn read_header(&mut self, span: Range<u64>) -> io::Result<()> {
        let mut header = vec![0; (span.end - span.start) as usize];
        self.file.read_exact_at(&mut header, span.start)?;
        let length = header.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        self.newline = match header[length..] {
            [b'\r', b'\n', ..] => "\r\n",
            [b'\r', ..] => "\r",
            _ => "\n",
        };
        header.truncate(length);
        header.extend_from_slice(self.newline.as_bytes());
        self.header = header;
        Ok(())
    }

    /// Where a row begins; behind the last one the file's end.
    fn offset(&self, row: u64) -> io::Result<u64> {
        if row >= self.n_rows {
            return Ok(self.end);
        }
        let place = self.places[(row / self.stride) as usize];
        let further = row % self.stride;
        let mut at = place;
        if further > 0 {
            let mut records = self.records_from(place, 64 * 1024);
            let mut record = ByteRecord::new();
            for _ in 0..further {
                records.read_byte_record(&mut record).map_err(io::Error::other)?;
            }
            at += records.position().byte();
        }
        // The reader ends a record before the second character of a line ending, and passes over blank lines.
        self.skip_line_ends(at)
    }

    fn skip_line_ends(&self, mut at: u64) -> io::Result<u64> {
        let mut bytes = [0; 16];
        loop {
            let n = self.file.read_at(&mut bytes, at)?;
            let n_ends = bytes[..n].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            at += n_ends as u64;
            if n == 0 || n_ends < n {
                return Ok(at.min(self.end));
            }
        }
    }
}

/// What stands in a file from a place on.
struct From<'a> {
    file: &'a File,
    at: u64,
}

impl Read for From<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(into, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

mod shape;
#[cfg(test)]
mod tests;
