//! Starts real Postgres, backend and Envoy processes and talks to them over sockets only.
//!
//! `make run`, the end-to-end suite and the benches use the same [`stack::Stack`]: what a developer
//! starts by hand is what the tests test. Nothing in here knows how the backend or the filter work
//! inside, [`invariants`] excepted, which calls the rewriting engine itself.

pub mod api;
pub mod artifacts;
pub mod backend;
pub mod collector;
pub mod config;
pub mod corpus;
pub mod data_set;
pub mod database;
pub mod demo;
pub mod envoy;
pub mod envoy_config;
pub mod fault_proxy;
pub mod forge;
pub mod http;
pub mod http_server;
pub mod invariants;
pub mod live_filter;
pub mod load;
pub mod process;
pub mod receiver;
pub mod simulation;
pub mod stack;
pub mod trouble;
pub mod upstream;
pub mod wait;
