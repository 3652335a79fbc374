//! Logs: to standard error, as text or JSON lines.
//!
//! In: a format and a filter, by flag or environment. Out: the process's one subscriber.

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logs cannot be written as asked.
#[derive(Debug, Error)]
pub(super) enum LogError {
    /// The filter is no filter.
    #[error("the log filter {0:?} cannot be read: {1}; write error, warn, info, or warn,cqlgate::scim=info")]
    Filter(String, tracing_subscriber::filter::ParseError),
    /// `CQLGATE_LOG_FORMAT` names no format.
    #[error("CQLGATE_LOG_FORMAT is {0:?}; write text or json")]
    Format(String),
    /// There is a subscriber already.
    #[error("logs were started twice: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging. What the flags leave open, `CQLGATE_LOG_FORMAT` and `CQLGATE_LOG` say.
pub(super) fn start(format: Option<LogFormat>, filter: Option<&str>) -> Result<(), LogError> {
    let environment = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let format = match format {
        Some(format) => format,
        None => named(environment("CQLGATE_LOG_FORMAT").as_deref())?,
    };
    let filter = filter.map(str::to_owned).or_else(|| environment("CQLGATE_LOG"));
    let filter = filter_of(filter.as_deref().unwrap_or("info"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).finish().try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

fn named(format: Option<&str>) -> Result<LogFormat, LogError> {
    match format {
        None => Ok(LogFormat::default()),
        Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => Err(LogError::Format(other.to_owned())),
    }
}

fn filter_of(text: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(text).map_err(|error| LogError::Filter(text.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_formats_and_filters_are_refused() {
        assert_eq!(named(None).unwrap(), LogFormat::Text);
        assert_eq!(named(Some("json")).unwrap(), LogFormat::Json);
        assert!(named(Some("JSON")).is_err());
        assert!(filter_of("warn,cqlgate::scim=info").is_ok());
        assert!(filter_of("cqlgate=loud").is_err());
    }
}
