//! The backend's HTTP API and command line: the real `kraiter` process against a real Postgres, with
//! no edge in front. What an edge would deliver is written here, with tokens signed by the service's
//! own keyring.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod answers;
mod audit;
mod bad_requests;
mod batch;
mod blocks;
mod bursts;
mod command_line;
mod commands;
mod consent;
mod crashes;
mod credentials;
mod databases;
mod edge;
mod erasure;
mod exactly_once;
mod export;
mod idempotency;
mod ingest;
mod isolation;
mod keyring;
mod mail;
mod operations;
mod paging;
mod previews;
mod rate_limits;
mod reclassify;
mod registering;
mod replay;
mod retention;
mod segments;
mod service;
mod settling;
mod stats;
mod statuses;
mod stream;
mod tls;
mod upgrades;
mod verdicts;
mod verify;
mod webhooks;
mod webhooks_failing;
mod webhooks_https;
mod webhooks_managing;
