//! Hides secrets wherever they turn up in text that others wrote.
//!
//! An echo may be escaped, encoded, wrapped or cut, and nobody can list the forms. So the text is read in every way
//! that [`views`] knows, and secrets are looked for in what is read; what they came from is hidden. Letter case doesn't
//! count. To hide too much does no harm.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::excerpt::{cut, escape};
use super::views::{View, spellings, views};
use crate::model::Secret;

/// What replaces a secret.
const HIDDEN: &str = "[hidden]";

/// Secrets are found by so many of their first bytes; shorter ones are looked for one by one.
const KEY: usize = 4;

/// So much of a secret's beginning is hidden even if it doesn't go on as the secret does.
const TELLING_PART: usize = 16;

/// So many tokens of a tenant are remembered: those that live for seconds come and go while an answer is on its way.
const MAX_ISSUED: usize = 256;

/// And no more of them than this many bytes.
const MAX_ISSUED_BYTES: usize = 512 * 1024;

/// Of a body, no more is looked at than this; far less is shown.
const MAX_READ: usize = 4 * 1024;

/// A secret as it is looked for: in small letters, without control characters.
type Needle = Arc<[u8]>;

/// The secret as it may be read. One that itself looks escaped is read wrongly, and has to be known so as well.
fn needles(secret: &str) -> Vec<Needle> {
    // Forms write a space as a plus.
    let plus = secret.contains(' ').then(|| secret.replace(' ', "+"));
    let written = [Some(secret), plus.as_deref()];
    let read = written.into_iter().flatten().flat_map(spellings);
    read.map(|view| view.bytes.to_ascii_lowercase().into()).collect()
}

/// What is looked for.
#[derive(Clone, Default)]
struct Needles {
    long: HashMap<[u8; KEY], Vec<Needle>>,
    short: Vec<Needle>,
}

impl Needles {
    fn shelf(&mut self, needle: &Needle) -> &mut Vec<Needle> {
        match needle.first_chunk::<KEY>() {
            Some(key) => self.long.entry(*key).or_default(),
            None => &mut self.short,
        }
    }

    /// False if it is there already.
    fn add(&mut self, needle: &Needle) -> bool {
        let shelf = self.shelf(needle);
        let is_new = !needle.is_empty() && !shelf.contains(needle);
        if is_new {
            shelf.push(needle.clone());
        }
        is_new
    }

    fn remove(&mut self, needle: &Needle) {
        self.shelf(needle).retain(|other| other != needle);
        self.long.retain(|_, shelf| !shelf.is_empty());
    }

    /// Notes where in the text something of this stands, as far as that view shows it.
    fn find(&self, view: &View, read: &[u8], found: &mut Vec<Range<usize>>) {
        for (at, key) in read.windows(KEY).enumerate() {
            let Some(shelf) = key.first_chunk::<KEY>().and_then(|key| self.long.get(key)) else { continue };
            let rest = &read[at..];
            for needle in shelf {
                let n = needle.iter().zip(rest).take_while(|(a, b)| a == b).count();
                let is_cut = n == rest.len();
                if n == needle.len() || n >= TELLING_PART || is_cut {
                    found.push(view.source(at..at + n));
                }
            }
        }
        if !view.is_decoded {
            for needle in &self.short {
                let hits = read.windows(needle.len()).enumerate().filter(|(_, part)| *part == &**needle);
                found.extend(hits.map(|(at, _)| view.source(at..at + needle.len())));
            }
        }
    }
}

/// The newest tokens that a tenant gave out, access and refresh tokens alike. Clones share them.
#[derive(Clone, Default)]
pub struct Issued(Arc<Mutex<Tokens>>);

#[derive(Default)]
struct Tokens {
    /// What each of them is looked for as.
    in_order: VecDeque<Vec<Needle>>,
    n_bytes: usize,
    needles: Needles,
}

impl Issued {
    /// This one was given out.
    pub(super) fn note(&self, token: &Secret) {
        let tokens = &mut *self.0.lock();
        let mut token = needles(token.expose());
        token.retain(|needle| tokens.needles.add(needle));
        if token.is_empty() {
            return;
        }
        tokens.n_bytes += n_bytes(&token);
        tokens.in_order.push_back(token);
        while tokens.in_order.len() > 1
            && (tokens.in_order.len() > MAX_ISSUED || tokens.n_bytes > MAX_ISSUED_BYTES)
            && let Some(oldest) = tokens.in_order.pop_front()
        {
            tokens.n_bytes -= n_bytes(&oldest);
            oldest.iter().for_each(|needle| tokens.needles.remove(needle));
        }
    }
}

fn n_bytes(needles: &[Needle]) -> usize {
    needles.iter().map(|needle| needle.len()).sum()
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued")
    }
}

/// Hides a tenant's secrets wherever they turn up in text that others wrote.
#[derive(Clone, Default)]
pub struct Mask {
    own: Arc<Needles>,
    issued: Issued,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// A mask for these secrets in every form in which an echo may bring them back.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut own = Needles::default();
        for needle in secrets.into_iter().flat_map(needles) {
            own.add(&needle);
        }
        Self { own: Arc::new(own), issued: Issued::default() }
    }

    /// The same mask, hiding whatever the tenant gives out, too.
    #[must_use]
    pub fn with_issued(self, issued: Issued) -> Self {
        Self { issued, ..self }
    }

    /// The text without the secrets, its control characters escaped.
    pub fn text(&self, text: &str) -> String {
        let mut found = Vec::new();
        {
            let issued = self.issued.0.lock();
            for view in views(text) {
                let read = view.bytes.to_ascii_lowercase();
                self.own.find(&view, &read, &mut found);
                issued.needles.find(&view, &read, &mut found);
            }
        }
        escape(&without(text, found))
    }

    /// The tenant's own words, cut where they are too many.
    pub fn words(&self, text: &str) -> String {
        cut(self.text(&text[..text.floor_char_boundary(MAX_READ)]))
    }

    /// The start of a body, quoted, without the secrets.
    pub fn excerpt(&self, body: &[u8]) -> String {
        // Masked before it is cut: half a secret is one too.
        let text = self.text(&String::from_utf8_lossy(&body[..body.len().min(MAX_READ)]));
        format!("“{}”", cut(text))
    }
}

/// The text with something else in the place of these parts.
fn without(text: &str, mut parts: Vec<Range<usize>>) -> String {
    parts.sort_unstable_by_key(|part| (part.start, part.end));
    let (mut out, mut shown_from) = (String::with_capacity(text.len()), 0);
    for part in parts {
        let end = text.ceil_char_boundary(part.end);
        if end <= shown_from {
            continue;
        }
        let start = text.floor_char_boundary(part.start);
        if start >= shown_from && !(start == shown_from && out.ends_with(HIDDEN)) {
            out.push_str(&text[shown_from..start]);
            out.push_str(HIDDEN);
        }
        shown_from = end;
    }
    out.push_str(&text[shown_from..]);
    out
}

#[cfg(test)]
mod tests;
