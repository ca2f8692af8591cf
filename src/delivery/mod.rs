//! How a request leaves the house: which receivers may be called, and the call itself.
//!
//! The invariant: no byte goes to an address that the [`AddressGuard`] has not judged, and
//! nothing a receiver does costs more than one deadline and a bounded amount of memory.
//!
//! ```text
//! Transport::send ── pool hit ─────────────────────────────► request ► answer
//!        └── miss ─► resolver ─► address guard ─► TCP ─► TLS ──┘
//! ```

mod address_guard;
mod connection;
pub mod deliver;
mod dialer;
mod failure;
pub mod payload;
mod pool;
mod resolver;
mod target;
mod tls;
mod transport;

pub use address_guard::{AddressGuard, Refusal, UrlRefusal};
pub use target::{Target, TargetError};
pub use tls::CaFileError;
pub use transport::{MASK, OutgoingRequest, Transport, TransportError};
