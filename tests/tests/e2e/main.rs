//! The whole path, end to end: real mail bodies, a real Envoy with the built filter, a real Postgres.
//!
//! Every test has a stack of its own and says what the API must show to the count. Nothing is mocked
//! but the world outside: recipients, an application behind the gateway, a network that breaks.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod address;
mod attacks;
mod blocks;
mod collector_faults;
mod commits;
mod compose;
mod counters;
mod delivery;
mod demo;
mod documented;
mod edge_alone;
mod endings;
mod filter_settings;
mod forgery;
mod ingest;
mod journal;
mod killed_envoy;
mod mail;
mod make_run;
mod outages;
mod passing_on;
mod policy;
mod raw_bytes;
mod replacements;
mod rewritten;
mod rotation;
mod unsubscribe;
mod vm_away;
