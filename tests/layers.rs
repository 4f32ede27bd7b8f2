//! Holds the layering of the code: a folder uses only folders to its left.
//!
//! `model → config → policy, csv → transport → tenant, state, delivery, sink → actors → engine → service → cli`, and
//! `mock` uses `model` only, because a judge must not share the accused's code. The check reads every `crate::` and
//! `cxtract::` path in `src/`, tests included, so that no back door stays open.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each folder with its level; folders of one level don't use each other.
const LEVELS: [(&str, u8); 14] = [
    ("model", 0),
    ("config", 1),
    ("policy", 2),
    ("csv", 2),
    ("transport", 3),
    ("tenant", 4),
    ("state", 4),
    ("delivery", 4),
    ("sink", 4),
    ("actors", 5),
    ("engine", 6),
    ("service", 7),
    ("load", 7),
    ("cli", 8),
];

/// Libraries that only some folders may name.
const ONLY_IN: [(&str, &[&str]); 10] = [
    ("rusqlite", &["state"]),
    ("awc", &["transport"]),
    ("tokio_rustls", &["transport", "mock"]),
    ("rustls", &["transport", "mock"]),
    ("actix", &["actors", "engine", "service", "load", "cli"]),
    ("actix_rt", &["transport", "actors", "engine", "service", "load", "cli"]),
    ("actix_web", &["service", "mock"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("tracing_subscriber", &["cli"]),
];

/// A file longer than this holds more than one idea.
const MOST_LINES: usize = 500;

struct Source {
    path: PathBuf,
    /// The folder below `src/`, or the name of a file that stands for one; none for `lib.rs` and `main.rs`.
    folder: Option<String>,
    raw: String,
    /// Without comments and the contents of literals.
    code: String,
}

impl Source {
    /// Whether the whole file is tests.
    fn is_tests(&self) -> bool {
        self.path.components().any(|c| matches!(c.as_os_str().to_str(), Some("tests.rs" | "tests")))
    }

    /// The part of the code that is in the product.
    fn product(&self) -> &str {
        if self.is_tests() { "" } else { self.code.split("#[cfg(test)]").next().unwrap_or_default() }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    files
        .into_iter()
        .map(|path| {
            let raw = fs::read_to_string(&path).unwrap();
            let relative = path.strip_prefix(&root).unwrap();
            let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let folder = match first.strip_suffix(".rs") {
                Some("lib" | "main") => None,
                Some(file) => Some(file.to_owned()),
                None => Some(first),
            };
            Source { code: without_comments_and_literals(&raw), path: relative.to_owned(), folder, raw }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Blanks out comments and what stands in string and character literals, keeping the lines.
fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let at = |k: usize| chars.get(i + k).copied().unwrap_or('\0');
        let skipped = match at(0) {
            '/' if at(1) == '/' => chars[i..].iter().take_while(|c| **c != '\n').count(),
            '/' if at(1) == '*' => block_comment(&chars[i..]),
            'r' if matches!(at(1), '"' | '#') && !continues_a_word(&chars, i) => raw_string(&chars[i..]),
            '"' => quoted(&chars[i..], '"'),
            '\'' if at(1) == '\\' || at(2) == '\'' => quoted(&chars[i..], '\''),
            _ => 0,
        };
        if skipped == 0 {
            code.push(chars[i]);
            i += 1;
        } else {
            code.extend(chars[i..i + skipped].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            i += skipped;
        }
    }
    code
}

fn continues_a_word(chars: &[char], i: usize) -> bool {
    // In `br"…"` the string begins with the r; in `for"` there is none.
    i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_') && chars[i - 1] != 'b'
}

fn block_comment(chars: &[char]) -> usize {
    let mut depth = 0;
    let mut i = 0;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn raw_string(chars: &[char]) -> usize {
    let hashes = chars[1..].iter().take_while(|c| **c == '#').count();
    if chars.get(1 + hashes) != Some(&'"') {
        return 0; // a raw identifier
    }
    let mut i = 2 + hashes;
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    chars.len()
}

fn quoted(chars: &[char], quote: char) -> usize {
    let mut i = 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// The first segments of all paths that begin with `root::`, groups in braces taken apart.
fn first_segments(code: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let Some(rest) = code[at + root.len()..].trim_start().strip_prefix("::") else { continue };
        let rest = rest.trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.push(word(rest)),
        }
    }
    found
}

/// The first word of each member of a group whose opening brace has been read.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut at_head = true;
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            c if at_head && !c.is_whitespace() => {
                heads.push(word(&group[i..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn level(folder: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == folder).map(|(_, level)| *level)
}

/// Whether code in `user` may name `used`.
fn may_use(user: &str, used: &str) -> bool {
    match (user, used) {
        (user, used) if user == used => true,
        ("mock", used) => used == "model",
        // The command line and the load test start embedded tenants; so may a host.
        ("cli" | "load", "mock") => true,
        // The crate's face is what any host uses.
        ("cli" | "load", face) if face.starts_with(char::is_uppercase) => true,
        (user, used) => matches!((level(user), level(used)), (Some(user), Some(used)) if used < user),
    }
}

#[test]
fn a_folder_uses_only_folders_to_its_left() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(folder) = &source.folder else { continue };
        assert!(folder == "mock" || level(folder).is_some(), "src/{folder} has no place in the layers: give it one");
        for root in ["crate", "cxtract"] {
            for used in first_segments(&source.code, root) {
                if !may_use(folder, &used) {
                    wrong.push(format!("src/{}: {root}::{used}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "against the layers:\n{}", wrong.join("\n"));
}

#[test]
fn libraries_with_a_place_of_their_own_are_named_nowhere_else() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(folder) = &source.folder else { continue };
        for (library, folders) in ONLY_IN {
            if !folders.contains(&folder.as_str()) && !first_segments(&source.code, library).is_empty() {
                wrong.push(format!("src/{}: {library}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "named outside their folders:\n{}", wrong.join("\n"));
}

#[test]
fn policies_are_told_the_time_and_never_ask_for_it() {
    for source in sources().iter().filter(|s| s.folder.as_deref() == Some("policy")) {
        assert!(!source.product().contains("::now("), "src/{} reads a clock", source.path.display());
    }
}

#[test]
fn only_the_command_line_prints() {
    for source in sources().iter().filter(|s| !matches!(s.folder.as_deref(), None | Some("cli"))) {
        let product = source.product();
        for printing in ["println!", "print!", "eprintln!", "eprint!", "dbg!"] {
            assert!(!product.contains(printing), "src/{}: {printing}", source.path.display());
        }
    }
}

#[test]
fn no_file_holds_more_than_one_idea() {
    for source in sources() {
        let n = source.raw.lines().count();
        assert!(n <= MOST_LINES, "src/{} has {n} lines: split it by idea", source.path.display());
    }
}

#[test]
fn every_file_opens_with_its_reason() {
    for source in sources().iter().filter(|s| !s.is_tests()) {
        assert!(source.raw.starts_with("//!"), "src/{} does not say what it is for", source.path.display());
    }
}

#[test]
fn the_reader_of_paths_misses_no_form() {
    let code = without_comments_and_literals(
        r##"
        //! see [`crate::comment`]
        use crate::model::Window;
        use crate::{
            config::{Config, b::{c}},
            csv, /* crate::block */ policy as p,
        };
        pub(in crate::sink) fn f() -> crate :: tenant::X { my_crate::no(); let s = "crate::text"; let c = '"'; crate::state::g() }
        let raw = r#"crate::raw " "#; fn lifetime<'a>(x: &'a crate::actors::Y) {}
        "##,
    );
    assert_eq!(
        first_segments(&code, "crate"),
        ["model", "config", "csv", "policy", "sink", "tenant", "state", "actors"]
    );
}

#[test]
fn the_rule_itself_is_the_published_one() {
    for (user, used, allowed) in [
        ("csv", "policy", false),
        ("policy", "csv", false),
        ("tenant", "state", false),
        ("tenant", "transport", true),
        ("model", "config", false),
        ("engine", "actors", true),
        ("mock", "csv", false),
        ("mock", "model", true),
        ("engine", "mock", false),
        ("cli", "engine", true),
        ("cli", "Engine", true),
        ("actors", "Config", false),
    ] {
        assert_eq!(may_use(user, used), allowed, "{user} → {used}");
    }
}
