//! File, environment and `--set`, laid over one another by the `config` crate.
//!
//! Each layer is a source of the crate that lays its own tree over what is there. The crate's own sources would turn
//! keys into small letters and numbers into other numbers, and they can't take the other forms of a choice away.
//! So scalars travel as tagged text, and the whole tree as the one item of a list below one root key: what is in a
//! list the crate passes on untouched, while of tables it would forget where they came from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{ConfigError, Map, Source, Value, ValueKind};

use super::problem::{Problem, Ranked};
use super::tree::{self, Node, Origin, Scalar, Tree};

/// Where settings come from, weakest first.
#[derive(Clone, Default)]
pub struct Sources {
    /// The configuration file. Relative paths in it start at its folder.
    pub file: PathBuf,
    /// The file's text, where it is not to be read from `file`.
    pub text: Option<String>,
    /// The process's environment: overrides, secrets and the default proxy are looked up here.
    pub environment: Vec<(String, String)>,
    /// The arguments of `--set`, each `KEY=VALUE`.
    pub overrides: Vec<String>,
}

impl Sources {
    /// Only this file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { file: path.into(), ..Self::default() }
    }

    /// This text, as if it stood in the file of that name.
    pub fn text(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: Some(text.into()), ..Self::default() }
    }

    /// With the environment of this process; variables that are not UTF-8 are left out.
    #[must_use]
    pub fn with_process_environment(mut self) -> Self {
        self.environment =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        self
    }

    /// The folder where relative paths start.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }
}

impl fmt::Debug for Sources {
    /// Environment and overrides may hold secrets: only their number is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("environment", &self.environment.len())
            .field("overrides", &self.overrides.len())
            .finish_non_exhaustive()
    }
}

/// What marks a variable as an override.
const PREFIX: &str = "CXTRACT__";
/// The one key of the crate's root table.
const ROOT: &str = "settings";
/// Ranks of overrides come after those of any file.
const OVERRIDE_RANKS: u64 = 1 << 40;

/// Places where one of several forms is chosen: a path (`*` is any name) and the keys of each form.
const CHOICES: &[(&[&str], &[&[&str]])] = &[
    (&["tenants", "*"], &[&["base_url"], &["mock"]]),
    (&["tenants", "*", "mock"], &[&["plan"], &["total_rows", "seed", "requests_per_second", "latency", "ready_after"]]),
    (&["tenants", "*", "auth", "client_id"], &[&["env"], &["file"]]),
    (&["tenants", "*", "auth", "client_secret"], &[&["env"], &["file"]]),
    (&["reports", "*", "window"], &[&["from", "to"], &["last"], &["since", "lag"]]),
];

/// Reads all layers into one tree. What can't be read is told in `problems`.
pub(super) fn read(sources: &Sources, problems: &mut Vec<Ranked>) -> Node {
    let name: Arc<str> = sources.file.to_string_lossy().into();
    let file = match &sources.text {
        Some(text) => tree::parse(text, &name, 0, problems),
        None => match std::fs::read_to_string(&sources.file) {
            Ok(text) => tree::parse(&text, &name, 0, problems),
            Err(error) => {
                let expected = "a readable file of UTF-8 text";
                let remedy = "name the file with -c, or write one with `cxtract init`";
                problems.push(Problem::new(name.as_ref(), "", error.to_string(), expected, remedy).ranked(0));
                Node { tree: Tree::Map(Vec::new()), origin: Origin { source: name.clone(), line: None, rank: 0 } }
            }
        },
    };
    let root_origin = file.origin.clone();
    if !matches!(file.tree, Tree::Map(_)) {
        return file;
    }
    let mut rank = OVERRIDE_RANKS;
    let environment = from_environment(&sources.environment, &mut rank, problems);
    let arguments = from_arguments(&sources.overrides, &mut rank, problems);
    let merged = config::Config::builder()
        .add_source(Layer(file))
        .add_source(Layer(environment))
        .add_source(Layer(arguments))
        .build();
    match merged.map(|c| c.cache.kind) {
        Ok(ValueKind::Table(mut table)) => table.remove(ROOT).and_then(unwrap).map(from_value),
        _ => None,
    }
    .unwrap_or(Node { tree: Tree::Map(Vec::new()), origin: root_origin })
}

