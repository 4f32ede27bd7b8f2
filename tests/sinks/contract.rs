//! What every sink must do. A new sink is done when [`check`] passes for it.

use std::sync::Arc;

use bytes::Bytes;
use cxtract::model::Position;
use cxtract::sink::{Sink, SinkError};
use parking_lot::Mutex;

use super::support::{blocks, joined, manifest, position_after, sealed};

/// One destination, and what its outside sees.
pub(crate) trait Subject {
    /// Another value for the same destination, as a later run would make it.
    fn sink(&self) -> Box<dyn Sink>;

    /// What can be seen at the destination now.
    fn shown(&self) -> Option<Vec<u8>>;

    /// Whether it can go on from a position.
    fn goes_on(&self) -> bool {
        true
    }

    /// Whether nothing is to be seen before the end.
    fn hides_the_unfinished(&self) -> bool {
        true
    }

    /// Whether it says size and SHA-256 itself.
    fn keeps_account(&self) -> bool {
        true
    }
}

pub(crate) fn check<S: Subject>(new: impl Fn() -> S) {
    everything_written_is_shown_once_finished(&new());
    an_empty_output_is_an_output(&new());
    beginning_anew_drops_what_was_there(&new());
    a_finished_output_is_replaced_by_the_next_one(&new());
    commits_are_answered_once_each_and_in_order(&new());
    if new().goes_on() {
        for n_committed in [1, 2, 6, 9, 13] {
            a_later_run_goes_on_from_a_position(&new(), n_committed);
        }
        a_position_of_other_bytes_is_refused_as_lost(&new());
    } else {
        a_position_is_refused_as_lost(&new());
    }
}

fn write_all(sink: &mut dyn Sink, blocks: &[Bytes]) {
    for block in blocks {
        sink.write(block).unwrap();
    }
}

fn finish(sink: &mut dyn Sink, subject: &impl Subject, all: &[Bytes]) {
    sink.commit(&position_after(all)).unwrap();
    let due = sealed(all);
    assert_eq!(sink.seal().unwrap(), subject.keeps_account().then(|| due.clone()));
    sink.finish(&manifest(&due)).unwrap();
    assert!(subject.shown().unwrap() == joined(all), "other bytes came out than went in");
}

fn everything_written_is_shown_once_finished(subject: &impl Subject) {
    let (mut sink, all) = (subject.sink(), blocks());
    sink.begin(None).unwrap();
    write_all(&mut *sink, &all);
    if subject.hides_the_unfinished() {
        assert_eq!(subject.shown(), None);
    }
    finish(&mut *sink, subject, &all);
}

fn an_empty_output_is_an_output(subject: &impl Subject) {
    let mut sink = subject.sink();
    sink.begin(None).unwrap();
    finish(&mut *sink, subject, &[]);
}

fn beginning_anew_drops_what_was_there(subject: &impl Subject) {
    let all = blocks();
    let mut sink = subject.sink();
    sink.begin(None).unwrap();
    write_all(&mut *sink, &all[..9]);
    sink.commit(&position_after(&all[..9])).unwrap();
    sink.abort();
    let mut sink = subject.sink();
    sink.begin(None).unwrap();
    write_all(&mut *sink, &all[5..]);
    finish(&mut *sink, subject, &all[5..]);
}

fn a_finished_output_is_replaced_by_the_next_one(subject: &impl Subject) {
    let all = blocks();
    for part in [&all[..8], &all[3..]] {
        let mut sink = subject.sink();
        sink.begin(None).unwrap();
        write_all(&mut *sink, part);
        finish(&mut *sink, subject, part);
    }
}

fn commits_are_answered_once_each_and_in_order(subject: &impl Subject) {
    let (mut sink, all) = (subject.sink(), blocks());
    let answers = Arc::new(Mutex::new(Vec::new()));
    sink.begin(None).unwrap();
    for n in 1..=all.len() {
        sink.write(&all[n - 1]).unwrap();
        let answers = answers.clone();
        let note = move |result: Result<(), SinkError>| answers.lock().push((n, result.is_ok()));
        sink.commit_later(&position_after(&all[..n]), Box::new(note));
    }
    sink.commit(&position_after(&all)).unwrap();
    let due: Vec<_> = (1..=all.len()).map(|n| (n, true)).collect();
    assert_eq!(*answers.lock(), due);
    finish(&mut *sink, subject, &all);
}

fn a_later_run_goes_on_from_a_position(subject: &impl Subject, n_committed: usize) {
    let all = blocks();
    let position = position_after(&all[..n_committed]);
    let mut sink = subject.sink();
    sink.begin(None).unwrap();
    write_all(&mut *sink, &all[..n_committed]);
    sink.commit(&position).unwrap();
    write_all(&mut *sink, &all[n_committed..]);
    sink.abort();
    drop(sink);
    let mut sink = subject.sink();
    sink.begin(Some(&position)).unwrap();
    write_all(&mut *sink, &all[n_committed..]);
    finish(&mut *sink, subject, &all);
}

fn a_position_of_other_bytes_is_refused_as_lost(subject: &impl Subject) {
    let all = blocks();
    let mut sink = subject.sink();
    sink.begin(None).unwrap();
    write_all(&mut *sink, &all[..6]);
    sink.commit(&position_after(&all[..6])).unwrap();
    drop(sink);
    let mut other = position_after(&all[..6]);
    other.output.crc32 ^= 1;
    let beyond = position_after(&all);
    for position in [other, beyond] {
        let error = subject.sink().begin(Some(&position)).unwrap_err();
        assert!(matches!(error, SinkError::Lost { .. }), "{error}");
    }
}

fn a_position_is_refused_as_lost(subject: &impl Subject) {
    let position: Position = position_after(&blocks()[..6]);
    let error = subject.sink().begin(Some(&position)).unwrap_err();
    assert!(matches!(error, SinkError::Lost { .. }), "{error}");
}
