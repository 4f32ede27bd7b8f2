//! What goes with a call, and who hears of its answer first.

use std::rc::Rc;
use std::time::Duration;

use crate::model::AccessToken;
use crate::policy::rate_limit::RateHint;
use crate::transport::MayGo;

/// What every call with a token needs.
pub struct Call<'a> {
    /// The token to send.
    pub token: &'a AccessToken,
    /// Who let the call out.
    pub watch: &'a dyn Watch,
}

/// Whoever let a call out, and hears at once what the head of its answer means for all others.
pub trait Watch {
    /// The head of an answer is here.
    fn answered(&self);
    /// The tenant asks for a pause: status code and length.
    fn told_to_wait(&self, status: u16, wait: Option<Duration>);
    /// The tenant tells of its quotas.
    fn told_quotas(&self, hint: &RateHint);
    /// What is asked when the call had to wait for its connection.
    fn may_go(&self) -> Option<MayGo>;
}

/// A call that nobody had to let out, as to a token endpoint elsewhere.
impl<W: Watch> Watch for Option<Rc<W>> {
    fn answered(&self) {
        if let Some(watch) = self {
            watch.answered();
        }
    }

    fn told_to_wait(&self, status: u16, wait: Option<Duration>) {
        if let Some(watch) = self {
            watch.told_to_wait(status, wait);
        }
    }

    fn told_quotas(&self, hint: &RateHint) {
        if let Some(watch) = self {
            watch.told_quotas(hint);
        }
    }

    fn may_go(&self) -> Option<MayGo> {
        self.as_ref().and_then(|watch| watch.may_go())
    }
}
