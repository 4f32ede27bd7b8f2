//! Walks a value tree with typed getters and collects every problem on the way.
//!
//! A [`Section`] remembers which keys it was asked for; when it is dropped, every other key in it is reported as
//! unknown. So the readers themselves are the list of keys, and no second list can fall out of step with them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::kind::{Mismatch, Read};
use super::problem::{Problem, Ranked, Warning, nearest, printable};
use super::tree::{Node, Origin, Tree};

/// What is found where nothing may be shown.
const HIDDEN: &str = "a value that is not shown";

/// Collects what the readers have to say.
pub(super) struct Log {
    pub problems: RefCell<Vec<Ranked>>,
    pub warnings: RefCell<Vec<Warning>>,
    /// Every key that was asked for, names of tenants and reports replaced by `*`.
    pub keys: RefCell<BTreeSet<String>>,
    /// Where relative paths start.
    pub folder: PathBuf,
    /// What a problem names where a key is missing altogether.
    pub source: String,
}

impl Log {
    pub(super) fn new(source: &str, folder: &Path) -> Self {
        Self {
            problems: RefCell::default(),
            warnings: RefCell::default(),
            keys: RefCell::default(),
            folder: folder.to_owned(),
            source: source.to_owned(),
        }
    }

    pub(super) fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(Warning(text));
    }
}

/// A map of the tree, or the lack of one: then every key has its default.
pub(super) struct Section<'r> {
    pub log: &'r Log,
    node: Option<&'r Node>,
    origin: Option<&'r Origin>,
    path: String,
    pattern: String,
    /// Values in here are never shown; under a secret not even keys are.
    hidden: bool,
    known: RefCell<Vec<&'static str>>,
}

impl<'r> Section<'r> {
    pub(super) fn root(log: &'r Log, node: &'r Node) -> Self {
        let section = Self::at(log, Some(node), None, String::new(), String::new());
        if !matches!(node.tree, Tree::Map(_)) && !node.is_null() {
            section.complain(
                "",
                &node.origin,
                node.shown(),
                Mismatch::new("a map of sections", "begin with `tenants:`"),
            );
        }
        section
    }

    fn at(log: &'r Log, node: Option<&'r Node>, outer: Option<&'r Origin>, path: String, pattern: String) -> Self {
        let origin = node.map(|n| &n.origin).or(outer);
        Self { log, node, origin, path, pattern, hidden: false, known: RefCell::default() }
    }

    /// The same section, its values never shown.
    pub(super) fn hiding(mut self) -> Self {
        self.hidden = true;
        self
    }

    fn join(path: &str, key: &str) -> String {
        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
    }

    /// The full key of one of its keys.
    pub(super) fn key(&self, key: &str) -> String {
        Self::join(&self.path, key)
    }

    fn ask(&self, key: &'static str) -> Option<&'r Node> {
        self.known.borrow_mut().push(key);
        self.log.keys.borrow_mut().insert(Self::join(&self.pattern, key));
        self.node?.get(key)
    }

    /// Whether the key is there, be it null.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.ask(key).is_some()
    }

    /// The node of the key.
    pub(super) fn raw(&self, key: &'static str) -> Option<&'r Node> {
        self.ask(key)
    }

    fn complain(&self, key: &str, origin: &Origin, found: String, mismatch: Mismatch) {
        let key = if key.is_empty() { self.path.clone() } else { self.key(key) };
        let problem = Problem::new(origin.to_string(), key, found, mismatch.expected, mismatch.remedy);
        self.log.problems.borrow_mut().push(problem.ranked(origin.rank));
    }

    /// Reports a problem of this key that no reader of a single value can see.
    pub(super) fn problem(&self, key: &str, found: impl Into<String>, expected: &str, remedy: &str) {
        let origin = self.node.and_then(|n| n.get(key)).map(|n| &n.origin).or(self.origin);
        let full = if key.is_empty() { self.path.clone() } else { self.key(key) };
        let source = origin.map_or_else(|| self.log.source.clone(), ToString::to_string);
        let rank = origin.map_or(u64::MAX, |o| o.rank);
        self.log.problems.borrow_mut().push(Problem::new(source, full, found, expected, remedy).ranked(rank));
    }

    /// The key's value; none where it is missing or wrong (then a problem is recorded).
    pub(super) fn get<T>(&self, key: &'static str, read: impl FnOnce(&Node) -> Read<T>) -> Option<T> {
        let node = self.ask(key)?;
        match read(node) {
            Ok(value) => Some(value),
            Err(mismatch) => {
                let found = if self.hidden || mismatch.hide { HIDDEN.to_owned() } else { node.shown() };
                self.complain(key, &node.origin, found, mismatch);
                None
            }
        }
    }

    /// The key's value or its default.
    pub(super) fn or<T>(&self, key: &'static str, read: impl FnOnce(&Node) -> Read<T>, default: T) -> T {
        self.get(key, read).unwrap_or(default)
    }

    /// As `get`, where null means that there is none.
    pub(super) fn optional<T>(&self, key: &'static str, read: impl FnOnce(&Node) -> Read<T>) -> Option<T> {
        if self.ask(key)?.is_null() { None } else { self.get(key, read) }
    }

    /// As `get`, where the key has to be there.
    pub(super) fn need<T>(&self, key: &'static str, read: impl FnOnce(&Node) -> Read<T>, hint: &str) -> Option<T> {
        if !self.has(key) {
            self.problem(key, "nothing", hint, "add the key");
        }
        self.get(key, read)
    }

    /// The section under that key. Missing or null: one in which every key has its default.
    pub(super) fn section(&self, key: &'static str) -> Self {
        let node = self.ask(key).filter(|n| !n.is_null());
        if let Some(node) = node
            && !matches!(node.tree, Tree::Map(_))
        {
            // Text where a section is due may well be a secret in the wrong place.
            let found = if self.hidden || key == "auth" { HIDDEN.to_owned() } else { node.shown() };
            self.complain(key, &node.origin, found, Mismatch::new("a map", "indent the section's keys below it"));
        }
        let mut section = Self::at(self.log, node, self.origin, self.key(key), Self::join(&self.pattern, key));
        section.hidden = self.hidden;
        section
    }

    /// The sections under names of the user's choice, in the order of the file. Names are checked; each has its
    /// section.
    pub(super) fn named(&self, key: &'static str) -> Vec<(String, Self)> {
        let holder = self.section(key);
        let mut sections: Vec<(String, Self)> = Vec::new();
        let Some(Node { tree: Tree::Map(entries), .. }) = holder.node else { return sections };
        for (name, node) in entries {
            let twin = sections.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(other, _)| other);
            if let Some(twin) = twin {
                let found = format!("the name a second time, first as {}", printable(twin));
                let expected = "names that differ in more than the case of their letters";
                holder.complain(name, &node.origin, found, Mismatch::new(expected, "rename one of the two"));
            }
            if !is_name(name) {
                let expected = "a name of 1 to 64 letters, digits, _ and -, the first a letter or digit";
                let found = format!("the name {}", printable(name));
                holder.complain(&printable(name), &node.origin, found, Mismatch::new(expected, "rename it"));
            }
            if !matches!(node.tree, Tree::Map(_)) && !node.is_null() {
                let mismatch = Mismatch::new("a map", "indent the keys below the name");
                holder.complain(name, &node.origin, HIDDEN.to_owned(), mismatch);
            }
            let pattern = Self::join(&holder.pattern, "*");
            let path = holder.key(&printable(name));
            sections.push((name.clone(), Self::at(self.log, Some(node), None, path, pattern)));
        }
        holder.forget();
        sections
    }

