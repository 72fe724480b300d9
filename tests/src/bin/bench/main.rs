//! `make bench`: what the parts do beside the physical limit of the same machine in the same run.
//! Writes one JSON file a suite and prints a table. Nothing in here is a test.

mod edge;
mod ingest;
mod query;
mod report;
mod rewrite;
mod timing;

use std::process::ExitCode;

use kraiter_tests::config::BenchConfig;
use kraiter_tests::trouble::{Outcome, Trouble};

type Suite = fn(&BenchConfig) -> Outcome<report::Report>;

const SUITES: [(&str, Suite); 5] = [
    ("edge", edge::measure),
    ("ingest", ingest::measure),
    ("query", query::measure),
    ("rewrite", rewrite::measure),
    ("timing", timing::measure),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let mut config = BenchConfig::read()?;
    config.suite = std::env::args().nth(1).or(config.suite);
    let wanted = |name: &str| config.suite.as_deref().is_none_or(|suite| suite == name);
    if !SUITES.iter().any(|(name, _)| wanted(name)) {
        return Err(Trouble::Variable {
            variable: "SUITE",
            got: config.suite.unwrap_or_default(),
            wanted: "a suite; there are: edge, ingest, query, rewrite, timing",
        });
    }
    for (name, measure) in SUITES {
        if wanted(name) {
            eprintln!("suite {name}");
            let report = measure(&config)?;
            report.write()?;
            report.print();
        }
    }
    Ok(())
}
