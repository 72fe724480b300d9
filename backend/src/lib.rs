//! The service and command line of Kraiter Tracking: rewrites mail, stores what edges saw exactly
//! once, answers questions about it.
//!
//! Features are folders by noun; inside one, `http.rs` speaks HTTP, `store.rs` speaks SQL, and
//! `mod.rs` holds the rules and knows neither.

#![cfg_attr(
    test,
    allow(clippy::string_slice, reason = "a test fails by panicking")
)]

mod api_keys;
mod audit;
mod backend;
mod blocks;
mod campaigns;
mod cli;
mod clients;
mod clock;
mod config;
mod contacts;
mod dashboard;
mod database;
mod erasure;
mod events;
mod export;
mod health;
mod http;
mod idempotency;
mod ingest;
mod mails;
mod openapi;
mod previews;
pub mod private_postgres;
mod progress;
mod random;
mod replay;
mod retention;
pub mod rewriting;
mod rollups;
mod secret_file;
mod segments;
mod sends;
mod server;
mod settling;
mod signing;
mod stats;
mod store;
mod telemetry;
mod tenants;
pub mod verdicts;
mod verify;
mod webhooks;

pub use cli::run;
