//! Where a report's output goes: folder, path with placeholders, and the form of the file.
//!
//! A relative path never leaves the output folder, whatever stands in it: such a path is refused when it is read,
//! not when the file is made. An absolute path is taken as written.

use std::path::{Component, Path, PathBuf};

use crate::model::{ReportName, TenantName, Window};

use super::kind::{self, Mismatch, Read, word};
use super::problem::{Problem, nearest, printable};
use super::reader::Section;
use super::tree::Node;
use super::window::{Zone, from_text, to_text};

/// What file systems allow for one name, less the longest thing that is added to it (`.manifest.json` and `.part`).
const LONGEST_NAME: usize = 255 - 20;
/// Longest path as a whole.
const LONGEST_PATH: usize = 3500;
/// Longest text that a bound of a window becomes.
const LONGEST_BOUND: &str = "20240131T235959Z";

/// Where the output goes and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// The folder.
    pub dir: PathBuf,
    /// The path in it.
    pub path: PathTemplate,
    /// How text is encoded.
    pub encoding: Encoding,
    /// What becomes of newlines within fields.
    pub newlines: Newlines,
    /// How the file is packed.
    pub compression: Compression,
}

/// How text is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-8 with a byte order mark in front.
    Utf8Sig,
}

/// What becomes of newlines within fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Newlines {
    /// They stay.
    #[default]
    Keep,
    /// They become the two characters `\n`.
    Escape,
}

/// How the file is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, `.gz`.
    Gzip,
    /// Zstandard, `.zst`.
    Zstd,
}

const ENCODINGS: &[(&str, Encoding)] = &[("utf-8", Encoding::Utf8), ("utf-8-sig", Encoding::Utf8Sig)];
const NEWLINES: &[(&str, Newlines)] = &[("keep", Newlines::Keep), ("escape", Newlines::Escape)];
const COMPRESSIONS: &[(&str, Compression)] =
    &[("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];

/// The configuration's word for a value.
fn name_of<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, v)| v == value).map_or("", |(name, _)| name)
}

impl Compression {
    /// What it adds to a file's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// A path with `{report}`, `{tenant}`, `{from}` and `{to}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Report,
    Tenant,
    From,
    To,
}

const PLACEHOLDERS: [&str; 4] = ["report", "tenant", "from", "to"];

impl PathTemplate {
    /// Where a report goes when nothing is said.
    pub fn usual() -> Self {
        Self { text: "{report}.csv".into(), pieces: vec![Piece::Report, Piece::Text(".csv".into())] }
    }

    /// Reads a path that stays inside the output folder, or an absolute one.
    fn parse(text: &str) -> Result<Self, Mismatch> {
        let template = Self::parse_anywhere(text)?;
        let parts = || text.split('/');
        if !text.starts_with('/') && parts().any(|part| part == "..") {
            return Err(expected("name a place inside output.dir, or write an absolute path"));
        }
        Ok(template)
    }

    /// Reads a path that may lead anywhere.
    fn parse_anywhere(text: &str) -> Result<Self, Mismatch> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(expected("write a path that is not empty and has no control characters"));
        }
        let name = text.rsplit('/').next().unwrap_or_default();
        if matches!(name, "" | "." | "..") {
            return Err(expected("let the path end with the name of a file"));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let Some((name, after)) = from.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
                return Err(expected("close every { with a }, and write no other braces"));
            };
            pieces.push(match name {
                "report" => Piece::Report,
                "tenant" => Piece::Tenant,
                "from" => Piece::From,
                "to" => Piece::To,
                _ => {
                    return Err(expected(match nearest(name, PLACEHOLDERS) {
                        Some(near) => format!("did you mean {{{near}}}?"),
                        None => "use {report}, {tenant}, {from} and {to} only".to_owned(),
                    }));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn fill(&self, report: &str, tenant: &str, from: &str, to: &str) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Report => report.to_owned(),
            Piece::Tenant => tenant.to_owned(),
            Piece::From => from.to_owned(),
            Piece::To => to.to_owned(),
        };
        self.pieces.iter().map(text).collect()
    }
}

fn expected(remedy: impl Into<String>) -> Mismatch {
    Mismatch::new("a path such as {report}-{from}.csv, or - for stdout", remedy)
}

