//! The agenda while it is made.

use std::path::{Component, Path, PathBuf};

use crate::config::{WindowForm, WindowOverrides};
use crate::model::{Asked, ReportState, Timestamp, Window};

use super::conflict::{changes, form_of, moved};
use super::{
    Agenda, AgendaFault, Begun, Destination, Dropped, ExtractionKey, Origin, Question, Step, StoredExtraction, Task,
    shown,
};

pub struct Plan<'a> {
    question: &'a Question<'a>,
    hash: String,
    form: String,
    agenda: Agenda,
    conflicts: Vec<String>,
}

impl<'a> Plan<'a> {
    pub fn new(question: &'a Question<'a>) -> Self {
        Self {
            question,
            hash: question.report.extraction_hash(),
            form: form_of(question.report),
            agenda: Agenda::default(),
            conflicts: Vec::new(),
        }
    }

    pub fn made(mut self) -> Result<Agenda, AgendaFault> {
        match (self.question.asked, &self.question.report.window.form) {
            (Asked::Given(window), _) => self.add(window, Origin::Given),
            (Asked::Due, WindowForm::FromTo { .. }) => self.fixed()?,
            (Asked::Due, WindowForm::Last(_)) => self.last()?,
            (Asked::Due, WindowForm::Since { .. }) => self.since()?,
            (Asked::Configured(window), _) => self.configured(window)?,
        }
        if !self.conflicts.is_empty() {
            return Err(AgendaFault::Conflict(self.conflicts.join("\n")));
        }
        self.clear_the_way();
        Ok(self.agenda)
    }

    /// One window that follows from the configuration, perhaps as a piece of the whole.
    fn configured(&mut self, window: Window) -> Result<(), AgendaFault> {
        match &self.question.report.window.form {
            WindowForm::FromTo { .. } if self.present(None)? == Some(window) => return self.fixed(),
            WindowForm::Last(_) if self.question.fresh => self.drop_unfinished_but(window),
            WindowForm::Since { .. } if window.from > self.next(self.question.watermark)? => {
                let why = format!("what comes before {} is not complete yet; the next run asks for it", window.from);
                self.push(window, Origin::Configured, Step::Skip(why));
                return Ok(());
            }
            // It was planned before somebody else completed what it overlaps.
            WindowForm::Since { .. }
                if !self.question.fresh && window.from < self.next(self.question.watermark)? && !self.knows(window) =>
            {
                let why = format!("what begins at {} is complete already in another window", window.from);
                self.push(window, Origin::Configured, Step::Skip(why));
                return Ok(());
            }
            _ => {}
        }
        self.add(window, Origin::Configured);
        Ok(())
    }

    fn fixed(&mut self) -> Result<(), AgendaFault> {
        let Some(window) = self.present(None)? else { return Ok(()) };
        for other in self.unfinished().into_iter().filter(|other| other.key.window != window) {
            self.drop_it(other, &format!("the report's window is {} now", shown(window)));
        }
        self.add(window, Origin::Configured);
        Ok(())
    }

    fn last(&mut self) -> Result<(), AgendaFault> {
        let Some(present) = self.present(None)? else { return Ok(()) };
        if self.question.fresh {
            self.drop_unfinished_but(present);
        } else {
            for other in self.unfinished() {
                self.add(other.key.window, Origin::Configured);
            }
        }
        self.add(present, Origin::Configured);
        Ok(())
    }

    fn since(&mut self) -> Result<(), AgendaFault> {
        let mut mark = self.question.watermark;
        for other in self.unfinished() {
            let window = other.key.window;
            let next = self.next(mark)?;
            let repeats = mark.is_some_and(|mark| window.to <= mark);
            // Before anything is complete, an earlier beginning leaves no gap: it is finished as it was begun.
            let follows = window.from == next || mark.is_none() && window.from < next;
            if repeats || follows {
                self.add(window, Origin::Configured);
                mark = mark.max(Some(window.to));
            } else {
                self.drop_it(other, &format!("it does not follow on what is complete, which ends before {next}"));
            }
        }
        if self.question.fresh {
            if self.agenda.tasks.is_empty() {
                self.repeat_the_last()?;
            }
            return Ok(());
        }
        // A repetition that failed is repeated; it lies before all that the present window covers.
        if let Some(failed) = self.settled(|s| s.state == ReportState::Failed && self.ends_at_the_watermark(s)) {
            self.add(failed, Origin::Configured);
        }
        match self.present(mark)? {
            Some(window) => self.add(window, Origin::Configured),
            None if self.agenda.tasks.is_empty() => {
                let next = self.next(mark)?;
                self.remark(format!("there is nothing to ask for yet: the next window begins at {next}"));
            }
            None => {}
        }
        Ok(())
    }