fn from_environment(variables: &[(String, String)], rank: &mut u64, problems: &mut Vec<Ranked>) -> Node {
    let mut layer = Node { tree: Tree::Map(Vec::new()), origin: origin("the environment".into(), rank) };
    let mut variables: Vec<_> = variables
        .iter()
        .filter(|(name, _)| name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX)))
        .collect();
    variables.sort();
    for (name, value) in variables {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        let origin = origin(format!("environment variable {name}").into(), rank);
        if path.iter().any(String::is_empty) {
            let remedy = "write it as CXTRACT__SECTION__KEY, each separated by two underscores";
            let problem = Problem::new(origin.to_string(), "", "an empty part in the name", "a key", remedy);
            problems.push(problem.last());
            continue;
        }
        let node = read_value(&path, value, &origin, problems);
        if !insert(&mut layer, &path, node, false) {
            let (found, remedy) = ("a second setting of the same key", "keep one of the variables");
            let problem = Problem::new(origin.to_string(), path.join("."), found, "each key once", remedy);
            problems.push(problem.last());
        }
    }
    layer
}

fn from_arguments(arguments: &[String], rank: &mut u64, problems: &mut Vec<Ranked>) -> Node {
    let mut layer = Node { tree: Tree::Map(Vec::new()), origin: origin("--set".into(), rank) };
    for argument in arguments {
        let origin = origin("--set".into(), rank);
        let expected = "KEY=VALUE, such as tenants.acme.max_in_flight=4";
        let Some((key, value)) = argument.split_once('=') else {
            // The argument may be a secret with its `=` forgotten.
            let problem = Problem::new("--set", "", "an argument without =", expected, "put = between key and value");
            problems.push(problem.last());
            continue;
        };
        let path: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            let problem = Problem::new("--set", key, "an empty part in the key", expected, "write the whole key");
            problems.push(problem.last());
            continue;
        }
        let node = read_value(&path, value, &origin, problems);
        insert(&mut layer, &path, node, true);
    }
    layer
}

fn origin(source: Arc<str>, rank: &mut u64) -> Origin {
    *rank += 1;
    Origin { source, line: None, rank: *rank }
}

/// Reads an override's value: a list, map or quoted text as YAML has them, everything else as one plain scalar, so
/// that a secret with `#` or `: ` in it is neither cut nor taken apart.
fn read_value(path: &[String], value: &str, origin: &Origin, problems: &mut Vec<Ranked>) -> Node {
    let value = value.trim();
    if value.starts_with(['{', '[', '"', '\'']) {
        let mut faults = Vec::new();
        let mut node = tree::parse(value, &origin.source, origin.rank, &mut faults);
        settle(&mut node, origin);
        problems.extend(faults.into_iter().map(|fault| {
            let found = if path.iter().any(|p| p.eq_ignore_ascii_case("auth")) {
                "a value that can't be read and is not shown".to_owned()
            } else {
                fault.problem.found
            };
            Problem::new(origin.to_string(), path.join("."), found, fault.problem.expected, fault.problem.remedy)
                .ranked(origin.rank)
        }));
        return node;
    }
    Node { tree: Tree::Scalar(Scalar { text: value.to_owned(), quoted: false }), origin: origin.clone() }
}

/// An override has no lines.
fn settle(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.tree {
        Tree::Scalar(_) => {}
        Tree::List(items) => items.iter_mut().for_each(|item| settle(item, origin)),
        Tree::Map(entries) => entries.iter_mut().for_each(|(_, item)| settle(item, origin)),
    }
}

/// Puts a node at its path in a layer. Says false where something stands there and `replace` forbids to replace it.
fn insert(layer: &mut Node, path: &[String], node: Node, replace: bool) -> bool {
    let Some((key, rest)) = path.split_first() else {
        if let (Tree::Map(old), Tree::Map(new)) = (&mut layer.tree, &node.tree) {
            let mut whole = true;
            for (key, value) in new {
                match old.iter_mut().find(|(k, _)| k == key) {
                    Some((_, place)) => whole &= insert(place, &[], value.clone(), replace),
                    None => old.push((key.clone(), value.clone())),
                }
            }
            return whole;
        }
        if replace {
            *layer = node;
        }
        return replace;
    };
    if !matches!(layer.tree, Tree::Map(_)) {
        if !replace {
            return false;
        }
        *layer = Node { tree: Tree::Map(Vec::new()), origin: node.origin.clone() };
    }
    let Tree::Map(entries) = &mut layer.tree else { return false };
    if let Some((_, place)) = entries.iter_mut().find(|(k, _)| k.eq_ignore_ascii_case(key)) {
        return insert(place, rest, node, replace);
    }
    let mut fresh = Node { tree: Tree::Map(Vec::new()), origin: node.origin.clone() };
    let whole = if rest.is_empty() {
        fresh = node;
        true
    } else {
        insert(&mut fresh, rest, node, replace)
    };
    entries.push((key.clone(), fresh));
    whole
}

