//! Where everything lies and how much of it there is, for people who look.

use std::path::PathBuf;

use crate::domain::retention::Span;

/// What there is of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// One file and its log.
    File(StoredFile),
    /// A database of a server.
    Database(StoredDatabase),
}

/// A file and its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Where.
    pub path: PathBuf,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Pages in the file.
    pub pages: u64,
    /// Pages of them that hold nothing.
    pub free_pages: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
}

/// A database of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDatabase {
    /// The server's version.
    pub version: String,
    /// All of it.
    pub bytes: u64,
    /// Connections of this process.
    pub connections: Connections,
    /// What is pending, which lies in no partition.
    pub pending: TableSize,
    /// Partitions of time, newest first; the one for all other times, where it is, comes first.
    pub parts: Vec<TimePart>,
}

/// Connections to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open.
    pub open: u64,
    /// Of them at rest.
    pub idle: u64,
    /// How many there may be.
    pub most: u64,
}

/// A partition of time: of three tables the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePart {
    /// From when to when; none of what lies in no other one.
    pub span: Option<Span>,
    /// Events that came then.
    pub events: TableSize,
    /// Their deliveries that are final.
    pub deliveries: TableSize,
    /// The attempts of them.
    pub attempts: TableSize,
}

/// How large a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSize {
    /// Rows, as the server estimates them.
    pub rows: u64,
    /// Bytes, indexes and all.
    pub bytes: u64,
}
