//! What crosses a process boundary in Kraiter Tracking.
//!
//! The renderer's backend signs tokens, the edge filter verifies them, the backend verifies them
//! again: all three go through this crate, so that there is one codec and one set of limits. It
//! does no I/O, reads no clock and draws no randomness; both come in as arguments, so it runs the
//! same natively and inside a wasm sandbox.

mod all_bytes;
mod base64url;
mod destination;
mod event_id;
mod event_line;
mod ids;
mod keyring;
mod mac;
mod signing;
mod time;
mod token;

pub use all_bytes::all_bytes;
pub use destination::{Destination, DestinationError, MAX_DESTINATION_BYTES};
pub use event_id::{EventId, EventIdError, EventIdGenerator};
pub use event_line::{
    EventLine, LineError, MAX_ACCEPT_LANGUAGE_BYTES, MAX_PURPOSE_BYTES, MAX_USER_AGENT_BYTES,
    Signals, SignalsWriter,
};
pub use ids::{ContactId, IdError, KeyId, LinkIndex, MAX_SEND_ID_BYTES, SendId, TenantId};
pub use keyring::{Keyring, KeyringError, MAX_KEYS, Secret};
pub use signing::{MailSigner, Signature, SigningScratch, TenantSigner, TokenStart, Verifier};
pub use time::{Day, UnixMillis};
pub use token::{Claims, DecodeError, Kind, Link, MAX_TOKEN_CHARS, Token};
