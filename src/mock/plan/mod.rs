//! Tenants' settings as text: the plan files of `cxtract mock`, and the stories in `examples/plans/`.
//!
//! YAML, read strictly: an unknown key is an error that names it, its line and what is known there. Either one tenant's
//! settings stand at the top, or `tenants:` has several by name, and then what stands beside it holds for all of them.
//! Whatever the builder can do can be written here; `docs/MOCK_PLANS.md` has every key.

mod columns;
mod error;
mod fates;
mod faults;
mod limits;
mod report;
mod tenant;
#[cfg(test)]
mod tests;
mod then;
mod token;
mod words;

use std::collections::HashSet;
use std::path::Path;

use serde_saphyr::{Location, Spanned};

use self::tenant::{Named, TenantText};
use super::builder::MockTenantBuilder;

pub use self::error::PlanError;

/// How many tenants a plan may come to: each wants a port.
const MOST_TENANTS: usize = 10_000;

/// What a plan file describes: tenants with their names.
#[derive(Clone, Debug)]
pub struct MockPlan {
    /// What it shows, for people.
    pub about: String,
    /// The tenants, in the order of the file. One that stands for itself is called `mock`.
    pub tenants: Vec<(String, MockTenantBuilder)>,
}

impl MockPlan {
    /// Reads the text of a plan. Files that it names stand in `folder`.
    ///
    /// A tenant with `count: N` becomes N of them, `NAME-1` to `NAME-N`. Of several tenants each has data of its own:
    /// the nth one's seed is the `seed` that it is given, or else the one at the top (1 if there is none), plus n.
    ///
    /// # Errors
    /// If it can't be used; the text names line, column, key and what is known.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, PlanError> {
        Self::of(text, folder).map_err(|error| error.showing(text))
    }

    fn of(text: &str, folder: &Path) -> Result<Self, PlanError> {
        let mut top = read(text)?;
        if let Some(count) = &top.count {
            return Err(PlanError::at(
                count.referenced,
                "`count` stands under a tenant's name: tenants: {acme: {count: 5}}",
            ));
        }
        let about = top.about.take().map(|about| about.value).unwrap_or_default();
        let seed = top.seed.unwrap_or(1);
        let named = top.tenants.take();
        let only_named = top.only_named(None);
        let shared = top.lay(MockTenantBuilder::default(), folder)?;
        let tenants = match named {
            None => {
                reject_reportless(&shared, only_named)?;
                vec![("mock".to_owned(), shared)]
            }
            Some(named) => several(named, &shared, only_named, seed, folder)?,
        };
        Ok(Self { about, tenants })
    }

    /// Reads a plan file. Files that it names stand in its folder.
    ///
    /// # Errors
    /// If it can't be read or used; the text names the file as well.
    pub fn read(file: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(file).map_err(|error| PlanError::unreadable(file, &error))?;
        Self::parse(&text, file.parent().unwrap_or(Path::new("."))).map_err(|error| error.in_file(file))
    }
}

fn read(text: &str) -> Result<TenantText, PlanError> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    // A file of comments alone, or none at all, is a tenant with every default.
    let plan: Option<TenantText> = serde_saphyr::from_str_with_options(text, options)?;
    Ok(plan.unwrap_or_default())
}

