//! `posthaste serve`: settings → engine → signal → graceful stop.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::admin_key::{self, AdminKey};
use super::{SettingsArgs, data_dir, open_files, runtime, say, welcome};
use crate::engine::Engine;
use crate::settings::Settings;
use crate::telemetry;

/// Past the grace period the engine should have stopped long ago; nothing acknowledged is lost
/// by going without it.
const STOP_OVERTIME: Duration = Duration::from_secs(10);

pub(super) fn run(args: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let settings = Arc::new(args.load()?);
    telemetry::start(&settings.log)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    open_files::raise(&settings)?;
    if !settings.is_distributed() {
        data_dir::ensure(&settings.store.data_dir)?;
    }
    let key = admin_key::obtain(&settings)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(until_stopped(
        Arc::clone(&settings),
        key,
        async |engine, key| {
            welcome(&settings, key, engine);
            Ok(())
        },
    ));
    // A blocked thread must not hold up an exit that was asked for twice.
    runtime.shutdown_background();
    outcome
}

/// Runs the relay until a signal comes; does `begun` once it listens.
pub(super) async fn until_stopped(
    settings: Arc<Settings>,
    key: AdminKey,
    begun: impl AsyncFnOnce(&Engine, &AdminKey) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    // Before the engine, so that a signal during its start is heard.
    let mut signals = Signals::new()?;
    let engine = tokio::select! {
        started = Engine::start(Arc::clone(&settings), key.secret.clone()) => started?,
        name = signals.next() => {
            tracing::info!("{name} during the start: stopped before accepting anything");
            return Ok(ExitCode::SUCCESS);
        }
    };
    #[cfg(feature = "faults")]
    leave_to_chance(&engine)?;
    begun(&engine, &key).await?;
    tokio::select! {
        reason = engine.failed() => {
            // No graceful stop: the tree is past it, and the store has all that counts.
            tracing::error!("the engine cannot heal itself: {reason}");
            return Ok(ExitCode::FAILURE);
        }
        name = signals.next() => tracing::info!("{name}: stopping, a second signal exits at once"),
    }
    let limit = settings.server.shutdown_grace + STOP_OVERTIME;
    tokio::select! {
        stopped = tokio::time::timeout(limit, engine.stop()) => {
            stopped.context("the engine did not stop within its grace period")??;
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        name = signals.next() => {
            tracing::warn!("{name} again: exiting at once; what was in flight is sent again");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Lets actors panic at random where the environment asks for it: for the chaos suite, and only
/// in builds made for tests.
#[cfg(feature = "faults")]
fn leave_to_chance(engine: &Engine) -> anyhow::Result<()> {
    const NAME: &str = "POSTHASTE_FAULTS";
    let Ok(text) = std::env::var(NAME) else {
        return Ok(());
    };
    let chance = crate::faults::Chance::parse(&text)
        .map_err(|problem| anyhow::anyhow!("{NAME}: {problem}"))?;
    tracing::warn!("{NAME}={text}: panics are injected at random");
    engine.faults().leave_to(chance);
    Ok(())
}

fn welcome(settings: &Settings, key: &AdminKey, engine: &Engine) {
    let terminal = std::io::stdout().is_terminal();
    let program = std::env::current_exe();
    let program = program.map_or_else(|_| "posthaste".into(), |path| path.display().to_string());
    let (listen, standing_by) = (engine.listen_addr(), engine.standing_by());
    say(&welcome::text(
        settings,
        key,
        listen,
        standing_by,
        terminal,
        &program,
    ));
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
