//! From a record that a stray quote has spoilt to the next one that is good beyond doubt.
//!
//! Each later line is tried as a beginning; the first that begins a clean good record ends the stretch, and what lies
//! before it is lost as one piece. A line costs little to try: a quote in it either closes on it, is out of place, or
//! reaches over lines that open none. A stretch that grows too long is cut, so that it needn't be kept.

use super::reader::{Piece, Scope};
use super::reading::{Dead, Ending, Reading};
use super::text::{Text, is_newline};
use super::{Reason, judge::Part};

/// A stretch, as far as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    start: u64,
    reason: Reason,
    /// Commas of its first line.
    front: u64,
    /// Where the record ends, and where the next one begins, if it does end.
    extent: Option<(u64, u64)>,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Looking for the end of a line.
    InLine(u64),
    /// Looking for the beginning of the next.
    BetweenLines(u64),
    /// Trying a line.
    Trying(Reading),
}

/// What came of reading on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Progress {
    /// More bytes are needed.
    More,
    /// This much is lost, and the stretch goes on behind it.
    Cut(Piece),
    /// This much is lost, and records go on behind it.
    Over(Piece),
}

impl Stretch {
    /// A stretch that begins with the record of `reading`, which ends at `extent` if it ends.
    pub(super) fn of(reading: &Reading, reason: Reason, extent: Option<(u64, u64)>) -> Self {
        Self {
            start: reading.start,
            reason,
            front: reading.first_line_commas(),
            extent,
            step: Step::InLine(reading.start),
        }
    }

    /// Reads on.
    pub(super) fn advance(&mut self, text: &Text, scope: &mut Scope, dead: Option<Dead>, is_last: bool) -> Progress {
        loop {
            match self.step {
                Step::InLine(pos) => {
                    let cut = self.longest(scope);
                    let upto = text.end().min(cut.saturating_add(1));
                    let found = text.slice(pos..upto).iter().position(|b| is_newline(*b));
                    let Some(at) = found.map(|n| pos + n as u64) else {
                        if upto > cut {
                            return Progress::Cut(self.cut_at(cut, scope));
                        }
                        self.step = Step::InLine(upto);
                        return if is_last { self.over(text, upto, scope) } else { Progress::More };
                    };
                    if let Some((_, next)) = self.extent.filter(|(end, _)| at >= *end) {
                        return self.over(text, next, scope);
                    }
                    self.step = Step::BetweenLines(at);
                }
                Step::BetweenLines(pos) => {
                    // Behind the line ending, even if that has two bytes.
                    let cut = self.longest(scope).saturating_add(2);
                    let at = text.skip_newlines(pos).min(cut);
                    self.step = Step::BetweenLines(at);
                    if at == cut {
                        return Progress::Cut(self.cut_lines(text, cut, scope, Step::BetweenLines(cut)));
                    }
                    if at == text.end() {
                        if is_last {
                            return self.over(text, at, scope);
                        }
                        return Progress::More;
                    }
                    self.step = Step::Trying(Reading::clean_at(at));
                }
                Step::Trying(mut reading) => {
                    let ending = reading.advance(text, scope.limits(), dead, is_last);
                    self.step = Step::Trying(reading);
                    match ending {
                        None => return Progress::More,
                        Some(Ending::Closed) if scope.is_clean(&reading, text) => {
                            return self.over(text, reading.start, scope);
                        }
                        Some(_) if reading.start - self.start > scope.record_bytes => {
                            let step = Step::InLine(reading.start);
                            return Progress::Cut(self.cut_lines(text, reading.start, scope, step));
                        }
                        Some(_) => self.step = Step::InLine(reading.start),
                    }
                }
            }
        }
    }

    /// Up to where a stretch may reach, whatever is in it.
    fn longest(&self, scope: &Scope) -> u64 {
        self.start.saturating_add(scope.record_bytes.max(1).saturating_mul(2))
    }

    fn over(&self, text: &Text, next: u64, scope: &Scope) -> Progress {
        let end = text.trim_newlines(self.start..next);
        Progress::Over(self.piece(end, next, scope))
    }

    fn cut_lines(&mut self, text: &Text, next: u64, scope: &Scope, step: Step) -> Piece {
        let end = text.trim_newlines(self.start..next);
        let piece = self.piece(end, next, scope);
        self.go_on(next, scope, step);
        piece
    }

    fn cut_at(&mut self, at: u64, scope: &Scope) -> Piece {
        let piece = self.piece(at, at, scope);
        self.go_on(at, scope, Step::InLine(at));
        piece
    }

    fn go_on(&mut self, start: u64, scope: &Scope, step: Step) {
        (self.start, self.front, self.extent, self.step) = (start, scope.full, None, step);
    }

    fn piece(&self, end: u64, next: u64, scope: &Scope) -> Piece {
        let part = Part { front: self.front, back: scope.full, damaged: true, may_start: true };
        Piece::damaged(self.start, end, next, part, self.reason)
    }
}
