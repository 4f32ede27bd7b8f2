//! What a writer stores with a position, so that a later one goes on as if it had never stopped.
//!
//! Plain values. A memo speaks of exactly the pages before its position; what was fetched ahead of them is not in it and
//! is fetched again. It also remembers where the part that is being read began, because a part whose query has expired
//! starts again from there.

use serde::{Deserialize, Serialize};

use crate::actors::Counts;
use crate::actors::assembly::AssemblyMemo;
use crate::actors::output::Standing;
use crate::model::{FileMark, HttpCounts, PageNumber, PartRecord, Position};
use crate::state::Checkpoint;

/// A part that is in the output whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinishedPart {
    /// What the manifest says of it.
    pub record: PartRecord,
    /// What the tenant's counts said.
    pub counts: Counts,
    /// `totalRows` of its query.
    pub total_rows: Option<u64>,
}

/// Where the part that is being read began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartStart {
    /// The output at its beginning.
    pub output: FileMark,
    /// The output's state then.
    pub standing: Standing,
    /// The pages' state then.
    pub assembly: AssemblyMemo,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memo {
    /// Calls so far, over all runs.
    pub http: HttpCounts,
    /// The output's state.
    pub standing: Standing,
    /// The pages' state.
    pub assembly: AssemblyMemo,
    /// The parts before the present one.
    pub finished: Vec<FinishedPart>,
    /// Where the present one began; none for the first.
    pub part_start: Option<PartStart>,
}

impl Memo {
    /// Reads a stored memo.
    ///
    /// # Errors
    /// If it is none, in the reader's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The memo as it is stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a memo holds only text, numbers and text keys")
    }
}

/// The checkpoint to go back to when the query of `part` has expired; none where nothing is left to go on from.
///
/// # Errors
/// If the memo can't be read.
pub fn before_part(checkpoint: &Checkpoint, part: u32) -> Result<Option<Checkpoint>, String> {
    if checkpoint.position.part != part {
        return Ok(Some(checkpoint.clone()));
    }
    let memo = Memo::parse(&checkpoint.memo)?;
    let Some(start) = memo.part_start else { return Ok(None) };
    let position = Position {
        part,
        query_id: None,
        next_page: PageNumber::FIRST,
        n_pages: start.standing.written.n_pages,
        n_rows: start.standing.written.n_rows,
        output: start.output,
        sides: checkpoint.position.sides.clone(),
    };
    let memo = Memo {
        http: memo.http,
        standing: start.standing.clone(),
        assembly: start.assembly.clone(),
        finished: memo.finished,
        part_start: Some(start),
    };
    Ok(Some(Checkpoint { position, memo: memo.to_text() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::output::Written;

    fn standing(n_rows: u64) -> Standing {
        let written = Written { n_pages: n_rows / 10, n_rows, n_bytes: n_rows * 8 };
        Standing { written, ..Standing::default() }
    }

    fn memo(part_start: Option<PartStart>) -> Memo {
        let assembly = AssemblyMemo::default();
        Memo { http: HttpCounts::default(), standing: standing(50), assembly, finished: Vec::new(), part_start }
    }

    fn checkpoint(part: u32, memo: &Memo) -> Checkpoint {
        let output = FileMark { offset: 400, crc32: 4 };
        let position = Position { part, next_page: PageNumber(6), n_rows: 50, output, ..Position::start() };
        Checkpoint { position, memo: memo.to_text() }
    }

    #[test]
    fn a_report_in_one_part_starts_from_nothing_when_its_query_has_expired() {
        assert_eq!(before_part(&checkpoint(0, &memo(None)), 0), Ok(None));
    }

    #[test]
    fn t6_a_part_whose_query_has_expired_goes_back_to_its_own_beginning() {
        let output = FileMark { offset: 160, crc32: 9 };
        let start = PartStart { output, standing: standing(20), assembly: AssemblyMemo::default() };
        let back = before_part(&checkpoint(2, &memo(Some(start))), 2).unwrap().unwrap();
        assert_eq!((back.position.part, back.position.next_page), (2, PageNumber::FIRST));
        assert_eq!((back.position.n_rows, back.position.output), (20, output));
        assert_eq!(Memo::parse(&back.memo).unwrap().standing.written.n_rows, 20);
        // And from there it goes back to the same place once more.
        assert_eq!(before_part(&back, 2).unwrap().unwrap(), back);
    }

    #[test]
    fn t6_a_query_that_expires_before_its_part_is_read_leaves_the_output_alone() {
        let checkpoint = checkpoint(1, &memo(None));
        assert_eq!(before_part(&checkpoint, 2), Ok(Some(checkpoint.clone())));
    }
}
