//! Where a secret comes from, and fetching it.
//!
//! Reading the configuration only notes the place; the secret itself is fetched when its tenant is used, so that a
//! report can run on a machine that has no other tenant's credentials. No problem here ever holds the text.

use std::io::Read as _;
use std::path::PathBuf;

use crate::model::{Secret, TenantName};

use super::kind::{self, Mismatch};
use super::problem::{Problem, Warning};
use super::reader::Section;
use super::tree::{Node, Tree};

/// Largest secret file; one that is larger is not a secret but a mistake.
const LARGEST_FILE: u64 = 64 * 1024;

/// The place a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// In the configuration itself.
    Plain(Secret),
    /// In a variable of the environment.
    Environment(String),
    /// In a file.
    File(PathBuf),
}

/// A secret that is not fetched yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSource {
    /// Where it is kept.
    pub place: SecretPlace,
    /// The key that names it.
    pub key: String,
    /// Where that key stands.
    pub source: String,
}

/// A tenant's credentials, fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Whose they are.
    pub tenant: TenantName,
    /// The client's id.
    pub client_id: Secret,
    /// The client's secret.
    pub client_secret: Secret,
}

impl SecretSource {
    /// A secret given in code.
    pub fn plain(text: &str) -> Self {
        Self { place: SecretPlace::Plain(Secret::new(text)), key: "a secret".into(), source: "the program".into() }
    }

    /// Fetches the secret. A file that others may read is worth a warning.
    pub fn resolve(&self, environment: &[(String, String)]) -> Result<(Secret, Option<Warning>), Problem> {
        match &self.place {
            SecretPlace::Plain(secret) => Ok((secret.clone(), None)),
            SecretPlace::Environment(name) => match environment.iter().find(|(n, _)| n == name) {
                Some((_, value)) if !value.trim().is_empty() => Ok((Secret::new(value), None)),
                Some(_) => Err(self.problem(format!("an empty environment variable {name}"), "set the variable")),
                None => Err(self.problem(format!("no environment variable {name}"), "set the variable")),
            },
            SecretPlace::File(path) => self.read(path),
        }
    }

    fn read(&self, path: &PathBuf) -> Result<(Secret, Option<Warning>), Problem> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            self.problem(format!("a file {shown} that can't be read: {error}"), "create the file or correct its path")
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        if meta.is_dir() {
            return Err(self.problem(format!("a folder {shown}"), "name a file that holds the secret alone"));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(
                self.problem(format!("a file {shown} of over 64 KiB"), "name a file that holds the secret alone")
            );
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| self.problem(format!("a file {shown} that is not UTF-8"), "write the secret as UTF-8 text"))?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        if text.trim().is_empty() {
            return Err(self.problem(format!("an empty file {shown}"), "write the secret into the file"));
        }
        Ok((Secret::new(text), open_to_others(&meta).then(|| self.warning(path))))
    }

    fn warning(&self, path: &std::path::Path) -> Warning {
        let shown = path.display();
        Warning(format!(
            "{}: the secret file {shown} can be read by others than its owner; run chmod 600 {shown}",
            self.key
        ))
    }

    fn problem(&self, found: String, remedy: &str) -> Problem {
        Problem::new(self.source.clone(), self.key.clone(), found, "a secret that is not empty", remedy)
    }
}

#[cfg(unix)]
fn open_to_others(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

/// Reads a secret's key: text, `{env: NAME}` or `{file: PATH}`.
pub(super) fn secret(outer: &Section<'_>, key: &'static str) -> Option<SecretSource> {
    let Some(node) = outer.raw(key) else {
        outer.problem(key, "nothing", "a secret: {env: NAME}, {file: PATH} or text", "add the key");
        return None;
    };
    let full = outer.key(key);
    let source = node.origin.to_string();
    if !matches!(node.tree, Tree::Map(_)) {
        let plain = |node: &Node| {
            let text = kind::any_text(node)?;
            if text.trim().is_empty() {
                return Err(Mismatch::new("a secret that is not empty", "write {env: NAME} or {file: PATH}"));
            }
            Ok(SecretPlace::Plain(Secret::new(&text)))
        };
        return hidden_get(outer, key, plain).map(|place| SecretSource { place, key: full, source });
    }
    let section = outer.section(key).hiding();
    let name = section.get("env", variable_name);
    let file = section.get("file", kind::text);
    let forms = usize::from(section.has("env")) + usize::from(section.has("file"));
    let place = match (name, file) {
        _ if forms != 1 => {
            let found = if forms == 2 { "both env and file" } else { "neither env nor file" };
            outer.problem(key, found, "one of {env: NAME} and {file: PATH}", "keep one of them");
            return None;
        }
        (Some(name), _) => SecretPlace::Environment(name),
        (_, Some(path)) => SecretPlace::File(outer.log.folder.join(path)),
        (None, None) => return None,
    };
    Some(SecretSource { place, key: full, source })
}

fn hidden_get<T>(outer: &Section<'_>, key: &'static str, read: impl FnOnce(&Node) -> kind::Read<T>) -> Option<T> {
    let node = outer.raw(key)?;
    match read(node) {
        Ok(value) => Some(value),
        Err(mismatch) => {
            outer.problem(key, "a value that is not shown", &mismatch.expected, &mismatch.remedy);
            None
        }
    }
}

fn variable_name(node: &Node) -> kind::Read<String> {
    let text = kind::text(node)?;
    if text.bytes().all(|b| b.is_ascii_graphic() && b != b'=') {
        return Ok(text);
    }
    Err(Mismatch::new("the name of an environment variable", "write the name alone, such as {env: CXONE_CLIENT_ID}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(place: SecretPlace) -> SecretSource {
        SecretSource { place, key: "tenants.a.auth.client_id".into(), source: "config.yaml, line 3".into() }
    }

    #[test]
    fn a_variable_that_is_missing_or_empty_is_named() {
        let environment = vec![("HERE".to_owned(), "s3cret".to_owned()), ("EMPTY".to_owned(), String::new())];
        let fetch = |name: &str| source(SecretPlace::Environment(name.to_owned())).resolve(&environment);
        assert_eq!(fetch("HERE").unwrap().0.expose(), "s3cret");
        assert!(fetch("EMPTY").unwrap_err().found.contains("EMPTY"));
        assert!(fetch("GONE").unwrap_err().found.contains("GONE"));
    }

    #[test]
    fn debug_output_of_a_plain_secret_is_hidden() {
        assert!(!format!("{:?}", SecretSource::plain("canary")).contains("canary"));
    }
}