    fn repeat_the_last(&mut self) -> Result<(), AgendaFault> {
        let next = self.next(self.question.watermark)?;
        let last = self
            .settled(|s| s.state == ReportState::Failed && s.key.window.from == next)
            .or_else(|| self.settled(|s| self.ends_at_the_watermark(s)));
        match last.map_or_else(|| self.present(self.question.watermark), |window| Ok(Some(window)))? {
            Some(window) => self.add(window, Origin::Configured),
            None => self.remark(format!("there is nothing to ask for yet: the first window begins at {next}")),
        }
        Ok(())
    }

    /// One window, by what is stored of it. Asked for twice, it is there once.
    fn add(&mut self, window: Window, origin: Origin) {
        if self.agenda.tasks.iter().any(|task| task.key.window == window) {
            return;
        }
        if self.question.fresh {
            return self.push(window, origin, Step::Start);
        }
        let stored = self.question.stored.iter().filter(|s| s.key.window == window);
        let (mine, others): (Vec<_>, Vec<_>) = stored.partition(|s| s.key.hash == self.hash);
        let n_conflicts = self.conflicts.len();
        for other in others.into_iter().filter(|other| other.is_unfinished()) {
            let mut changed = changes(&other.begun.form, &self.form);
            if changed.is_empty() {
                changed.push("a key that this version does not know".to_owned());
            }
            self.conflict(window, &changed);
        }
        let mine = mine.first().copied();
        if let Some(mine) = mine.filter(|mine| mine.is_unfinished()) {
            let output = self.output(window);
            if mine.begun.output != output {
                self.conflict(
                    window,
                    &[moved(&mine.begun.output, &output, &self.place(&self.question.report.output.dir))],
                );
            }
        }
        if self.conflicts.len() > n_conflicts {
            return;
        }
        match mine {
            Some(mine) if mine.is_unfinished() => self.agenda.tasks.push(Task {
                key: mine.key.clone(),
                begun: Begun { origin, ..mine.begun.clone() },
                step: Step::GoOn,
            }),
            Some(mine) if mine.state == ReportState::Complete => self.add_complete(mine, origin),
            _ => self.push(window, origin, Step::Start),
        }
    }

    fn add_complete(&mut self, mine: &StoredExtraction, origin: Origin) {
        let window = mine.key.window;
        let is_passed = self.question.watermark.is_some_and(|mark| window.to <= mark);
        if self.question.report.window.is_since() && origin == Origin::Configured && !is_passed {
            // Skipped, it would leave the watermark before it, and all that follows would wait for ever.
            return self.push(window, origin, Step::Start);
        }
        let step = match self.question.destination {
            Destination::Stdout => Step::Start,
            Destination::Host => Step::Skip(format!("already complete for {}", shown(window))),
            Destination::File => match self.no_more(mine) {
                None => Step::Skip(format!("already complete for {}", shown(window))),
                Some(reason) => {
                    self.remark(format!("{} was complete, but {reason}; it is extracted again", shown(window)));
                    Step::Start
                }
            },
        };
        self.push(window, origin, step);
    }

    /// Why the file of a complete extraction is not what it delivered, where it is not.
    fn no_more(&self, mine: &StoredExtraction) -> Option<String> {
        let output = self.output(mine.key.window);
        let manifest = mine.manifest.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let Some(bytes) = manifest.and_then(|manifest| manifest.pointer("/output/bytes")?.as_u64()) else {
            return Some("its manifest does not tell its size".to_owned());
        };
        match (self.question.size_of)(Path::new(&output)) {
            None => return Some(format!("{output} is not there")),
            Some(found) if found != bytes => return Some(format!("{output} has {found} bytes instead of {bytes}")),
            Some(_) => {}
        }
        // Of two that went to one file, it holds the later one's records, whatever its size is.
        let later = |other: &&StoredExtraction| {
            other.state == ReportState::Complete
                && other.key != mine.key
                && other.begun.output == output
                && other.updated_at > mine.updated_at
        };
        let later = self.question.stored.iter().find(later)?;
        Some(match later.key.window == mine.key.window {
            true => format!("{output} was written again with another configuration"),
            false => format!("{output} was written again for {}", shown(later.key.window)),
        })
    }

