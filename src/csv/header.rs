//! Which first records are headers: page 1's is, and later pages may repeat it.
//!
//! Headers are compared by their fields, so that quoting, a byte order mark or another line ending makes no
//! difference. Pages are judged in page order, since whether other names mean a changed schema or plainly a
//! row hangs on what the pages between did. The state is small and can be stored. It never looks past first records.

use serde::{Deserialize, Serialize};

use crate::model::{FirstRecord, PageNumber};

/// How many names a message shows before it says that there are more.
const NAMES_SHOWN: usize = 20;
/// How many characters of one name a message shows.
const NAME_CHARS_SHOWN: usize = 60;

/// What a page's first record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderVerdict {
    /// The report's header.
    Header,
    /// The header once more: drop these many bytes after the byte order mark.
    Repeated {
        /// Length of the record's raw bytes.
        n_bytes: u64,
    },
    /// A row like the others.
    Row,
    /// The columns are not what they were: nothing may be published.
    Changed {
        /// Which columns, for people.
        message: String,
    },
}

/// Judges the first records of a query's pages, in page order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderRule {
    names: Option<Vec<Vec<u8>>>,
    // Pages judged after the one that brought the header, over all parts of a split report.
    n_later: u64,
    all_repeated: bool,
}

impl Default for HeaderRule {
    fn default() -> Self {
        Self::new()
    }
}

impl HeaderRule {
    /// A rule that has seen no page.
    pub fn new() -> Self {
        Self { names: None, n_later: 0, all_repeated: true }
    }

    /// The header's fields, once page 1 was judged.
    pub fn names(&self) -> Option<&[Vec<u8>]> {
        self.names.as_deref()
    }

    /// How many fields every record is to have, once page 1 was judged.
    pub fn n_columns(&self) -> Option<u64> {
        self.names.as_ref().map(|names| names.len() as u64)
    }

    /// Whether a page of `n_records` records holds no row, being empty or the header alone; none while that hangs on
    /// page 1, which is still to come. May be asked of any page at any time, before its turn to be judged.
    pub fn is_without_rows(&self, page: PageNumber, n_records: u64, first: Option<&FirstRecord>) -> Option<bool> {
        match (n_records, first) {
            (0, _) | (_, None) => Some(true),
            (1, _) if page == PageNumber::FIRST && self.names.is_none() => Some(true),
            (1, Some(first)) => self.names.as_ref().map(|names| *names == first.fields),
            _ => Some(false),
        }
    }

    /// Judges the next page's first record.
    pub fn judge(&mut self, page: PageNumber, first: &FirstRecord) -> HeaderVerdict {
        let Some(names) = &self.names else {
            self.names = Some(first.fields.clone());
            return HeaderVerdict::Header;
        };
        let n_between = self.n_later;
        self.n_later += 1;
        if *names == first.fields {
            return HeaderVerdict::Repeated { n_bytes: first.raw.len() as u64 };
        }
        if sorted(names) == sorted(&first.fields) {
            return HeaderVerdict::Changed { message: reordered(page, names, &first.fields) };
        }
        // Where there are pages between and each of them repeated the header, so would this one.
        if n_between > 0 && self.all_repeated {
            return HeaderVerdict::Changed { message: renamed(page, names, &first.fields) };
        }
        self.all_repeated = false;
        HeaderVerdict::Row
    }
}

fn sorted(names: &[Vec<u8>]) -> Vec<&[u8]> {
    let mut names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    names.sort_unstable();
    names
}

fn reordered(page: PageNumber, due: &[Vec<u8>], found: &[Vec<u8>]) -> String {
    let at = due.iter().zip(found).position(|(a, b)| a != b).unwrap_or(0);
    format!(
        "page {page}: the columns stand in another order from column {} on: {} instead of {}",
        at + 1,
        listed(found.iter().skip(at)),
        listed(due.iter().skip(at)),
    )
}

fn renamed(page: PageNumber, due: &[Vec<u8>], found: &[Vec<u8>]) -> String {
    let gone: Vec<_> = due.iter().filter(|name| !found.contains(name)).collect();
    let new: Vec<_> = found.iter().filter(|name| !due.contains(name)).collect();
    format!(
        "page {page}: its first record is not the header that the pages before it began with: {} missing, {} instead",
        listed(gone.into_iter()),
        listed(new.into_iter()),
    )
}

fn listed<'a>(mut names: impl Iterator<Item = &'a Vec<u8>>) -> String {
    let shown: Vec<String> = names.by_ref().take(NAMES_SHOWN).map(|name| quoted(name)).collect();
    match (shown.is_empty(), names.count()) {
        (true, _) => "nothing".to_owned(),
        (_, 0) => shown.join(", "),
        (_, n) => format!("{} and {n} more", shown.join(", ")),
    }
}

