//! What can happen, where it makes sense, and what it may cost.

use crate::world::Shape;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// kill -9 of the process that delivers, and a new start.
    KillRelay,
    /// kill -9 of the process that only accepts, and a new start.
    KillIngest,
    /// kill -9 of Postgres with all its children, and a new start on the same files.
    KillPostgres,
    /// kill -9 of Redis, which forgets everything, and a new start.
    KillRedis,
    /// FLUSHALL, three times.
    FlushRedis,
    /// SIGSTOP of the process that delivers, then SIGCONT.
    StopRelay,
    /// SIGSTOP of the process that only accepts, then SIGCONT.
    StopIngest,
    /// SIGSTOP of Postgres with all its children, then SIGCONT.
    StopPostgres,
    /// SIGSTOP of Redis, then SIGCONT.
    StopRedis,
    /// The disk is full, then there is space again.
    FillDisk,
    /// The disk is full, the relay is killed, there is space again, it is started.
    FillDiskAndKill,
    /// SIGTERM of the process that delivers, and a new start.
    RestartRelay,
    /// Actors of every relay process panic at random.
    PanicActors,
    /// Tasks of every relay process panic at random, around commits and calls.
    PanicTasks,
    /// kill -9 of everything at once, as if the power had failed, and a new start of all.
    KillAll,
}

impl Fault {
    pub const ALL: [Self; 15] = [
        Self::KillRelay,
        Self::KillIngest,
        Self::KillPostgres,
        Self::KillRedis,
        Self::FlushRedis,
        Self::StopRelay,
        Self::StopIngest,
        Self::StopPostgres,
        Self::StopRedis,
        Self::FillDisk,
        Self::FillDiskAndKill,
        Self::RestartRelay,
        Self::PanicActors,
        Self::PanicTasks,
        Self::KillAll,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::KillRelay => "kill-relay",
            Self::KillIngest => "kill-ingest",
            Self::KillPostgres => "kill-postgres",
            Self::KillRedis => "kill-redis",
            Self::FlushRedis => "flush-redis",
            Self::StopRelay => "stop-relay",
            Self::StopIngest => "stop-ingest",
            Self::StopPostgres => "stop-postgres",
            Self::StopRedis => "stop-redis",
            Self::FillDisk => "fill-disk",
            Self::FillDiskAndKill => "fill-disk-and-kill",
            Self::RestartRelay => "restart-relay",
            Self::PanicActors => "panic-actors",
            Self::PanicTasks => "panic-tasks",
            Self::KillAll => "kill-all",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Whether there is something for it to hit.
    pub fn befalls(self, shape: Shape) -> bool {
        match self {
            Self::FillDisk | Self::FillDiskAndKill => shape == Shape::SmallDisk,
            // The small disk is there for its own faults; the rest is the embedded profile's.
            _ if shape == Shape::SmallDisk => false,
            Self::KillRelay
            | Self::StopRelay
            | Self::RestartRelay
            | Self::PanicActors
            | Self::PanicTasks => true,
            Self::KillIngest | Self::StopIngest => shape == Shape::Split,
            Self::KillPostgres
            | Self::KillRedis
            | Self::FlushRedis
            | Self::StopPostgres
            | Self::StopRedis
            | Self::KillAll => shape.is_distributed(),
        }
    }

    /// Whether it may part sending from recording: the process that sends dies, or sleeps
    /// through the deadline of what it sent. Then what one subscription had sent and not
    /// recorded may be sent once more, and so it may where a lease is lost to the process that
    /// stands by, which is counted as it happens. Nothing else may repeat anything.
    pub fn may_repeat(self) -> bool {
        match self {
            Self::KillRelay | Self::KillAll | Self::FillDiskAndKill | Self::StopRelay => true,
            Self::KillIngest
            | Self::KillPostgres
            | Self::KillRedis
            | Self::FlushRedis
            | Self::StopIngest
            | Self::StopPostgres
            | Self::StopRedis
            | Self::FillDisk
            | Self::RestartRelay
            | Self::PanicActors
            | Self::PanicTasks => false,
        }
    }
}