    fn push(&mut self, window: Window, origin: Origin, step: Step) {
        let key = ExtractionKey {
            report: self.question.report.name.clone(),
            tenant: self.question.report.tenant.clone(),
            window,
            hash: self.hash.clone(),
        };
        let begun = Begun { origin, form: self.form.clone(), output: self.output(window) };
        if step == Step::Start && origin == Origin::Configured {
            self.spare_the_last_file(window, &begun.output);
        }
        self.agenda.tasks.push(Task { key, begun, step });
    }

    /// A name knows no milliseconds: two windows of a `since` report within one second may come out with the same one.
    fn spare_the_last_file(&mut self, window: Window, output: &str) {
        let report = self.question.report;
        if !report.window.is_since() || !report.output.varies_by_window() {
            return;
        }
        let is_there = (self.question.size_of)(Path::new(output)).is_some();
        let tasks = &self.agenda.tasks;
        let is_another =
            |old: Window, place: &str| is_same_file(place, output) && (old.to < window.from || window.to < old.from);
        let holds_another = |s: &&StoredExtraction| {
            let delivers = s.state == ReportState::Complete && is_there || tasks.iter().any(|task| task.key == s.key);
            delivers && s.begun.origin == Origin::Configured && is_another(s.key.window, &s.begun.output)
        };
        if let Some(other) = self.question.stored.iter().find(holds_another) {
            self.conflicts.push(format!(
                "{}: the file for {} would be {output}, which is that of {}; run it again a second later, with both \
                 {{from}} and {{to}} in output.path, or move that file away",
                report.name,
                shown(window),
                shown(other.key.window),
            ));
        }
    }

    /// Gives up what stands in the way of the tasks.
    fn clear_the_way(&mut self) {
        let starts: Vec<_> = self.agenda.tasks.iter().filter(|task| task.step == Step::Start).cloned().collect();
        let skipped: Vec<_> =
            self.agenda.tasks.iter().filter(|task| matches!(task.step, Step::Skip(_))).cloned().collect();
        for stored in self.question.stored.iter().filter(|s| s.state != ReportState::Complete) {
            if let Some(again) = starts.iter().find(|task| task.key == stored.key) {
                if again.begun.output != stored.begun.output {
                    self.drop_it(stored, &format!("it is started again in {}", named(&again.begun.output)));
                }
                continue;
            }
            if self.agenda.tasks.iter().any(|task| task.key == stored.key) {
                continue;
            }
            let window = stored.key.window;
            if starts.iter().any(|task| task.key.window == window) {
                self.drop_it(stored, "it is started again with the present configuration");
            } else if stored.state == ReportState::Failed && skipped.iter().any(|task| task.key.window == window) {
                self.drop_it(stored, "its window is complete with the present configuration");
            } else if let Some(task) = starts.iter().find(|task| is_same_file(&task.begun.output, &stored.begun.output))
            {
                let why = format!("{} is to be written for {}", named(&task.begun.output), shown(task.key.window));
                self.drop_it(stored, &why);
            } else if let Some(task) = starts.iter().find(|task| self.covers(task, stored)) {
                self.drop_it(stored, &format!("{} covers it", shown(task.key.window)));
            }
        }
        let goes_on = |output: &str| {
            let mut on = self.agenda.tasks.iter().filter(|task| task.step == Step::GoOn);
            on.any(|task| is_same_file(&task.begun.output, output))
        };
        let foreign: Vec<bool> = self.agenda.drops.iter().map(|dropped| goes_on(&dropped.output)).collect();
        for (dropped, _) in self.agenda.drops.iter_mut().zip(foreign).filter(|(_, foreign)| *foreign) {
            dropped.output.clear();
        }
    }

