//! Kraiter's filter for Envoy and other proxy-wasm hosts: verifies tracked URLs, answers them on
//! the spot and delivers what it saw to the collector.
//!
//! The core is plain code: `plan` says what a request gets, `delivery` what happens to a batch, and
//! neither knows of a host. `edge` and `vm` carry their decisions out through `host`, which is the
//! only file that calls the proxy; these three exist inside the sandbox only.

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
mod json_object;
mod metrics;
mod plan;
mod request;
mod route;

#[cfg(target_arch = "wasm32")]
mod edge;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod vm;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|context_id| Box::new(edge::Root::new(context_id)));
}}
