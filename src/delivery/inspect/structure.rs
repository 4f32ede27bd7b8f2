//! The first reading of a file: its records and fields in numbers, and whether anything is wrong at all.
//!
//! It is as fast as framing is, and most files never need another one. What it suspects is judged by the mender; where
//! the mender has nothing to say, the numbers here have the last word.

use super::faults::Fault;
use super::source::{Cut, Source};
use super::watch::Watch;
use crate::csv::forms::{BadUtf8, Utf8Check};
use crate::csv::{Framed, Framer, FramingLimits, n_blank_lines_before};

const LENIENT: &str = "a lenient framer takes everything";

/// What the first reading has found.
#[derive(Debug)]
pub(super) struct Structure {
    pub(super) framed: Framed,
    pub(super) bad_utf8: Option<BadUtf8>,
}

impl Structure {
    /// Reads the text to its end.
    pub(super) fn read<E>(source: &mut Source, record_bytes: u64, watch: &mut dyn Watch) -> Result<Self, Cut<E>> {
        let mut framer = Framer::lenient(FramingLimits { record_bytes });
        let mut utf8 = Some(Utf8Check::default());
        let mut bad_utf8 = None;
        source.each("reading", watch, |chunk| {
            framer.push(chunk).expect(LENIENT);
            if let Some(check) = &mut utf8
                && let Err(bad) = check.push(chunk)
            {
                bad_utf8 = Some(bad);
                utf8 = None;
            }
            Ok(())
        })?;
        if let Some(check) = utf8 {
            bad_utf8 = check.finish().err();
        }
        let framed = framer.finish().expect(LENIENT);
        Ok(Self { framed, bad_utf8 })
    }

    /// Fields of the first record; none where there is no record.
    pub(super) fn n_columns(&self) -> Option<u64> {
        self.framed.first.as_ref().map(|first| first.fields.len() as u64)
    }

    /// Whether the records are beyond doubt.
    pub(super) fn is_sound(&self) -> bool {
        let Framed { n_uneven, misquoted, is_entangled, broken, .. } = &self.framed;
        *n_uneven == 0 && misquoted.is_none() && !is_entangled && broken.is_none()
    }

    /// Lines without any byte behind the first record. In a table of one column each is an empty value.
    pub(super) fn n_empty_values(&self) -> u64 {
        match &self.framed.first {
            Some(first) if first.fields.len() == 1 => {
                self.framed.n_blank_lines.saturating_sub(n_blank_lines_before(&first.raw))
            }
            _ => 0,
        }
    }

    /// How lines end, as the first record has it.
    pub(super) fn line_ending(&self) -> &'static [u8] {
        match self.framed.first.as_ref().map(|first| first.raw.as_slice()) {
            Some([.., b'\r', b'\n']) => b"\r\n",
            Some([.., b'\r']) => b"\r",
            _ => b"\n",
        }
    }

    /// What the numbers alone tell, for a file of which the mender says nothing.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let Framed { uneven, misquoted, broken, .. } = &self.framed;
        let mut faults = Vec::new();
        if let Some(uneven) = uneven {
            let message = format!("{} fields where the header has {}", uneven.n_fields, uneven.expected);
            faults.push(Fault { line: Some(uneven.line), record: Some(uneven.record), kind: "ragged", message });
        }
        if let Some(place) = misquoted {
            let message = "text stands behind a closing quote".to_owned();
            faults.push(Fault { line: Some(place.line), record: Some(place.record), kind: "misquoted", message });
        }
        if let Some(fault) = broken {
            faults.push(Fault::of_file("open_quote", fault.to_string()));
        }
        faults
    }
}
