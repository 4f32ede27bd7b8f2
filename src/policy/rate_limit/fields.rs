//! Takes lists of items with parameters apart, as structured header fields write them (RFC 9651).
//!
//! Lenient where servers are: strings need no quotes, spaces stand where they like. It never fails; an item that makes
//! no sense has parts that make none, and whoever looks for a number finds none there.

/// Nobody has more quotas than this. An answer's head may hold thousands of commas.
const MOST_ITEMS: usize = 64;

/// Integers of structured fields have no more digits than this.
const MOST_DIGITS: usize = 15;

/// A member of a list or of a dictionary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    /// The bare item, or the key of a dictionary's member; without quotes.
    pub(super) name: &'a str,
    /// What the key stands for.
    pub(super) value: Option<&'a str>,
    params: Vec<(&'a str, &'a str)>,
}

impl<'a> Item<'a> {
    /// The parameter of that name; the last one where there are several.
    pub(super) fn param(&self, name: &str) -> Option<&'a str> {
        self.params.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// The items of a field, as far as anybody could mean them.
pub(super) fn items(field: &str) -> Vec<Item<'_>> {
    outside_quotes(field, ',').take(MOST_ITEMS).filter(|item| !item.trim().is_empty()).map(item).collect()
}

/// A number as structured fields have it, without a sign.
pub(super) fn digits(text: &str) -> Option<u64> {
    let is_number = (1..=MOST_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn item(text: &str) -> Item<'_> {
    let mut parts = outside_quotes(text, ';');
    let first = parts.next().unwrap_or_default().trim();
    let (name, value) = match key_and_value(first) {
        Some((key, value)) if !first.starts_with('"') => (key, Some(value)),
        _ => (first.trim_matches('"'), None),
    };
    Item { name, value, params: parts.filter_map(key_and_value).take(MOST_ITEMS).collect() }
}

fn key_and_value(text: &str) -> Option<(&str, &str)> {
    text.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
}

/// Splits at `mark`, but not within a string; a string that doesn't end takes everything with it.
fn outside_quotes(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == mark && !quoted,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_within_strings_are_part_of_them() {
        let items = items(r#""a,b;q=1\",\\";q=2 , c ; w=3;q="x,y", k=v, "open, q=9;w=1"#);
        assert_eq!(items.len(), 4);
        assert_eq!((items[0].name, items[0].param("q")), (r#"a,b;q=1\",\\"#, Some("2")));
        assert_eq!((items[1].name, items[1].param("w"), items[1].param("q")), ("c", Some("3"), Some(r#""x,y""#)));
        assert_eq!((items[2].name, items[2].value), ("k", Some("v")));
        assert_eq!(items[3].param("q"), None);
    }

    #[test]
    fn only_plain_numbers_of_up_to_fifteen_digits_are_numbers() {
        assert_eq!(digits("0"), Some(0));
        assert_eq!(digits("999999999999999"), Some(999_999_999_999_999));
        for bad in ["", "-1", "+1", "1.0", "1e3", " 1", "1000000000000000", "٣", "x"] {
            assert_eq!(digits(bad), None, "{bad}");
        }
    }
}
