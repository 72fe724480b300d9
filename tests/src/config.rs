//! The harness's environment variables; nothing else in this crate reads any.

use std::path::PathBuf;

use crate::trouble::{Outcome, Trouble};

/// A variable's value; an empty one counts as unset.
fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the harness's one reader of the environment"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where `make run` listens and keeps its data.
#[derive(Clone, Debug)]
pub struct RunConfig {
    pub api_port: u16,
    pub edge_port: u16,
    pub data_dir: PathBuf,
}

pub const API_PORT: &str = "KRAITER_API_PORT";
pub const EDGE_PORT: &str = "KRAITER_EDGE_PORT";
pub const DEFAULT_API_PORT: u16 = 8080;
pub const DEFAULT_EDGE_PORT: u16 = 10000;
pub const DATA_DIR: &str = "KRAITER_DATA_DIR";

impl RunConfig {
    pub fn read() -> Outcome<Self> {
        Ok(Self {
            api_port: port(API_PORT, DEFAULT_API_PORT)?,
            edge_port: port(EDGE_PORT, DEFAULT_EDGE_PORT)?,
            data_dir: variable(DATA_DIR).map_or_else(|| PathBuf::from("data"), PathBuf::from),
        })
    }
}

fn port(name: &'static str, default: u16) -> Outcome<u16> {
    let Some(text) = variable(name) else {
        return Ok(default);
    };
    match text.parse() {
        Ok(0) | Err(_) => Err(Trouble::Variable {
            variable: name,
            got: text,
            wanted: "a port number from 1 to 65535",
        }),
        Ok(port) => Ok(port),
    }
}

/// Recipients of the campaign that `make demo` plays.
pub fn demo_recipients() -> Outcome<usize> {
    count("KRAITER_DEMO_RECIPIENTS", 100_000)
}

/// How long and how often the benches measure.
#[derive(Clone, Debug)]
pub struct BenchConfig {
    /// `None` runs all suites.
    pub suite: Option<String>,
    pub rounds: usize,
    pub seconds: f64,
    /// Events that suite `query` looks things up among.
    pub stored_events: usize,
    /// What suite `ingest` works on: contacts, each with a send, and events a round.
    pub contacts: usize,
    pub events: usize,
}

impl BenchConfig {
    pub fn read() -> Outcome<Self> {
        let rounds = number("KRAITER_BENCH_ROUNDS", 9.0)?;
        Ok(Self {
            suite: variable("SUITE"),
            rounds: rounds.max(3.0) as usize,
            seconds: number("KRAITER_BENCH_SECONDS", 1.5)?,
            stored_events: count("KRAITER_BENCH_STORED_EVENTS", 10_000_000)?,
            contacts: count("KRAITER_BENCH_CONTACTS", 1_000_000)?,
            events: count("KRAITER_BENCH_EVENTS", 100_000)?,
        })
    }
}

fn count(name: &'static str, default: usize) -> Outcome<usize> {
    let Some(text) = variable(name) else {
        return Ok(default);
    };
    match text.parse() {
        Ok(value @ 1..=1_000_000_000) => Ok(value),
        _ => Err(Trouble::Variable {
            variable: name,
            got: text,
            wanted: "a whole number from 1 to 1000000000",
        }),
    }
}

fn number(name: &'static str, default: f64) -> Outcome<f64> {
    let Some(text) = variable(name) else {
        return Ok(default);
    };
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 3600.0 => Ok(value),
        _ => Err(Trouble::Variable {
            variable: name,
            got: text,
            wanted: "a number above 0",
        }),
    }
}

/// Files that were built elsewhere than beside the running program.
pub(crate) fn backend_binary() -> Option<PathBuf> {
    variable("KRAITER_BINARY").map(PathBuf::from)
}

pub(crate) fn filter_folder() -> Option<PathBuf> {
    variable("KRAITER_FILTER_DIR").map(PathBuf::from)
}

/// A folder with HTML files of someone else's to rewrite as well.
pub(crate) fn corpus_folder() -> Option<PathBuf> {
    variable("KRAITER_CORPUS").map(PathBuf::from)
}

pub(crate) fn envoy_binary() -> Option<PathBuf> {
    variable("KRAITER_ENVOY").map(PathBuf::from)
}

/// The folders that commands are looked up in.
pub(crate) fn search_path() -> Vec<PathBuf> {
    variable("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}
