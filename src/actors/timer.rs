//! One re-armable timer for one actor.
//!
//! Dropping the handle that ractor gives for a timed message does not cancel the message; this
//! aborts it. Re-arming for a later moment keeps the earlier one: a wake too early costs a look,
//! while arming anew costs a task, and this is done after every message.

use std::time::{Duration, Instant};

use ractor::concurrency::JoinHandle;
use ractor::{ActorRef, Message, MessagingErr};

use crate::clock;
use crate::domain::Timestamp;

/// No timer sleeps longer: clocks jump and machines sleep, so whoever waits looks at the wall
/// clock at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A pause that may be longer than a timer sleeps: whoever is woken asks what is left of it.
#[derive(Debug)]
pub struct Pause {
    until: Timestamp,
    length: Duration,
}

impl Pause {
    /// Begins now.
    pub fn begin(length: Duration) -> Self {
        Self {
            until: clock::now().plus(length),
            length,
        }
    }

    /// What is left; no more than there was, also where the clock was set back.
    pub fn left(&self) -> Duration {
        self.until.since(clock::now()).min(self.length)
    }
}

/// The task that sends the message.
type Sending<M> = JoinHandle<Result<(), MessagingErr<M>>>;

/// A timer that is armed for at most one moment.
#[derive(Debug)]
pub struct Timer<M: Message> {
    armed: Option<(Instant, Sending<M>)>,
}

impl<M: Message> Timer<M> {
    /// Not armed.
    pub fn new() -> Self {
        Self { armed: None }
    }

    /// Sees to it that a message comes after `delay` at the latest.
    pub fn arm(
        &mut self,
        actor: &ActorRef<M>,
        delay: Duration,
        message: impl Fn() -> M + Send + 'static,
    ) {
        let now = clock::instant();
        let at = now + delay.min(LONGEST_SLEEP);
        if let Some((armed, _)) = &self.armed
            && *armed > now
            && *armed <= at
        {
            return;
        }
        self.disarm();
        self.armed = Some((at, actor.send_after(at - now, message)));
    }

    /// No message comes.
    pub fn disarm(&mut self) {
        if let Some((_, handle)) = self.armed.take() {
            handle.abort();
        }
    }
}

impl<M: Message> Drop for Timer<M> {
    fn drop(&mut self) {
        self.disarm();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use ractor::{Actor, ActorProcessingErr};
    use tokio::sync::mpsc;

    use super::*;

    /// Tells of every message.
    struct Teller;

    impl Actor for Teller {
        type Msg = ();
        type State = mpsc::UnboundedSender<()>;
        type Arguments = mpsc::UnboundedSender<()>;

        async fn pre_start(
            &self,
            _myself: ActorRef<()>,
            told: mpsc::UnboundedSender<()>,
        ) -> Result<Self::State, ActorProcessingErr> {
            Ok(told)
        }

        async fn handle(
            &self,
            _myself: ActorRef<()>,
            (): (),
            told: &mut Self::State,
        ) -> Result<(), ActorProcessingErr> {
            Ok(told.send(())?)
        }
    }

    // Time is the runtime's and stands still until everybody waits for it.
    #[tokio::test(start_paused = true)]
    async fn nobody_sleeps_past_a_look_at_the_wall_clock() {
        let (teller, mut told) = mpsc::unbounded_channel();
        let (actor, ending) = Actor::spawn(None, Teller, teller).await.unwrap();
        let mut timer = Timer::new();
        let armed = tokio::time::Instant::now();
        timer.arm(&actor, Duration::from_secs(3600), || ());
        told.recv().await.unwrap();
        assert!(armed.elapsed() <= LONGEST_SLEEP + Duration::from_secs(1));

        timer.arm(&actor, Duration::from_secs(20), || ());
        timer.arm(&actor, Duration::from_secs(10), || ());
        timer.disarm();
        timer.arm(&actor, Duration::from_secs(25), || ());
        told.recv().await.unwrap();
        tokio::time::sleep(LONGEST_SLEEP).await;
        assert!(told.try_recv().is_err(), "what was disarmed never comes");
        actor.stop(None);
        ending.await.unwrap();
    }
}
