//! What is wrong with a file: a list with an end, whatever the file holds.

use serde::{Serialize, Serializer};

/// More faults of one file are counted and not listed.
const MOST_LISTED: usize = 1_000;

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line on which it stands, from 1; none where it is about the file as a whole.
    pub line: Option<u64>,
    /// The record in which it stands, from 1, the header counted; none where it is about the file as a whole.
    pub record: Option<u64>,
    /// What sort of fault it is, in one word for programs.
    pub kind: &'static str,
    /// What is wrong, for people. Text from the file may stand in it.
    pub message: String,
}

impl Fault {
    /// A fault of the file as a whole.
    pub(super) fn of_file(kind: &'static str, message: impl Into<String>) -> Self {
        Self { line: None, record: None, kind, message: message.into() }
    }
}

/// The faults of a file, in its order: the first ones, and how many there are.
///
/// It is written as a list, the last entry of which says how many more there are, where there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    listed: Vec<Fault>,
    n: u64,
}

impl Faults {
    /// Adds one.
    pub(super) fn push(&mut self, fault: Fault) {
        self.n += 1;
        if self.listed.len() < MOST_LISTED {
            self.listed.push(fault);
        }
    }

    /// The first ones.
    pub fn listed(&self) -> &[Fault] {
        &self.listed
    }

    /// How many there are, listed or not.
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }
}

impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let n_more = self.n - self.listed.len() as u64;
        let more = (n_more > 0).then(|| Fault::of_file("more", format!("{n_more} more faults are not listed")));
        serializer.collect_seq(self.listed.iter().chain(&more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_faults_ends_and_says_how_many_more_there_are() {
        let mut faults = Faults::default();
        for line in 1..=2_500 {
            let message = "2 fields where the header has 3".to_owned();
            faults.push(Fault { line: Some(line), record: Some(line), kind: "ragged", message });
        }
        let json = serde_json::to_value(&faults).unwrap();
        let list = json.as_array().unwrap();
        assert_eq!((faults.len(), list.len()), (2_500, 1_001));
        assert_eq!((&list[999]["line"], &list[999]["kind"]), (&1_000.into(), &"ragged".into()));
        assert_eq!((&list[1_000]["kind"], &list[1_000]["line"]), (&"more".into(), &serde_json::Value::Null));
        assert!(list[1_000]["message"].as_str().unwrap().starts_with("1500 more"));
    }

    #[test]
    fn a_list_that_is_whole_has_no_last_word() {
        let mut faults = Faults::default();
        assert_eq!(serde_json::to_string(&faults).unwrap(), "[]");
        faults.push(Fault::of_file("missing", "there is no such file"));
        assert_eq!(
            serde_json::to_string(&faults).unwrap(),
            r#"[{"line":null,"record":null,"kind":"missing","message":"there is no such file"}]"#
        );
    }
}