fn several(
    named: Spanned<Named>,
    shared: &MockTenantBuilder,
    only_named: Option<Location>,
    seed: u64,
    folder: &Path,
) -> Result<Vec<(String, MockTenantBuilder)>, PlanError> {
    let mut tenants: Vec<(String, MockTenantBuilder)> = Vec::new();
    let mut known = HashSet::new();
    let place = named.referenced;
    for (name, mut settings) in named.value.0 {
        reject_nested(&settings)?;
        let count = settings.count.take();
        let first_seed = settings.seed.unwrap_or(seed.wrapping_add(tenants.len() as u64));
        let only_named = settings.only_named(only_named);
        let tenant = settings.lay(shared.clone(), folder)?;
        reject_reportless(&tenant, only_named)?;
        let names = match &count {
            None => vec![name.value.clone()],
            Some(count) if (1..=MOST_TENANTS).contains(&count.value) => {
                (1..=count.value).map(|nth| format!("{}-{nth}", name.value)).collect()
            }
            Some(count) => {
                return Err(PlanError::at(count.referenced, format!("`count` is from 1 to {MOST_TENANTS}")));
            }
        };
        for (nth, full) in names.into_iter().enumerate() {
            if !is_name(&full) {
                let what =
                    format!("`{full}` is no tenant's name: 1 to 64 letters, digits, `-` and `_`, the first no sign");
                return Err(PlanError::at(name.referenced, what));
            }
            if !known.insert(full.to_ascii_lowercase()) {
                return Err(PlanError::at(name.referenced, format!("there is a tenant `{full}` already")));
            }
            tenants.push((full, tenant.clone().seed(first_seed.wrapping_add(nth as u64))));
        }
        if tenants.len() > MOST_TENANTS {
            return Err(PlanError::at(name.referenced, format!("more than {MOST_TENANTS} tenants")));
        }
    }
    if tenants.is_empty() {
        return Err(PlanError::at(place, "`tenants` names none: write one as `acme: {}`, or leave the key out"));
    }
    Ok(tenants)
}

fn reject_nested(settings: &TenantText) -> Result<(), PlanError> {
    let place = |what: &str, at| Err(PlanError::at(at, format!("`{what}` stands at the top of the file only")));
    match (&settings.tenants, &settings.about) {
        (Some(tenants), _) => place("tenants", tenants.referenced),
        (_, Some(about)) => place("about", about.referenced),
        _ => Ok(()),
    }
}

// A test may still name reports in code, so that this holds for whole plans alone.
fn reject_reportless(tenant: &MockTenantBuilder, only_named: Option<Location>) -> Result<(), PlanError> {
    match only_named {
        Some(place) if !tenant.has_default_report() && tenant.templates().is_empty() => {
            let what = "`only_named_reports` refuses every submission, for no report is named: write \
                        `reports: {TEMPLATE: {rows: 500}}` beside it, or leave it out";
            Err(PlanError::at(place, what))
        }
        _ => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    let is_sign = |byte: u8| matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
        && !text.bytes().next().is_some_and(is_sign)
}

impl MockTenantBuilder {
    /// Lays one tenant's settings, written as in a plan, over what is set so far. Files that they name stand in the
    /// working folder.
    ///
    /// ```
    /// use cxtract::mock::MockTenant;
    ///
    /// let plan = "
    ///     requests_per_second: 20
    ///     rate_changes: [{at: 1m, requests_per_second: 5}]
    ///     quotas: [{calls: 600, per: 1m}]
    ///     token: {life: 10m, refresh: rotating, revoked_at: [90s]}
    ///     default_report: {rows: 5000, link: proper}
    ///     faults:
    ///       ## The first try of each page is cut off.
    ///       - on: {kind: page, each: true, first: 1}
    ///         then: {cut_at: 700}
    /// ";
    /// let tenant = MockTenant::builder().plan(plan)?.build();
    /// # Ok::<(), cxtract::mock::PlanError>(())
    /// ```
    ///
    /// # Errors
    /// If they can't be used, or name several tenants: those are for [`MockPlan`].
    pub fn plan(self, text: &str) -> Result<Self, PlanError> {
        self.of_one(text).map_err(|error| error.showing(text))
    }

    fn of_one(self, text: &str) -> Result<Self, PlanError> {
        let settings = read(text)?;
        let several = settings.tenants.as_ref().map(|tenants| tenants.referenced);
        if let Some(place) = several.or(settings.count.as_ref().map(|count| count.referenced)) {
            return Err(PlanError::at(place, "one tenant's settings are due here, and these are for several"));
        }
        settings.lay(self, Path::new(""))
    }
}
