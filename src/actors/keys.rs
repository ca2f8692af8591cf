//! Looks after the keyring and the sessions: fetches what other nodes changed, in case nobody told,
//! and stores now and then when they were used. Who is let in hangs on the directory as well, by what
//! is known of tenants: a process that neither commits nor sweeps would never look there itself. Tidies
//! up what is remembered of callers.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::warn;

use super::deps::Deps;
use super::timer::{Pause, Timer};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::id::{ApiKeyId, SessionId};
use crate::domain::session::Session;
use crate::events::EngineEvent;
use crate::feed::Notice;
use crate::store::{Moved, Result, SessionChanges, StoreError};

/// How often it is stored when keys and sessions were used: one statement for all of them.
const STORE_USES: Duration = Duration::from_secs(60);
/// It is stored at least so many times within the time after which a session ends that is not used,
/// so that other nodes do not take it for one.
const USES_WITHIN_IDLE: u32 = 4;

/// What the keys' actor is told.
#[derive(Debug)]
pub enum KeysMessage {
    /// Look.
    Look,
    /// The look has ended; it stored the uses, or tried to.
    Done(bool),
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
    looking: bool,
    /// Somebody told of a change after the look began.
    again: bool,
    until_uses: Pause,
    timer: Timer<KeysMessage>,
}

/// See the module's documentation.
pub struct Keys;

impl Actor for Keys {
    type Msg = KeysMessage;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<KeysMessage>,
        deps: Arc<Deps>,
    ) -> std::result::Result<State, ActorProcessingErr> {
        deps.keys.set(myself.clone());
        let _ = myself.cast(KeysMessage::Look);
        Ok(State {
            looking: false,
            again: false,
            until_uses: Pause::begin(between_uses(&deps)),
            deps,
            timer: Timer::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<KeysMessage>,
        message: KeysMessage,
        state: &mut State,
    ) -> std::result::Result<(), ActorProcessingErr> {
        match message {
            KeysMessage::Look if state.looking => state.again = true,
            KeysMessage::Look => state.start(&myself),
            KeysMessage::Done(stored_uses) => {
                state.looking = false;
                if stored_uses {
                    state.until_uses = Pause::begin(between_uses(&state.deps));
                }
                if std::mem::take(&mut state.again) {
                    state.start(&myself);
                } else {
                    let pause = state.deps.settings.auth.keys_refresh;
                    state.timer.arm(&myself, pause, || KeysMessage::Look);
                }
            }
        }
        Ok(())
    }
}

fn between_uses(deps: &Deps) -> Duration {
    STORE_USES.min(deps.settings.sessions.idle / USES_WITHIN_IDLE)
}

impl State {
    fn start(&mut self, myself: &ActorRef<KeysMessage>) {
        self.looking = true;
        let deps = Arc::clone(&self.deps);
        let store_uses = self.until_uses.left().is_zero();
        let done = Done(myself.clone(), store_uses);
        tokio::spawn(async move {
            look(&deps, store_uses).await;
            drop(done);
        });
    }
}

/// Tells that the look has ended, also where it panicked.
struct Done(ActorRef<KeysMessage>, bool);

impl Drop for Done {
    fn drop(&mut self) {
        let _ = self.0.cast(KeysMessage::Done(self.1));
    }
}

async fn look(deps: &Deps, store_uses: bool) {
    deps.limits.tidy();
    let looked = async {
        if deps.store.keyring_version().await? != deps.keyring.version() {
            deps.refresh_keys().await?;
        }
        if deps.store.directory_version().await? != deps.directory.version() {
            deps.refresh_directory().await?;
        }
        if deps.store.sessions_version().await? != deps.sessions.version() {
            deps.refresh_sessions().await?;
        }
        if store_uses {
            deps.store_key_uses().await?;
            deps.store_session_uses(deps.sessions.unstored_uses())
                .await?;
        }
        Ok::<_, StoreError>(())
    };
    // Known keys and sessions go on working from memory.
    if let Err(problem) = looked.await {
        warn!(%problem, "keys, sessions and tenants that other processes changed are looked for again");
    }
}

impl Deps {
    /// Fetches what changed of the keys since the version that is known.
    pub async fn refresh_keys(&self) -> Result<()> {
        let changes = self.store.keyring_since(self.keyring.version()).await?;
        let kept = clock::now().minus(self.settings.auth.ended_keys);
        if self.keyring.apply(changes.version, &changes.keys, kept) {
            let version = self.keyring.version();
            self.events.tell(|| EngineEvent::KeysChanged { version });
        }
        Ok(())
    }

    /// Stores when keys were used, where that is not stored yet.
    pub async fn store_key_uses(&self) -> Result<()> {
        let uses = self.keyring.unstored_uses();
        if !uses.is_empty() {
            self.store.note_key_uses(&uses).await?;
            self.keyring.note_stored(&uses);
        }
        Ok(())
    }
}

impl Deps {
    /// Fetches what changed of the sessions since the version that is known.
    pub async fn refresh_sessions(&self) -> Result<()> {
        let known = self.sessions.version();
        let changes = self.store.sessions_since(known).await?;
        let now = clock::now();
        let SessionChanges {
            version,
            open,
            ended,
        } = &changes;
        if self.sessions.apply(*version, open, ended, now) {
            let version = self.sessions.version();
            self.events
                .tell(|| EngineEvent::SessionsChanged { version });
        }
        Ok(())
    }

    /// Stores when sessions were used. Others hear of it when they look.
    pub async fn store_session_uses(&self, uses: Vec<(SessionId, Timestamp)>) -> Result<()> {
        if !uses.is_empty() {
            self.store.note_session_uses(&uses).await?;
            self.sessions.note_stored(&uses);
        }
        Ok(())
    }
}

impl super::Relay {
    /// A user or a session changed in the store: brings what this node knows up to date and tells the
    /// others.
    pub async fn accounts_changed(&self) {
        self.deps.feed.announce(Notice::Keys);
        if let Err(problem) = self.deps.refresh_sessions().await {
            warn!(%problem, "the sessions are brought up to date later");
        }
    }

    /// A session was opened in the store: it is good here from the moment this returns on.
    pub async fn session_opened(&self, session: &Session) {
        // Also where the database is away by the time its changes are asked for.
        self.deps.sessions.add(session);
        self.accounts_changed().await;
    }

    /// Ends a session, here from the moment this returns on.
    pub async fn end_session(&self, id: SessionId, now: Timestamp) -> Result<Moved> {
        let moved = self.deps.store.end_session(id, now).await?;
        self.deps.sessions.end(id);
        self.accounts_changed().await;
        Ok(moved)
    }

    /// A key was made or changed in the store: brings this node's keyring up to date and tells the
    /// others.
    pub async fn keys_changed(&self) {
        self.deps.feed.announce(Notice::Keys);
        if let Err(problem) = self.deps.refresh_keys().await {
            warn!(%problem, "the keyring is brought up to date later");
        }
    }

    /// Takes a key back, here from the moment this returns on.
    pub async fn revoke_key(&self, id: ApiKeyId, now: Timestamp) -> Result<Moved> {
        let moved = self.deps.store.revoke_api_key(id, now).await?;
        // Also where the database is away by the time its changes are asked for.
        self.deps.keyring.revoke(id, now);
        self.keys_changed().await;
        Ok(moved)
    }
}
