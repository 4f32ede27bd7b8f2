//! The file that a client must end up with, from the same rows that the pages are made of.
//!
//! Header once, rows in order, each with its line ending. No page and no parser takes part in making it; of a file that
//! is served it is the bytes behind the header as they stand there.

use std::io::{self, Write};

use super::data::{PIECE_BYTES, RowSource, Rows};
use super::flaws::Flaw;
use super::page::PageBody;
use super::report::MockReport;

/// An expected file, made when it is written.
#[derive(Clone, Debug)]
pub struct Expected {
    report: MockReport,
    parts: Vec<RowSource>,
}

impl Expected {
    pub(super) fn new(report: MockReport, parts: Vec<RowSource>) -> Self {
        Self { report, parts }
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.report.n_rows() * self.parts.len() as u64
    }

    /// Writes it; the number of bytes comes back.
    pub fn write(&self, mut to: impl Write) -> io::Result<u64> {
        let mut n_bytes = 0;
        let mut write = |bytes: &[u8]| {
            n_bytes += bytes.len() as u64;
            to.write_all(bytes)
        };
        if let Some(first) = self.parts.first().filter(|_| self.report.expects_header()) {
            write(&first.header())?;
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES * 2);
        for part in &self.parts {
            let mut rows = PageBody::new(part.clone(), 0..self.report.n_rows(), false, false, true);
            let mut ends_open = false;
            while rows.next_piece(&mut piece) {
                write(&piece)?;
                ends_open = !piece.ends_with(b"\n") && !piece.ends_with(b"\r");
                piece.clear();
            }
            if rows.broke() {
                return Err(io::Error::other("the file that is served can't be read any more"));
            }
            if ends_open {
                write(part.newline().as_bytes())?;
            }
        }
        Ok(n_bytes)
    }

    /// The rows in their order, each as it is served, and what is wrong with it. What befalls a whole page is not in
    /// them.
    pub fn each_row(&self, mut each: impl FnMut(&[u8], Option<Flaw>)) {
        let mut text = Vec::new();
        for part in &self.parts {
            for row in 0..self.report.n_rows() {
                text.clear();
                match &part.rows {
                    Rows::File { file, .. } => {
                        file.row(row, &mut text).expect("a file that is served stays");
                    }
                    _ => drop(part.make(&mut (row..row + 1), 1, &mut text)),
                }
                each(&text, part.flaw(row));
            }
        }
    }

    /// The whole of it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("writing to memory does not fail, and a file that is served stays");
        bytes
    }
}
