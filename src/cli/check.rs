//! `cxtract check`: is the configuration good, and does each tenant give out a token? Nothing is submitted.

use std::path::Path;

use actix::System;
use cxtract::model::TenantName;
use cxtract::{Engine, Failure};
use futures::future::join_all;

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::signals::Signals;
use crate::cli::{limits, refuse, setup, words};

/// Runs the command.
pub(crate) fn check(file: Option<&Path>, screen: &Screen) -> Exit {
    let mut config = match setup::load(file, &[]) {
        Ok(config) => config,
        Err(problem) => return refuse(screen, &problem),
    };
    if let Err(problem) = limits::open_files() {
        return refuse(screen, &problem);
    }
    let tenants = setup::tenants(&config);
    let _mocks = match setup::start_mocks(&mut config) {
        Ok(mocks) => mocks,
        Err(problem) => return refuse(screen, &problem),
    };
    System::new().block_on(async {
        let engine = match Engine::builder().config(config).all_tenants().start() {
            Ok(engine) => engine,
            Err(error) => return refuse(screen, &error.to_string()),
        };
        let mut signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => return refuse(screen, &format!("signals can't be caught: {error}")),
        };
        let asked = join_all(tenants.iter().map(|tenant| async {
            let answer = engine.check_tenant(tenant).await;
            screen.lines(vec![line(tenant, &answer)]);
            exit(&answer)
        }));
        tokio::select! {
            exits = asked => Exit::worst(exits),
            signal = signals.next() => signal.into(),
        }
    })
}

fn line(tenant: &TenantName, answer: &Result<(), Failure>) -> String {
    match answer {
        Ok(()) => format!("{tenant}: ok, it gave out a token"),
        Err(failure) => format!("{tenant}: {}", words::escaped(&failure.to_string())),
    }
}

fn exit(answer: &Result<(), Failure>) -> Exit {
    if answer.is_ok() { Exit::Done } else { Exit::Failed }
}

#[cfg(test)]
mod tests {
    use cxtract::model::FailureClass;

    use super::*;

    #[test]
    fn a_tenant_that_refuses_is_named_with_the_reason() {
        let refused = Err(Failure::new(FailureClass::Auth, "invalid_client\u{1b}[2J"));
        assert_eq!(line(&TenantName::new("acme"), &refused), "acme: credentials refused: invalid_client\\u{1b}[2J");
        assert_eq!(exit(&refused).code(), 1);
        assert_eq!(exit(&Ok(())).code(), 0);
    }
}