    /// Whether both belong to the one row of windows of a `since` report, and have time in common.
    fn covers(&self, task: &Task, stored: &StoredExtraction) -> bool {
        let (new, old) = (task.key.window, stored.key.window);
        self.question.report.window.is_since()
            && task.begun.origin == Origin::Configured
            && stored.begun.origin == Origin::Configured
            && old.from <= new.to
            && new.from <= old.to
    }

    fn drop_unfinished_but(&mut self, window: Window) {
        for other in self.unfinished().into_iter().filter(|other| other.key.window != window) {
            self.drop_it(other, "everything is to start again");
        }
    }

    fn drop_it(&mut self, stored: &StoredExtraction, why: &str) {
        if self.agenda.drops.iter().any(|dropped| dropped.key == stored.key) {
            return;
        }
        let state = if stored.is_unfinished() { "unfinished" } else { "failed" };
        self.remark(format!("the {state} extraction of {} is dropped: {why}", shown(stored.key.window)));
        let output = if is_file(&stored.begun.output) { stored.begun.output.clone() } else { String::new() };
        self.agenda.drops.push(Dropped {
            key: stored.key.clone(),
            output,
            delivery: stored.delivery.clone(),
            why: why.to_owned(),
        });
    }

    fn conflict(&mut self, window: Window, changed: &[String]) {
        self.conflicts.push(format!(
            "{}: an extraction of {} is unfinished, and the configuration has changed since: {}; change it back to go \
             on with it, or start again with --fresh",
            self.question.report.name,
            shown(window),
            changed.join("; "),
        ));
    }

    fn remark(&mut self, words: String) {
        self.agenda.remarks.push(format!("{}: {words}", self.question.report.name));
    }

    /// What is unfinished of the configured windows, the oldest first.
    fn unfinished(&self) -> Vec<&'a StoredExtraction> {
        let stored = self.question.stored.iter();
        let mut all: Vec<_> = stored.filter(|s| s.is_unfinished() && s.begun.origin == Origin::Configured).collect();
        all.sort_by_key(|s| (s.key.window.from, s.key.window.to));
        all
    }

    /// Whether that window follows from the configuration of some run before.
    fn knows(&self, window: Window) -> bool {
        self.question.stored.iter().any(|s| s.key.window == window && s.begun.origin == Origin::Configured)
    }

    /// The window of the latest of the configured ones that have ended, of those that are wanted.
    fn settled(&self, is_wanted: impl Fn(&StoredExtraction) -> bool) -> Option<Window> {
        let stored = self.question.stored.iter();
        stored
            .filter(|s| !s.is_unfinished() && s.begun.origin == Origin::Configured && is_wanted(s))
            .max_by_key(|s| s.updated_at)
            .map(|s| s.key.window)
    }

    fn ends_at_the_watermark(&self, stored: &StoredExtraction) -> bool {
        Some(stored.key.window.to) == self.question.watermark
    }

    /// The configured window, if nothing is complete beyond `mark`.
    fn present(&self, mark: Option<Timestamp>) -> Result<Option<Window>, AgendaFault> {
        let report = self.question.report;
        report.resolve_window(self.question.now, mark, &WindowOverrides::default()).map_err(AgendaFault::Window)
    }

    /// Where a `since` report goes on.
    fn next(&self, mark: Option<Timestamp>) -> Result<Timestamp, AgendaFault> {
        self.question.report.begins(self.question.now, mark).map_err(AgendaFault::Window)
    }

    /// The output for that window as it is stored: the same for one file, wherever the program was started.
    fn output(&self, window: Window) -> String {
        match self.question.destination {
            Destination::Host => String::new(),
            Destination::Stdout => "-".to_owned(),
            Destination::File => self.place(&self.question.report.output_file(&window).unwrap_or_default()),
        }
    }

    fn place(&self, path: &Path) -> String {
        let path = self.question.here.join(path);
        let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        path.to_string_lossy().into_owned()
    }
}

fn is_file(output: &str) -> bool {
    !matches!(output, "" | "-")
}

fn is_same_file(one: &str, other: &str) -> bool {
    is_file(one) && one == other
}

fn named(output: &str) -> &str {
    if is_file(output) { output } else { "another place" }
}
