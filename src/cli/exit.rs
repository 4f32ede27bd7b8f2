//! Exit codes, and which of them wins.
//!
//! One table for the whole program: scripts and orchestrators decide by these numbers, so that they change only with
//! the major version.

use std::process::ExitCode;

use cxtract::state::StoreError;

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

/// Why the program ends, the most pressing reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Interrupted,
    Terminated,
    Usage,
    Failed,
    Parked,
    Done,
}

impl Exit {
    /// The number that the system sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Usage => 2,
            Self::Failed => 1,
            Self::Parked => 75,
            Self::Done => 0,
        }
    }

    /// The one reason that counts where there are several; done where there is none.
    pub(crate) fn worst(reasons: impl IntoIterator<Item = Self>) -> Self {
        reasons.into_iter().min().unwrap_or(Self::Done)
    }
}

/// Why something that was asked for can't be done, and how the program ends for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Trouble {
    /// Found before any request: the call, the configuration or what is stored does not fit.
    pub(crate) fn refused(why: &dyn std::fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: why.to_string() }
    }
}

impl From<StoreError> for Trouble {
    /// Whatever is wrong with the store, it is found before any request, and the remedy stands in its words. A full
    /// disk alone is no fault of anybody's: the same call works once there is room.
    fn from(error: StoreError) -> Self {
        let exit = if matches!(error, StoreError::Full { .. }) { Exit::Parked } else { Exit::Usage };
        Self { exit, message: error.to_string() }
    }
}

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_published_number() {
        let reasons = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Parked, Exit::Interrupted, Exit::Terminated];
        assert_eq!(reasons.map(Exit::code), [0, 1, 2, 75, 130, 143]);
    }

    #[test]
    fn d1_a_store_without_room_is_tried_again_and_any_other_trouble_with_it_is_not() {
        let full = StoreError::Full { doing: "opening it".into() };
        assert_eq!(Trouble::from(full).exit.code(), 75);
        assert_eq!(Trouble::from(StoreError::failed("opening it", "denied")).exit.code(), 2);
        assert_eq!(Trouble::from(StoreError::Damaged { what: "no database".into() }).exit.code(), 2);
    }

    #[test]
    fn of_several_outcomes_the_first_of_signal_usage_failed_parked_done_counts() {
        let cases: [(&[Exit], u8); 7] = [
            (&[], 0),
            (&[Exit::Done, Exit::Done], 0),
            (&[Exit::Done, Exit::Parked], 75),
            (&[Exit::Parked, Exit::Failed, Exit::Done], 1),
            (&[Exit::Failed, Exit::Usage, Exit::Parked], 2),
            (&[Exit::Parked, Exit::Interrupted, Exit::Usage, Exit::Failed], 130),
            (&[Exit::Failed, Exit::from(Signal::Terminate)], 143),
        ];
        for (reasons, code) in cases {
            assert_eq!(Exit::worst(reasons.iter().copied()).code(), code, "{reasons:?}");
        }
    }
}
