//! Logs: set up once, by the binary. They go to stderr; stdout belongs to what people asked for.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use self::flood_guard::FloodGuard;
use crate::settings::LogSettings;

mod flood_guard;

/// Sends logs to stderr from now on, panics included: they would break JSON lines otherwise. A
/// line that cannot be written (the disk that the log is on is full) is gone; nothing else is.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(&settings.filter)
        .context("log.filter")?;
    let guard = FloodGuard::start().context("the log's thread cannot be started")?;
    let lines = tracing_subscriber::fmt::layer()
        // Else the failure to write is itself printed to stderr, where it panics, and so does
        // the hook that logs panics: the process would abort.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let lines = if settings.json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(guard)
        .with(lines)
        .try_init();
    started.map_err(|error| anyhow::anyhow!("logs cannot be set up: {error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, thread, "panic: {message}");
    }));
    Ok(())
}
