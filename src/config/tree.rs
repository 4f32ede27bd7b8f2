//! The value tree: YAML as it was written.
//!
//! A scalar keeps its text and whether it was quoted, a map its order and the case of its keys, and every node knows
//! where it stands. Typed readers decide later what a scalar may mean; nothing is converted here. Doubled keys,
//! tags and keys that are no text are problems at once, because a map could not hold them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use yaml_rust2::Event;
use yaml_rust2::parser::{Parser, Tag};
use yaml_rust2::scanner::TScalarStyle;

use super::problem::{Problem, Ranked, printable};

/// Most nodes in a tree, aliases expanded: an alias of an alias of an alias must not fill the memory.
const MOST_NODES: usize = 100_000;
/// Keys below which nothing is ever shown.
const SECRETS: [&str; 2] = ["client_id", "client_secret"];
/// Deepest nesting.
const DEEPEST: usize = 32;

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub source: Arc<str>,
    pub line: Option<u64>,
    /// Place in reading order.
    pub rank: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}", self.source),
            None => f.write_str(&self.source),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scalar {
    pub text: String,
    /// In quotes or a block: it can only be text.
    pub quoted: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Tree {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub tree: Tree,
    pub origin: Origin,
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.tree, Tree::Scalar(s) if !s.quoted && matches!(s.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.tree {
            Tree::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// How a problem shows it.
    pub(super) fn shown(&self) -> String {
        match &self.tree {
            Tree::Scalar(s) if s.quoted => format!("\"{}\"", printable(&s.text)),
            Tree::Scalar(s) if s.text.is_empty() => "nothing".to_owned(),
            Tree::Scalar(s) => printable(&s.text),
            Tree::List(_) => "a list".to_owned(),
            Tree::Map(_) => "a map".to_owned(),
        }
    }
}

enum Frame {
    List { items: Vec<Node>, origin: Origin, anchor: usize },
    Map { entries: Vec<(String, Node)>, key: Option<String>, origin: Origin, anchor: usize },
}

/// Reads one document. What can't be part of a tree is left out and told in `problems`.
pub(super) fn parse(text: &str, source: &Arc<str>, first_rank: u64, problems: &mut Vec<Ranked>) -> Node {
    let mut reader = Reader {
        source: source.clone(),
        rank: first_rank,
        n_nodes: 0,
        anchors: HashMap::new(),
        stack: Vec::new(),
        root: None,
        problems,
    };
    let empty = Node { tree: Tree::Map(Vec::new()), origin: reader.origin(None) };
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    loop {
        match parser.next_token() {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, mark)) => {
                if let Err((found, expected, remedy)) = reader.take(event, mark.line() as u64) {
                    let origin = reader.origin(Some(mark.line() as u64));
                    reader.complain(&origin, found, expected, remedy);
                    return empty;
                }
            }
            Err(error) => {
                let origin = reader.origin(Some(error.marker().line() as u64));
                let found = format!("a fault in the YAML: {}", printable(error.info()));
                reader.complain(&origin, &found, "valid YAML", "mend the line; look at its indent, quotes and colons");
                return empty;
            }
        }
    }
    reader.root.unwrap_or(empty)
}

type Fatal = (&'static str, &'static str, &'static str);

struct Reader<'p> {
    source: Arc<str>,
    rank: u64,
    n_nodes: usize,
    anchors: HashMap<usize, Node>,
    stack: Vec<Frame>,
    root: Option<Node>,
    problems: &'p mut Vec<Ranked>,
}

impl Reader<'_> {
    fn origin(&mut self, line: Option<u64>) -> Origin {
        self.rank += 1;
        Origin { source: self.source.clone(), line, rank: self.rank }
    }

    fn path(&self) -> String {
        let mut path = Vec::new();
        for frame in &self.stack {
            match frame {
                Frame::Map { key, .. } => {
                    path.extend(key.clone());
                    // What is below a secret's key may be the secret in the wrong shape.
                    if key.as_deref().is_some_and(|key| SECRETS.contains(&key)) {
                        break;
                    }
                }
                Frame::List { items, .. } => path.push(format!("[{}]", items.len())),
            }
        }
        path.join(".")
    }

    fn complain(&mut self, origin: &Origin, found: &str, expected: &str, remedy: &str) {
        let problem = Problem::new(origin.to_string(), self.path(), found, expected, remedy);
        self.problems.push(problem.ranked(origin.rank));
    }

    fn take(&mut self, event: Event, line: u64) -> Result<(), Fatal> {
        let origin = self.origin(Some(line));
        match event {
            Event::DocumentStart if self.root.is_some() => {
                return Err(("a second document", "one document", "remove everything from the second `---` on"));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != TScalarStyle::Plain || self.tag_says_text(&origin, tag);
                self.put(Node { tree: Tree::Scalar(Scalar { text, quoted }), origin }, anchor)?;
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let node = Node { tree: node.tree.clone(), origin };
                    self.n_nodes += size(&node);
                    self.put(node, 0)?;
                }
                None => return Err(("an alias of itself", "an alias of an earlier anchor", "write the value out")),
            },
            Event::SequenceStart(anchor, tag) => {
                self.tag_says_text(&origin, tag);
                self.push(Frame::List { items: Vec::new(), origin, anchor })?;
            }
            Event::MappingStart(anchor, tag) => {
                self.tag_says_text(&origin, tag);
                self.push(Frame::Map { entries: Vec::new(), key: None, origin, anchor })?;
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Frame::List { items, origin, anchor }) => {
                    self.put(Node { tree: Tree::List(items), origin }, anchor)?;
                }
                Some(Frame::Map { entries, origin, anchor, .. }) => {
                    self.put(Node { tree: Tree::Map(entries), origin }, anchor)?;
                }
                None => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, frame: Frame) -> Result<(), Fatal> {
        if self.stack.len() >= DEEPEST {
            return Err(("values nested too deeply", "at most 32 levels", "look for a bracket that is never closed"));
        }
        self.stack.push(frame);
        Ok(())
    }

    /// `!!str` is another way of quoting; every other tag would be a silent conversion.
    fn tag_says_text(&mut self, origin: &Origin, tag: Option<Tag>) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.handle == "tag:yaml.org,2002:" && tag.suffix == "str" => true,
            Some(_) => {
                self.complain(origin, "a tag", "a plain value", "remove the tag, quote the value where text is due");
                false
            }
        }
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Fatal> {
        self.n_nodes += 1;
        if self.n_nodes > MOST_NODES {
            return Err(("too many values", "at most 100000", "look for aliases that repeat one another"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => match key.take() {
                Some(name) => {
                    if entries.iter().any(|(k, _)| *k == name) {
                        *key = Some(name);
                        self.complain(&node.origin, "the key a second time", "each key once", "keep one of the two");
                        if let Some(Frame::Map { key, .. }) = self.stack.last_mut() {
                            *key = None;
                        }
                    } else {
                        entries.push((name, node));
                    }
                }
                None => match node.tree {
                    Tree::Scalar(scalar) => *key = Some(scalar.text),
                    _ => {
                        *key = Some(String::new());
                        self.complain(&node.origin, "a list or map as a key", "a name", "write the key as plain text");
                        if let Some(Frame::Map { key, .. }) = self.stack.last_mut() {
                            *key = Some("?".to_owned());
                        }
                    }
                },
            },
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    match &node.tree {
        Tree::Scalar(_) => 1,
        Tree::List(items) => items.iter().map(size).sum::<usize>() + 1,
        Tree::Map(entries) => entries.iter().map(|(_, node)| size(node)).sum::<usize>() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Node, Vec<Problem>) {
        let mut problems = Vec::new();
        let node = parse(text, &"test.yaml".into(), 0, &mut problems);
        (node, problems.into_iter().map(|p| p.problem).collect())
    }

    fn scalar(node: Option<&Node>) -> (&str, bool) {
        match &node.expect("the key is there").tree {
            Tree::Scalar(s) => (&s.text, s.quoted),
            _ => panic!("not a scalar"),
        }
    }

    #[test]
    fn a_scalar_keeps_its_text_and_its_quotes() {
        let (root, problems) = read("a: 007\nb: '007'\nc: 1.10\nd: 0x1F\ne: yes\nf: ~\nG: !!str 5\n");
        assert!(problems.is_empty());
        assert_eq!(scalar(root.get("a")), ("007", false));
        assert_eq!(scalar(root.get("b")), ("007", true));
        assert_eq!(scalar(root.get("c")), ("1.10", false));
        assert_eq!(scalar(root.get("d")), ("0x1F", false));
        assert_eq!(scalar(root.get("e")), ("yes", false));
        assert!(root.get("f").expect("there").is_null());
        assert_eq!(scalar(root.get("G")), ("5", true));
    }

    #[test]
    fn a_doubled_key_is_told_with_its_place() {
        let (_, problems) = read("tenants:\n  a: 1\n  a: 2\n");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].key, "tenants.a");
        assert_eq!(problems[0].source, "test.yaml, line 3");
    }

    #[test]
    fn keys_that_differ_in_case_are_both_kept() {
        let (root, problems) = read("Acme: 1\nacme: 2\n");
        assert!(problems.is_empty());
        assert_eq!(scalar(root.get("Acme")).0, "1");
        assert_eq!(scalar(root.get("acme")).0, "2");
    }

    #[test]
    fn a_tree_of_aliases_of_aliases_is_refused_before_it_fills_the_memory() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..9 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
        }
        let (_, problems) = read(&text);
        assert!(problems.iter().any(|p| p.found == "too many values"), "{problems:?}");
    }

    #[test]
    fn broken_yaml_and_deep_nesting_are_problems() {
        assert_eq!(read("a: [1, 2\nb: 3").1.len(), 1);
        assert_eq!(read(&"[".repeat(200)).1.len(), 1);
        assert_eq!(read("a: 1\n---\nb: 2\n").1.len(), 1);
        assert_eq!(read("a: !include other.yaml\n").1.len(), 1);
    }
}