    /// The maps of a list, one section each.
    pub(super) fn items(&self, key: &'static str) -> Vec<Self> {
        let Some(node) = self.ask(key) else { return Vec::new() };
        let Tree::List(items) = &node.tree else {
            let mismatch = Mismatch::new("a list", "write it in brackets, or as lines that begin with `- `");
            self.complain(key, &node.origin, node.shown(), mismatch);
            return Vec::new();
        };
        let pattern = Self::join(&self.pattern, key);
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", self.key(key));
            let section = Self::at(self.log, Some(item), None, path, pattern.clone());
            if !matches!(item.tree, Tree::Map(_)) {
                section.complain("", &item.origin, item.shown(), Mismatch::new("a map", "write it as {key: value}"));
            }
            sections.push(section);
        }
        sections
    }

    /// Counts every key as known: they are names, or were reported as a whole.
    fn forget(mut self) {
        self.node = None;
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let Some(Node { tree: Tree::Map(entries), .. }) = self.node else { return };
        let known = self.known.take();
        for (key, node) in entries {
            if known.contains(&key.as_str()) {
                continue;
            }
            let mut choices = known.clone();
            choices.dedup();
            let remedy = match nearest(key, choices.iter().copied()) {
                Some(near) => format!("did you mean {near}? if not, remove the key"),
                None => "remove the key".to_owned(),
            };
            let expected = format!("one of {}", choices.join(", "));
            if self.hidden {
                let found = "an unknown key that is not shown".to_owned();
                self.complain("", &node.origin, found, Mismatch::new(expected, "correct or remove the key"));
            } else {
                // The value stays out: nobody knows yet what it was meant for.
                self.complain(
                    &printable(key),
                    &node.origin,
                    "an unknown key".to_owned(),
                    Mismatch::new(expected, remedy),
                );
            }
        }
    }
}

/// Whether the text may name a tenant or a report.
pub(super) fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::super::{kind, tree};
    use super::*;

    fn problems_of(text: &str, read: impl FnOnce(&Section<'_>)) -> Vec<Problem> {
        let mut problems = Vec::new();
        let node = tree::parse(text, &"test.yaml".into(), 0, &mut problems);
        let log = Log::new("test.yaml", Path::new(""));
        read(&Section::root(&log, &node));
        problems.extend(log.problems.into_inner());
        problems.into_iter().map(|p| p.problem).collect()
    }

    #[test]
    fn a_key_that_nobody_asked_for_is_unknown_and_its_value_is_not_shown() {
        let problems = problems_of("thread: canary", |root| {
            root.get("threads", kind::count(0..=64));
        });
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].key, "thread");
        assert!(problems[0].remedy.contains("threads"));
        assert!(!problems[0].to_string().contains("canary"));
    }

    #[test]
    fn neither_keys_nor_values_of_a_hidden_section_are_shown() {
        let problems = problems_of("secret: {canary1: canary2, env: 5}", |root| {
            root.section("secret").hiding().get("env", kind::text);
        });
        assert_eq!(problems.len(), 2);
        assert!(!problems.iter().any(|p| p.to_string().contains("canary")), "{problems:?}");
    }

    #[test]
    fn names_that_differ_in_case_only_are_told() {
        let problems = problems_of("tenants: {Acme: {}, acme: {}, -x: {}}", |root| {
            root.named("tenants");
        });
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(problems[0].key, "tenants.acme");
    }
}
