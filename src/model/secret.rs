//! Text that must never be shown: neither `Debug` nor `Display` nor `Serialize` gives it away.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

/// A client secret or the like.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Hides the text from here on.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself. Only for putting it on the wire, or for masking it elsewhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Counts the tokens of one tenant, so that a late 401 for an old token doesn't renew the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenGeneration(pub u64);

/// An access token and which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The text that goes behind `Bearer`.
    pub value: Secret,
    /// Which of the tenant's tokens this is.
    pub generation: TokenGeneration,
    /// When it was asked for: it is no older than that.
    pub asked: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_hold_the_secret() {
        let token =
            AccessToken { value: Secret::new("canary-123"), generation: TokenGeneration(1), asked: Instant::now() };
        assert!(!format!("{token:?}").contains("canary"));
    }
}