impl OutputSpec {
    /// Everything at its default, in that folder.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            path: PathTemplate::usual(),
            encoding: Encoding::default(),
            newlines: Newlines::default(),
            compression: Compression::default(),
        }
    }

    /// Reads a section; what it leaves out is as in `default`.
    pub(super) fn read(section: &Section<'_>, default: &Self) -> Self {
        let dir = section.get("dir", kind::text).map(|dir| section.log.folder.join(dir));
        Self {
            dir: dir.unwrap_or_else(|| default.dir.clone()),
            path: section.get("path", path).unwrap_or_else(|| default.path.clone()),
            encoding: section.or("encoding", word(ENCODINGS), default.encoding),
            newlines: section.or("newlines", word(NEWLINES), default.newlines),
            compression: section.or("compression", word(COMPRESSIONS), default.compression),
        }
    }

    /// Whether it goes to standard output.
    pub fn is_stdout(&self) -> bool {
        self.path.text == "-"
    }

    /// Whether extractions of different windows go to different files.
    pub fn varies_by_window(&self) -> bool {
        self.path.pieces.iter().any(|piece| matches!(piece, Piece::From | Piece::To))
    }

    /// The file for that window; none for standard output.
    pub fn file(&self, report: &ReportName, tenant: &TenantName, window: &Window, zone: &Zone) -> Option<PathBuf> {
        let (from, to) = (from_text(window, zone), to_text(window, zone));
        (!self.is_stdout()).then(|| self.place(report, tenant, &from, &to))
    }

    pub(super) fn place(&self, report: &ReportName, tenant: &TenantName, from: &str, to: &str) -> PathBuf {
        let mut path = self.path.fill(report.as_str(), tenant.as_str(), from, to);
        let suffix = self.compression.suffix();
        if !path.ends_with(suffix) {
            path.push_str(suffix);
        }
        self.dir.join(path)
    }

    /// The same in another place: `-o PATH` and `--output-dir DIR`, both as a shell understands them.
    pub fn redirected(&self, path: Option<&str>, dir: Option<&Path>) -> Result<Self, Problem> {
        let mut output = self.clone();
        if let Some(dir) = dir {
            output.dir = dir.to_owned();
        }
        if let Some(text) = path {
            output.dir = PathBuf::new();
            output.path = PathTemplate::parse_anywhere(text)
                .map_err(|m| Problem::new("command line", "-o", printable(text), m.expected, m.remedy))?;
        }
        Ok(output)
    }

    /// Why no file could have that name, where none could.
    pub(super) fn too_long(&self, report: &ReportName, tenant: &TenantName) -> Option<String> {
        let path = self.place(report, tenant, LONGEST_BOUND, LONGEST_BOUND);
        if path.as_os_str().len() > LONGEST_PATH {
            return Some("a path that is too long".to_owned());
        }
        let long = |c: &Component<'_>| c.as_os_str().len() > LONGEST_NAME;
        path.components().find(long).map(|c| format!("a name of {} bytes", c.as_os_str().len()))
    }

    /// The form of the file in the configuration's words, as far as it changes the bytes.
    pub(super) fn form(&self) -> serde_json::Value {
        serde_json::json!({
            "encoding": name_of(ENCODINGS, &self.encoding),
            "newlines": name_of(NEWLINES, &self.newlines),
            "compression": name_of(COMPRESSIONS, &self.compression),
        })
    }
}

fn path(node: &Node) -> Read<PathTemplate> {
    PathTemplate::parse(&kind::any_text(node)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, compression: Compression) -> PathBuf {
        let output = OutputSpec { path: PathTemplate::parse(path).unwrap(), compression, ..OutputSpec::in_dir("out") };
        let window = Window {
            from: crate::model::Timestamp::parse("2024-01-01T00:00:00Z").unwrap(),
            to: crate::model::Timestamp::parse("2024-01-31T12:30:00.500Z").unwrap(),
        };
        output.file(&ReportName::new("calls"), &TenantName::new("Acme"), &window, &Zone::UTC).unwrap()
    }

    #[test]
    fn placeholders_are_filled_and_bounds_read_as_days_only_where_they_are() {
        let path = file("{tenant}/{report}_{from}_{to}.csv", Compression::None);
        assert_eq!(path, Path::new("out/Acme/calls_2024-01-01_20240131T123000Z.csv"));
    }

    #[test]
    fn compression_adds_its_suffix_once() {
        assert_eq!(file("a.csv", Compression::Gzip), Path::new("out/a.csv.gz"));
        assert_eq!(file("a.csv.zst", Compression::Zstd), Path::new("out/a.csv.zst"));
    }

    #[test]
    fn a_relative_path_that_leaves_its_folder_is_refused() {
        for path in
            ["../a.csv", "a/../../b.csv", "a/..", "..", "a/", "", "a\0b", "a\nb", "{form}.csv", "{report", "a}b"]
        {
            assert!(PathTemplate::parse(path).is_err(), "{path:?}");
        }
        for path in ["/tmp/../a.csv", "a/b/c.csv", "..a.csv", "-", "a-{to}.csv"] {
            assert!(PathTemplate::parse(path).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn the_command_line_starts_at_the_working_folder() {
        let output = OutputSpec::in_dir("conf/out");
        assert_eq!(output.redirected(None, Some(Path::new("x"))).unwrap().dir, Path::new("x"));
        let one = output.redirected(Some("../y.csv"), None).unwrap();
        assert_eq!(one.place(&ReportName::new("r"), &TenantName::new("t"), "", ""), Path::new("../y.csv"));
        assert!(output.redirected(Some("-"), None).unwrap().is_stdout());
    }
}
