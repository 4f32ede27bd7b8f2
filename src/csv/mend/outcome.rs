//! Mends a text that is wholly at hand, and keeps everything that comes of it: for small inputs and for tests.

use std::convert::Infallible;

use super::{Joined, MendRules, Mended, Mender, Place, Reason, Rejected};

/// What came of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What is delivered: good records and joined ones, in their order.
    pub output: Vec<u8>,
    /// How many records that are.
    pub n_records: u64,
    /// What was joined.
    pub joined: Vec<JoinedRecord>,
    /// What was set aside.
    pub rejected: Vec<RejectedRecord>,
}

/// A record that was put together again, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedRecord {
    /// Where it begins.
    pub place: Place,
    /// Its bytes as they came.
    pub before: Vec<u8>,
    /// Its bytes now.
    pub after: Vec<u8>,
    /// The lines that its raw newlines end.
    pub breaks: Vec<u64>,
}

/// A record that was set aside, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Where it begins.
    pub place: Place,
    /// Why.
    pub reason: Reason,
    /// Its bytes as they came.
    pub bytes: Vec<u8>,
}

/// Mends a text from its first record to its last.
///
/// ```
/// use cxtract::csv::mend::{MendRules, all};
///
/// let rules =
///     MendRules { n_columns: 3, join: true, record_bytes: 1024, key_shape: None, header_first: true };
/// let outcome = all(b"id,note,agent\n1,two\nlines,Ann\n2,one,Bo\n", rules);
/// assert_eq!(outcome.output, b"id,note,agent\n1,\"two\nlines\",Ann\n2,one,Bo\n");
/// ```
pub fn all(text: &[u8], rules: MendRules) -> Outcome {
    let mut outcome = Outcome::default();
    let mut mender = Mender::new(rules, Place { record: 1, line: 1 });
    let Ok(()) = mender.push(text, &mut outcome);
    let Ok(()) = mender.finish(&mut outcome);
    outcome
}

impl Mended for Outcome {
    type Error = Infallible;

    fn good(&mut self, bytes: &[u8], n_records: u64) -> Result<(), Infallible> {
        self.output.extend_from_slice(bytes);
        self.n_records += n_records;
        Ok(())
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Infallible> {
        let Joined { place, before, after, line_ending, breaks } = *joined;
        self.output.extend_from_slice(after);
        self.output.extend_from_slice(line_ending);
        self.n_records += 1;
        self.joined.push(JoinedRecord {
            place,
            before: before.to_vec(),
            after: after.to_vec(),
            breaks: breaks.to_vec(),
        });
        Ok(())
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Infallible> {
        let Rejected { place, reason, bytes } = *rejected;
        self.rejected.push(RejectedRecord { place, reason, bytes: bytes.to_vec() });
        Ok(())
    }
}
