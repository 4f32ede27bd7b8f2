//! The file that a client must end up with, from the same rows that the pages are made of.
//!
//! Header once, rows in order, each with its line ending. No page and no parser takes part in making it.

use std::io::{self, Write};

use super::data::{PIECE_BYTES, RowSource};
use super::flaws::Flaw;
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
        self.report.rows * self.parts.len() as u64
    }

    /// Writes it; the number of bytes comes back.
    pub fn write(&self, mut to: impl Write) -> io::Result<u64> {
        let mut piece = Vec::with_capacity(PIECE_BYTES * 2);
        let mut n_bytes = 0;
        if let Some(first) = self.parts.first().filter(|_| self.report.expects_header()) {
            piece.extend_from_slice(first.header().as_bytes());
        }
        for part in &self.parts {
            for row in 0..self.report.rows {
                part.write_row(row, &mut piece);
                if piece.len() >= PIECE_BYTES {
                    to.write_all(&piece)?;
                    n_bytes += piece.len() as u64;
                    piece.clear();
                }
            }
        }
        to.write_all(&piece)?;
        Ok(n_bytes + piece.len() as u64)
    }

    /// The rows in their order, each as it is served, and what is wrong with it.
    pub fn each_row(&self, mut each: impl FnMut(&[u8], Option<Flaw>)) {
        let mut text = Vec::new();
        for part in &self.parts {
            for row in 0..self.report.rows {
                text.clear();
                part.write_row(row, &mut text);
                each(&text, part.flaw(row));
            }
        }
    }

    /// The whole of it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("writing to memory does not fail");
        bytes
    }
}
