//! Logs: to stderr only, as text or JSON, through the screen so that bars stay whole.
//!
//! Libraries below us never log finer than `info`, whatever is asked for: their finer lines may hold whole requests,
//! headers with tokens included.

use std::io::IsTerminal;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::args::{LogFormat, LogLevel};
use super::screen::Screen;

/// Starts logging and reports panics as log lines, which bars would otherwise paint over.
///
/// # Errors
/// If `RUST_LOG` makes no sense.
pub(crate) fn start(level: Option<LogLevel>, format: LogFormat, screen: &Screen) -> Result<(), String> {
    let environment = std::env::var("RUST_LOG").ok();
    let directives = directives(level, environment.as_deref());
    let filter = EnvFilter::try_new(&directives)
        .map_err(|error| format!("RUST_LOG={directives} can't be read ({error}); write it like cxtract=debug"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(screen.clone());
    let layer = match format {
        LogFormat::Text => lines.with_target(false).with_ansi(colours()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter_fn(is_safe))).with(filter).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(at = place, "internal fault: {message}");
    }));
    Ok(())
}

/// What is logged: the option, else the environment, else `info` for us and `warn` for libraries.
fn directives(level: Option<LogLevel>, environment: Option<&str>) -> String {
    match (level, environment) {
        (Some(LogLevel::Off), _) => "off".to_owned(),
        (Some(LogLevel::Error), _) => "error".to_owned(),
        (Some(LogLevel::Warn), _) => "warn".to_owned(),
        (Some(LogLevel::Info), _) => "warn,cxtract=info".to_owned(),
        (Some(LogLevel::Debug), _) => "warn,cxtract=debug".to_owned(),
        (Some(LogLevel::Trace), _) => "warn,cxtract=trace".to_owned(),
        (None, Some(directives)) if !directives.trim().is_empty() => directives.to_owned(),
        (None, _) => "warn,cxtract=info".to_owned(),
    }
}

fn is_safe(metadata: &Metadata<'_>) -> bool {
    let ours = metadata.target() == "cxtract" || metadata.target().starts_with("cxtract::");
    ours || *metadata.level() <= LevelFilter::INFO
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_beats_the_environment_which_beats_the_default() {
        assert_eq!(directives(Some(LogLevel::Debug), Some("trace")), "warn,cxtract=debug");
        assert_eq!(directives(None, Some("cxtract=trace")), "cxtract=trace");
        assert_eq!(directives(None, Some(" ")), "warn,cxtract=info");
        assert_eq!(directives(None, None), "warn,cxtract=info");
    }

    #[test]
    fn every_choice_of_level_is_a_filter() {
        for level in [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace]
        {
            assert!(EnvFilter::try_new(directives(Some(level), None)).is_ok());
        }
    }

    #[test]
    fn fine_lines_of_libraries_are_never_logged() {
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        struct Collect(std::sync::Arc<std::sync::Mutex<Vec<String>>>);
        impl<S: tracing::Subscriber> Layer<S> for Collect {
            fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
                self.0.lock().unwrap().push(format!("{} {}", event.metadata().target(), event.metadata().level()));
            }
        }
        let subscriber = tracing_subscriber::registry().with(Collect(seen.clone()).with_filter(filter_fn(is_safe)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "awc", "Authorization: …");
            tracing::trace!(target: "cxtractor", "not us either");
            tracing::info!(target: "awc", "harmless");
            tracing::trace!(target: "cxtract::engine", "ours");
        });
        assert_eq!(*seen.lock().unwrap(), ["awc INFO", "cxtract::engine TRACE"]);
    }
}
