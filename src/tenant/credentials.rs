//! Who we are to a tenant's token endpoint, and how that is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::mask::Mask;
use crate::model::Secret;

/// A client id shorter than this is no secret, but may well be a part of words that a message needs.
const TELLING_ID: usize = 8;

/// How the client shows the token endpoint who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// HTTP Basic, each half form-encoded first (RFC 6749, 2.3.1).
    Basic,
    /// In the form body.
    Body,
}

/// What a tenant's tokens are asked for with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The client's id.
    pub client_id: Secret,
    /// The client's secret.
    pub client_secret: Secret,
    /// Where they go.
    pub client_auth: ClientAuth,
    /// The scopes asked for; the field is left out where there are none.
    pub scopes: Vec<String>,
}

/// The text that follows `Basic`. Each half is form-encoded before they are joined (RFC 6749, 2.3.1).
pub(super) fn basic_credentials(credentials: &Credentials) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(credentials.client_id.expose()), encode(credentials.client_secret.expose()));
    STANDARD.encode(pair)
}

/// What must not be shown of them.
pub(super) fn credentials_mask(credentials: &Credentials) -> Mask {
    let basic = basic_credentials(credentials);
    let id = credentials.client_id.expose();
    let id = if id.chars().count() < TELLING_ID { "" } else { id };
    Mask::new([credentials.client_secret.expose(), basic.as_str(), id])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_form_encoded_before_they_are_joined() {
        let credentials = Credentials {
            client_id: Secret::new("a:b c"),
            client_secret: Secret::new("p%ö"),
            client_auth: ClientAuth::Basic,
            scopes: vec![],
        };
        assert_eq!(STANDARD.decode(basic_credentials(&credentials)).unwrap(), b"a%3Ab+c:p%25%C3%B6");
    }

    #[test]
    fn a_telling_client_id_is_masked_and_a_short_one_spoils_no_words() {
        let mask = |id: &str| {
            credentials_mask(&Credentials {
                client_id: Secret::new(id),
                client_secret: Secret::new("hush"),
                client_auth: ClientAuth::Basic,
                scopes: vec![],
            })
        };
        assert!(!mask("7f3c-acme-reports").text("client 7f3c-acme-reports: hush").contains("7f3c"));
        assert_eq!(mask("id").text("invalid_client hush"), "invalid_client [hidden]");
    }
}
