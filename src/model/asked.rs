//! Which windows of a report an order means.

use super::Window;

/// Which windows of a report an order means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// What configuration and stored state make due: first what an earlier run left unfinished, then the present
    /// window.
    Due,
    /// This one, which follows from the configuration: completed, it moves the watermark of a `since` report.
    Configured(Window),
    /// Just this one, whatever is configured. It never moves a watermark.
    Given(Window),
}
