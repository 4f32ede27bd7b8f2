//! Many tenants in one process.
//!
//! Each has its own settings, limits, data and ledger; they share nothing but the process. Tenants stand in the order
//! in which they were named.

use std::io;

use super::builder::MockTenantBuilder;
use super::running::RunningMock;

/// The way to many mock tenants.
#[derive(Debug)]
pub struct MockHost;

impl MockHost {
    /// Starts without a tenant.
    pub fn builder() -> MockHostBuilder {
        MockHostBuilder::default()
    }
}

/// Collects tenants.
#[derive(Clone, Debug, Default)]
pub struct MockHostBuilder {
    tenants: Vec<(String, MockTenantBuilder)>,
}

impl MockHostBuilder {
    /// Adds a tenant of that name.
    #[must_use]
    pub fn tenant(mut self, name: &str, tenant: MockTenantBuilder) -> Self {
        self.tenants.push((name.to_owned(), tenant));
        self
    }

    /// Adds tenants.
    #[must_use]
    pub fn tenants(mut self, tenants: impl IntoIterator<Item = (String, MockTenantBuilder)>) -> Self {
        self.tenants.extend(tenants);
        self
    }

    /// Listens on loopback, on a port for each tenant.
    ///
    /// # Errors
    /// If a port can't be had.
    pub fn start(self) -> io::Result<RunningHost> {
        let tenants = self.tenants.into_iter().map(|(name, tenant)| Ok((name, tenant.start()?)));
        Ok(RunningHost { tenants: tenants.collect::<io::Result<_>>()? })
    }
}

/// Mock tenants that are listening. They stop when this is dropped.
#[derive(Debug)]
pub struct RunningHost {
    tenants: Vec<(String, RunningMock)>,
}

impl RunningHost {
    /// The tenants by their names, in order.
    pub fn tenants(&self) -> impl Iterator<Item = (&str, &RunningMock)> {
        self.tenants.iter().map(|(name, tenant)| (name.as_str(), tenant))
    }

    /// The tenant of that name.
    pub fn tenant(&self, name: &str) -> Option<&RunningMock> {
        self.tenants().find(|(known, _)| *known == name).map(|(_, tenant)| tenant)
    }
}