fn quoted(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let short: String = text.chars().take(NAME_CHARS_SHOWN).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    // Debug formatting escapes control characters, which a tenant may have put there.
    format!("{short:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::fields_of;

    fn record(raw: &str) -> FirstRecord {
        FirstRecord { raw: raw.as_bytes().to_vec(), fields: fields_of(raw.as_bytes()) }
    }

    /// What each page's first record was judged to be: H, = (repeated), r (row), ! (changed).
    fn verdicts(pages: &[&str]) -> String {
        let mut rule = HeaderRule::new();
        pages
            .iter()
            .zip(1..)
            .map(|(raw, n)| match rule.judge(PageNumber(n), &record(raw)) {
                HeaderVerdict::Header => 'H',
                HeaderVerdict::Repeated { .. } => '=',
                HeaderVerdict::Row => 'r',
                HeaderVerdict::Changed { .. } => '!',
            })
            .collect()
    }

    mod faults {
        use super::*;

        #[test]
        fn c4_a_repeated_header_is_dropped_whatever_its_quoting_or_line_ending() {
            let mut rule = HeaderRule::new();
            rule.judge(PageNumber(1), &record("id,name\n"));
            let verdict = rule.judge(PageNumber(2), &record("\"id\",\"name\"\r\n"));
            assert_eq!(verdict, HeaderVerdict::Repeated { n_bytes: 13 });
            assert_eq!(rule.judge(PageNumber(3), &record("id,name")), HeaderVerdict::Repeated { n_bytes: 7 });
        }

        #[test]
        fn c4_pages_need_not_repeat_the_header() {
            assert_eq!(verdicts(&["id,name", "1,a", "2,b", "3,c"]), "Hrrr");
            assert_eq!(verdicts(&["id,name", "1,a", "id,name", "3,c"]), "Hr=r");
        }

        #[test]
        fn c4_the_same_names_in_another_order_are_a_changed_schema() {
            assert_eq!(verdicts(&["id,name", "name,id"]), "H!");
            assert_eq!(verdicts(&["id,name", "1,a", "name,id"]), "Hr!");
        }

        #[test]
        fn c4_other_names_are_a_changed_schema_where_every_page_between_repeated_the_header() {
            assert_eq!(verdicts(&["id,name", "id,title"]), "Hr");
            assert_eq!(verdicts(&["id,name", "id,name", "id,title"]), "H=!");
            assert_eq!(verdicts(&["id,name", "id,name", "id,name", "1,a"]), "H==!");
            assert_eq!(verdicts(&["id,name", "1,a", "id,name", "id,title"]), "Hr=r");
        }

        #[test]
        fn c4_the_message_names_the_columns() {
            let mut rule = HeaderRule::new();
            rule.judge(PageNumber(1), &record("id,name,at"));
            rule.judge(PageNumber(2), &record("id,name,at"));
            let HeaderVerdict::Changed { message } = rule.judge(PageNumber(3), &record("id,\"ti\u{1b}tle\",at")) else {
                panic!("other names after a repeated header")
            };
            assert!(message.starts_with("page 3"), "{message}");
            assert!(message.contains(r#""name" missing"#) && message.contains(r#""ti\u{1b}tle" instead"#), "{message}");
            let mut rule = HeaderRule::new();
            rule.judge(PageNumber(1), &record("id,name,at"));
            let HeaderVerdict::Changed { message } = rule.judge(PageNumber(2), &record("id,at,name")) else {
                panic!("the same names in another order")
            };
            assert!(message.contains(r#"column 2 on: "at", "name" instead of "name", "at""#), "{message}");
        }

        #[test]
        fn c7_a_page_of_the_header_alone_has_no_rows() {
            let mut rule = HeaderRule::new();
            let header = record("id,name\n");
            assert_eq!(rule.is_without_rows(PageNumber(1), 1, Some(&header)), Some(true));
            assert_eq!(rule.is_without_rows(PageNumber(1), 2, Some(&header)), Some(false));
            assert_eq!(rule.is_without_rows(PageNumber(5), 1, Some(&header)), None);
            assert_eq!(rule.is_without_rows(PageNumber(5), 0, None), Some(true));
            rule.judge(PageNumber(1), &header);
            assert_eq!(rule.is_without_rows(PageNumber(5), 1, Some(&record("\"id\",name"))), Some(true));
            assert_eq!(rule.is_without_rows(PageNumber(5), 1, Some(&record("1,a"))), Some(false));
        }
    }

    #[test]
    fn c4_the_parts_of_a_split_are_judged_like_the_pages_of_one() {
        let judged = |raws: &[(u64, &str)]| {
            let mut rule = HeaderRule::new();
            let verdict = |(page, raw): &(u64, &str)| rule.judge(PageNumber(*page), &record(raw));
            raws.iter().map(verdict).last().unwrap()
        };
        let header = (1, "id,name\n");
        assert_eq!(judged(&[header, header]), HeaderVerdict::Repeated { n_bytes: 8 });
        // No page repeated it, and so the first page of the next part need not either.
        assert_eq!(judged(&[header, (2, "1,a"), (1, "2,b")]), HeaderVerdict::Row);
        assert!(matches!(judged(&[header, (2, "id,name"), (1, "id,title")]), HeaderVerdict::Changed { .. }));
        assert!(matches!(judged(&[header, (1, "name,id")]), HeaderVerdict::Changed { .. }));
    }

    #[test]
    fn a_stored_rule_judges_as_the_one_it_was_stored_from() {
        let mut rule = HeaderRule::new();
        rule.judge(PageNumber(1), &record("id,name\n"));
        rule.judge(PageNumber(2), &record("id,name\n"));
        let stored = serde_json::to_string(&rule).unwrap();
        let read: HeaderRule = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, rule);
        assert_eq!(read.n_columns(), Some(2));
    }
}
