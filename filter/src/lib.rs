//! Kraiter's filter for Envoy and other proxy-wasm hosts: verifies tracked URLs, answers them on
//! the spot and delivers what it saw to the collector.
//!
//! The core is plain code: `plan` says what a request gets, `delivery` what happens to a batch, and
//! neither knows of a host. `exports` is what the proxy calls, `edge` and `vm` carry decisions out
//! through `host`, which alone calls the proxy; these exist inside the sandbox only.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "natively the core is compiled for its tests only")
)]

mod address;
mod answers;
mod backoff;
mod buffer;
mod config;
mod delivery;
mod environment;
mod feed;
#[doc(hidden)]
pub mod fuzzing;
mod handover;
mod json_object;
mod metrics;
mod plan;
mod policy;
mod request;
mod route;

#[cfg(target_arch = "wasm32")]
mod edge;
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod vm;
