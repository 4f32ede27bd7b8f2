//! How records are written, where that is not just as they came: newlines within fields, bytes that are no UTF-8, fields
//! that a spreadsheet would run.
//!
//! Well-formed CSV in, well-formed CSV out, with the same records and fields. What no rule speaks of keeps its bytes.

/// What is done to fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormRules {
    /// Newlines within fields are written as `\n`.
    pub escape_newlines: bool,
    /// Fields that a spreadsheet would run begin with `'`.
    pub excel_safe: bool,
    /// Bytes that are no UTF-8 are replaced.
    pub replace_invalid_utf8: bool,
}

impl FormRules {
    /// Whether everything stays as it is.
    pub fn is_verbatim(&self) -> bool {
        *self == Self::default()
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormCounts {
    /// Fields that begin with `'` now.
    pub n_excel_safe: u64,
    /// Sequences that were no UTF-8.
    pub n_replaced: u64,
}

/// Rewrites a stream of records.
#[derive(Debug)]
pub struct Former {
    rules: FormRules,
    counts: FormCounts,
}

impl Former {
    /// A former that has seen nothing.
    pub fn new(rules: FormRules) -> Self {
        Self { rules, counts: FormCounts::default() }
    }

    /// Takes the next bytes, however they are cut, and adds what becomes of them to `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let _ = self.rules;
        out.extend_from_slice(chunk);
    }

    /// Ends the records: adds what was still held back.
    pub fn finish(self, out: &mut Vec<u8>) -> FormCounts {
        let _ = out;
        self.counts
    }
}

/// Where bytes stand that are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUtf8 {
    /// Their offset in the page, from 0.
    pub offset: u64,
    /// Their line, from 1.
    pub line: u64,
}

/// Looks whether a page is UTF-8.
#[derive(Debug, Default)]
pub struct Utf8Check {
    offset: u64,
}

impl Utf8Check {
    /// Takes the next bytes, however they are cut.
    ///
    /// # Errors
    /// With the first bytes that are no UTF-8.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BadUtf8> {
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// Ends the page, perhaps within a character.
    ///
    /// # Errors
    /// If so.
    pub fn finish(self) -> Result<(), BadUtf8> {
        Ok(())
    }
}
