//! A file on its way through the mender: once to learn what its first column looks like, once to be judged.

use super::source::{Cut, Source};
use super::structure::Structure;
use super::watch::Watch;
use crate::csv::mend::{Evidence, MendRules, Mended, Mender, Place, ShapeFinder};

/// Where the first record of a file stands.
const FIRST: Place = Place { record: 1, line: 1 };

/// What a file shows of its records.
pub(super) fn evidence<E>(
    source: &mut Source,
    n_columns: u64,
    record_bytes: u64,
    watch: &mut dyn Watch,
) -> Result<Evidence, Cut<E>> {
    let mut finder = ShapeFinder::new(n_columns, record_bytes, true);
    source.each("comparing", watch, |chunk| {
        finder.push(chunk);
        Ok(())
    })?;
    Ok(finder.evidence())
}

/// The rules that a file with that header is judged by.
pub(super) fn rules(structure: &Structure, record_bytes: u64, evidence: Option<Evidence>) -> Option<MendRules> {
    let n_columns = structure.n_columns()?;
    let rules = MendRules { n_columns, join: true, record_bytes, key_shape: None, header_first: true };
    Some(evidence.map_or(rules, |evidence| evidence.applied_to(rules)))
}

/// Judges every record; `to` is told in the order of the file.
pub(super) fn mend<M: Mended>(
    source: &mut Source,
    rules: MendRules,
    watch: &mut dyn Watch,
    to: &mut M,
) -> Result<(), Cut<M::Error>> {
    let mut mender = Mender::new(rules, FIRST);
    source.each("judging", watch, |chunk| mender.push(chunk, to))?;
    mender.finish(to).map_err(Cut::Taker)
}
