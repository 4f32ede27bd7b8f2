//! What a writer stores with a position, so that a later one goes on as if it had never stopped.
//!
//! Plain values. A memo speaks of exactly the pages before its position; what was fetched ahead of them is not in it
//! and is fetched again. It also remembers where the part that is being read began, because a part whose query has
//! expired starts again from there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actors::assembly::AssemblyMemo;
use crate::actors::output::{Landmark, Standing};
use crate::actors::parts::{FinishedPart, PartStart, PartsRead};
use crate::model::{HttpCounts, PageNumber, Position};
use crate::state::{Checkpoint, StoredExtraction};

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

/// The memo of a position.
///
/// # Errors
/// If it can't be read, or is of another position than that.
fn memo_of(checkpoint: &Checkpoint) -> Result<Memo, String> {
    let memo = Memo::parse(&checkpoint.memo)?;
    match memo.finished.len() == checkpoint.position.part as usize {
        true => Ok(memo),
        false => Err(format!("part {} with {} parts before it", checkpoint.position.part, memo.finished.len())),
    }
}

/// Where a writer goes on from what is stored; none where nothing is durable yet.
///
/// # Errors
/// If what is stored can't be gone on from.
pub fn taken_up(stored: &StoredExtraction) -> Result<Option<Landmark>, String> {
    let Some(checkpoint) = &stored.checkpoint else { return Ok(None) };
    let position = checkpoint.position.clone();
    let query = stored.queries.get(&position.part).map(|query| &query.id);
    if position.query_id.is_some() && position.query_id.as_ref() != query {
        return Err("it is of another query than the one that is stored".to_owned());
    }
    let Memo { standing, assembly, finished, part_start, .. } = memo_of(checkpoint)?;
    Ok(Some(Landmark {
        position,
        standing,
        assembly,
        read: PartsRead { finished: Arc::new(finished), start: part_start.map(Arc::new) },
    }))
}

/// The checkpoint to go back to when the query of `part` has expired; none where nothing is left to go on from.
///
/// # Errors
/// If the memo can't be read.
pub fn before_part(checkpoint: &Checkpoint, part: u32) -> Result<Option<Checkpoint>, String> {
    if checkpoint.position.part != part {
        return Ok(Some(checkpoint.clone()));
    }
    let memo = memo_of(checkpoint)?;
    let Some(start) = memo.part_start else { return Ok(None) };
    let position = Position {
        part,
        query_id: None,
        next_page: PageNumber::FIRST,
        n_pages: start.standing.written.n_pages,
        n_rows: start.standing.written.n_rows,
        output: start.output,
        sides: start.sides.clone(),
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
    use crate::actors::Counts;
    use crate::actors::output::Written;
    use crate::model::{FileMark, PartRecord, QueryId, Timestamp, Window};

    fn standing(n_rows: u64) -> Standing {
        let written = Written { n_pages: n_rows / 10, n_rows, n_bytes: n_rows * 8 };
        Standing { written, ..Standing::default() }
    }

    fn memo(n_finished: usize, part_start: Option<PartStart>) -> Memo {
        let assembly = AssemblyMemo::default();
        let window = Window { from: Timestamp(0), to: Timestamp(1) };
        let record = PartRecord { query_id: QueryId::new("q"), window, pages: 1, rows: 10, bytes: 80 };
        let finished = vec![FinishedPart { record, counts: Counts::default(), total_rows: None }; n_finished];
        Memo { http: HttpCounts::default(), standing: standing(50), assembly, finished, part_start }
    }

    #[test]
    fn a_memo_of_another_part_than_its_position_is_refused() {
        assert!(before_part(&checkpoint(2, &memo(1, None)), 2).is_err());
    }

    fn checkpoint(part: u32, memo: &Memo) -> Checkpoint {
        let output = FileMark { offset: 400, crc32: 4 };
        let position = Position { part, next_page: PageNumber(6), n_rows: 50, output, ..Position::start() };
        Checkpoint { position, memo: memo.to_text() }
    }

    #[test]
    fn a_report_in_one_part_starts_from_nothing_when_its_query_has_expired() {
        assert_eq!(before_part(&checkpoint(0, &memo(0, None)), 0), Ok(None));
    }

    #[test]
    fn t6_a_part_whose_query_has_expired_goes_back_to_its_own_beginning() {
        let output = FileMark { offset: 160, crc32: 9 };
        let start =
            PartStart { output, sides: Default::default(), standing: standing(20), assembly: AssemblyMemo::default() };
        let back = before_part(&checkpoint(2, &memo(2, Some(start))), 2).unwrap().unwrap();
        assert_eq!((back.position.part, back.position.next_page), (2, PageNumber::FIRST));
        assert_eq!((back.position.n_rows, back.position.output), (20, output));
        assert_eq!(Memo::parse(&back.memo).unwrap().standing.written.n_rows, 20);
        // And from there it goes back to the same place once more.
        assert_eq!(before_part(&back, 2).unwrap().unwrap(), back);
    }

    #[test]
    fn t6_a_query_that_expires_before_its_part_is_read_leaves_the_output_alone() {
        let checkpoint = checkpoint(1, &memo(1, None));
        assert_eq!(before_part(&checkpoint, 2), Ok(Some(checkpoint.clone())));
    }
}