/// One layer as a source of the `config` crate.
#[derive(Clone)]
struct Layer(Node);

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer")
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(Map::from_iter([(ROOT.to_owned(), wrap(&self.0))]))
    }

    fn collect_to(&self, cache: &mut Value) -> Result<(), ConfigError> {
        if let ValueKind::Table(table) = &mut cache.kind {
            match table.get_mut(ROOT).map(|root| &mut root.kind) {
                Some(ValueKind::Array(items)) => {
                    items.iter_mut().for_each(|below| lay_over(below, &self.0, &mut Vec::new()));
                }
                _ => {
                    table.insert(ROOT.to_owned(), wrap(&self.0));
                }
            }
        }
        Ok(())
    }
}

fn wrap(tree: &Node) -> Value {
    Value::new(None, ValueKind::Array(vec![to_value(tree)]))
}

fn unwrap(root: Value) -> Option<Value> {
    match root.kind {
        ValueKind::Array(mut items) => items.pop(),
        _ => None,
    }
}

/// Maps are laid over one another key by key, letter case aside; everything else replaces what was there.
fn lay_over(below: &mut Value, over: &Node, path: &mut Vec<String>) {
    let (ValueKind::Table(table), Tree::Map(entries)) = (&mut below.kind, &over.tree) else {
        *below = to_value(over);
        return;
    };
    drop_other_forms(table, entries, path);
    for (key, node) in entries {
        let existing = if table.contains_key(key) {
            Some(key.clone())
        } else {
            table.keys().find(|k| k.eq_ignore_ascii_case(key)).cloned()
        };
        let name = existing.unwrap_or_else(|| key.clone());
        path.push(name.clone());
        match table.get_mut(&name) {
            Some(value) => lay_over(value, node, path),
            None => {
                table.insert(name, to_value(node));
            }
        }
        path.pop();
    }
}

/// Where a layer chooses one form, the other forms of the layers below go.
fn drop_other_forms(table: &mut Map<String, Value>, over: &[(String, Node)], path: &[String]) {
    let matches = |pattern: &[&str]| {
        pattern.len() == path.len()
            && pattern.iter().zip(path).all(|(p, name)| *p == "*" || p.eq_ignore_ascii_case(name))
    };
    let Some((_, forms)) = CHOICES.iter().find(|(pattern, _)| matches(pattern)) else { return };
    let chosen = |form: &[&str]| over.iter().any(|(key, _)| form.iter().any(|f| f.eq_ignore_ascii_case(key)));
    if forms.iter().any(|form| chosen(form)) {
        for key in forms.iter().filter(|form| !chosen(form)).flat_map(|form| form.iter()) {
            table.remove(*key);
        }
    }
}

fn to_value(node: &Node) -> Value {
    let Origin { source, line, rank } = &node.origin;
    let origin = format!("{rank}\t{}\t{source}", line.unwrap_or(0));
    let kind = match &node.tree {
        Tree::Scalar(s) => ValueKind::String(format!("{}{}", if s.quoted { 'q' } else { 'p' }, s.text)),
        Tree::List(items) => ValueKind::Array(items.iter().map(to_value).collect()),
        Tree::Map(entries) => ValueKind::Table(entries.iter().map(|(k, node)| (k.clone(), to_value(node))).collect()),
    };
    Value::new(Some(&origin), kind)
}

fn from_value(value: Value) -> Node {
    let mut parts = value.origin().unwrap_or_default().splitn(3, '\t');
    let rank = parts.next().and_then(|t| t.parse().ok()).unwrap_or(u64::MAX);
    let line = parts.next().and_then(|t| t.parse().ok()).filter(|line| *line > 0);
    let origin = Origin { source: parts.next().unwrap_or_default().into(), line, rank };
    let tree = match value.kind {
        ValueKind::Table(table) => {
            let mut entries: Vec<_> = table.into_iter().map(|(key, value)| (key, from_value(value))).collect();
            // The crate's tables have no order of their own.
            entries.sort_by(|(a, x), (b, y)| x.origin.rank.cmp(&y.origin.rank).then_with(|| a.cmp(b)));
            Tree::Map(entries)
        }
        ValueKind::Array(items) => Tree::List(items.into_iter().map(from_value).collect()),
        ValueKind::String(text) => {
            let quoted = text.starts_with('q');
            Tree::Scalar(Scalar { text: text.get(1..).unwrap_or_default().to_owned(), quoted })
        }
        _ => Tree::Scalar(Scalar { text: String::new(), quoted: false }),
    };
    Node { tree, origin }
}
