//! `cxtract init`: writes a commented starter configuration for a real tenant.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// The text that is written.
pub(crate) const STARTER: &str = include_str!("starter.yaml");

/// Writes the starter to `file`, unless something stands there already.
///
/// # Errors
/// In words that say what to do.
pub(crate) fn write(file: &Path) -> Result<String, String> {
    let shown = file.display();
    let mut out = OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{shown} is there already and is not replaced; name another file"),
        _ => format!("{shown} can't be written: {error}"),
    })?;
    out.write_all(STARTER.as_bytes()).map_err(|error| format!("{shown} can't be written: {error}"))?;
    Ok(format!(
        "wrote {shown}; put in your tenant and report, set CXONE_CLIENT_ID and CXONE_CLIENT_SECRET, then `cxtract check -c \
         {shown}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_is_written_and_never_replaces_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        assert!(write(&file).unwrap().contains("cxtract check"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), STARTER);
        std::fs::write(&file, "mine").unwrap();
        assert!(write(&file).unwrap_err().contains("not replaced"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn the_starter_holds_no_secret() {
        assert!(STARTER.contains("client_secret: {env: CXONE_CLIENT_SECRET}"));
    }
}
