//! The tenants of a process, and which of them a request is for.
//!
//! A tenant is found by the port that was called, or on a port for all of them by the first label of the `Host` header.
//! Nobody is ever guessed: who names no tenant gets none.

use std::sync::Arc;
use std::time::Duration;

use super::desk::Scorecard;
use super::request::MockRequest;
use super::server::{SharedTenant, TenantClock};

/// How many names a refusal lists.
const NAMES_TOLD: usize = 20;

/// A tenant with its name and its place.
pub(super) struct Resident {
    pub(super) name: String,
    /// Without a slash at its end; empty where nobody knows it.
    pub(super) base_url: String,
    pub(super) tenant: SharedTenant,
    pub(super) clock: TenantClock,
}

impl Resident {
    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// How its client behaves, or behaved if it is over. The lock is held for copying alone.
    pub(super) fn scorecard(&self, at_the_end: bool) -> Scorecard {
        let records = self.tenant.lock().records(self.now());
        Scorecard::new(&self.name, records, at_the_end)
    }
}

/// All tenants of a process.
#[derive(Default)]
pub(super) struct House {
    pub(super) residents: Vec<Resident>,
}

/// What listens: for one tenant, or for all of them.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) house: Arc<House>,
    /// Which one it is for; none where the host's name tells.
    pub(super) only: Option<usize>,
}

impl Door {
    /// The tenant that it is for before anything was said.
    pub(super) fn only_resident(&self) -> Option<&Resident> {
        self.only.and_then(|nth| self.house.residents.get(nth))
    }

    /// Whom the request is for.
    ///
    /// # Errors
    /// If there is no such tenant, in words that name those there are.
    pub(super) fn resident(&self, request: &MockRequest) -> Result<&Resident, String> {
        if let Some(resident) = self.only_resident() {
            return Ok(resident);
        }
        let host = request.header("host").unwrap_or_default();
        let label = host.split(['.', ':']).next().unwrap_or_default();
        let found = self.house.residents.iter().find(|resident| resident.name.eq_ignore_ascii_case(label));
        found.ok_or_else(|| self.unknown(host))
    }

    fn unknown(&self, host: &str) -> String {
        let host: String = host.chars().take(100).collect();
        let all = &self.house.residents;
        let mut known: Vec<&str> = all.iter().take(NAMES_TOLD).map(|resident| resident.name.as_str()).collect();
        let more = format!("and {} more", all.len().saturating_sub(NAMES_TOLD));
        if all.len() > NAMES_TOLD {
            known.push(&more);
        }
        format!("no tenant at {host:?}: its first label must be a tenant's name; known: {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::super::MockTenant;
    use super::*;

    fn house(names: &[&str]) -> Arc<House> {
        let resident = |name: &&str| Resident {
            name: (*name).to_owned(),
            base_url: String::new(),
            tenant: Arc::new(Mutex::new(MockTenant::builder().build())),
            clock: TenantClock::start_now(),
        };
        Arc::new(House { residents: names.iter().map(resident).collect() })
    }

    fn found(door: &Door, host: &str) -> Result<String, String> {
        let request = MockRequest::get("/", "t").with_header("Host", host);
        door.resident(&request).map(|resident| resident.name.clone())
    }

    #[tokio::test]
    async fn a_tenant_is_found_by_the_first_label_of_the_host_alone() {
        let door = Door { house: house(&["acme", "Other"]), only: None };
        for host in ["acme.localhost:8080", "ACME", "acme:80", "acme.test.example"] {
            assert_eq!(found(&door, host).as_deref(), Ok("acme"), "{host}");
        }
        assert_eq!(found(&door, "other.localhost").as_deref(), Ok("Other"));
        for host in ["localhost:8080", "127.0.0.1:8080", "", "x.acme.localhost", "acmes.localhost"] {
            let refusal = found(&door, host).unwrap_err();
            assert!(refusal.ends_with("known: acme, Other"), "{refusal}");
        }
    }

    #[tokio::test]
    async fn a_port_of_one_tenant_asks_for_no_name() {
        let door = Door { house: house(&["acme", "other"]), only: Some(1) };
        assert_eq!(found(&door, "acme.localhost").as_deref(), Ok("other"));
    }

    #[tokio::test]
    async fn of_many_names_some_are_told() {
        let names: Vec<String> = (0..50).map(|n| format!("t{n}")).collect();
        let door = Door { house: house(&names.iter().map(String::as_str).collect::<Vec<_>>()), only: None };
        assert!(found(&door, "x").unwrap_err().ends_with("t19, and 30 more"));
    }
}
