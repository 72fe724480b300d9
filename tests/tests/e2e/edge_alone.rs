//! An Envoy with the filter that delivers to a collector of the test's: what leaves the edge, to
//! the byte.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use kraiter_tests::artifacts;
use kraiter_tests::collector::{Batch, Collector, Keep};
use kraiter_tests::envoy::{Envoy, EnvoyOptions};
use kraiter_tests::envoy_config::EnvoyConfig;
use kraiter_tests::forge::Forge;
use kraiter_tests::http::Request;
use kraiter_tests::process;
use kraiter_tests::stack::{ANY_PORT, test_folder};
use kraiter_tests::trouble::Outcome;
use kraiter_tests::wait;
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "only-the-edge-knows";

/// The journal's file in the folder of a test.
pub(crate) const JOURNAL: &str = "events.ndjson";

pub(crate) struct Edge {
    pub(crate) envoy: Envoy,
    pub(crate) collector: Collector,
    pub(crate) forge: Forge,
}

impl Edge {
    pub(crate) fn start(name: &str, edit: impl FnOnce(&mut EnvoyConfig) -> Outcome<()>) -> Self {
        let collector = Collector::start(Keep::Lines).unwrap();
        let forge = Forge::new([0xED; 32], 7).unwrap();
        let options = options(name, &collector, &forge, edit);
        let envoy = Envoy::start(options).unwrap();
        Self {
            envoy,
            collector,
            forge,
        }
    }

    /// Loads one pixel of each of the sends `snd-0`, `snd-1` and so on.
    pub(crate) fn open(&self, sends: std::ops::Range<u32>) {
        for number in sends {
            let path = self.forge.pixel(&format!("snd-{number}")).unwrap();
            assert_eq!(self.envoy.get(&path).unwrap().status, 200);
        }
    }

    pub(crate) fn open_with(&self, send: &str, headers: &[(&str, &[u8])]) {
        let mut request = Request::get(self.forge.pixel(send).unwrap());
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        assert_eq!(self.envoy.send(&request).unwrap().status, 200);
    }

    /// Waits until exactly that many events were accepted.
    pub(crate) fn accepted(&self, events: u64) {
        wait::until("the collector to have accepted all", || {
            match self.collector.accepted_lines() {
                accepted if accepted == events => Ok(()),
                accepted => Err(format!("{accepted} of {events}")),
            }
        })
        .unwrap();
    }

    /// The event lines of all accepted batches.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let batches = self.collector.batches();
        let accepted = batches.iter().filter(|batch| batch.accepted);
        accepted.flat_map(lines_of).collect()
    }
}

/// A token of a path of the forge's.
pub(crate) fn token_in(path: &str) -> String {
    path[3..].trim_end_matches(".gif").to_owned()
}

/// The tokens of events: each request of a test has its own, so these say which ones were kept.
pub(crate) fn tokens<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let token = |line: &Value| line["t"].as_str().unwrap().to_owned();
    lines.into_iter().map(token).collect()
}

/// The lines of a file that `mark` stands before, as events. A last line cut short is left out.
pub(crate) fn events_in(file: &Path, mark: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let marked = |line: &str| Some(line.split_once(mark)?.1.to_owned());
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .filter_map(marked)
        .map(|line| serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

/// What an edge that ends writes before an event in its log.
pub(crate) const LOG_MARK: &str = "kraiter-event: ";

/// Opens mails one after another, each of a send of its own, until told to stop. Gives the token of
/// each and when it was answered; an answer that is no pixel fails the test.
pub(crate) fn keep_opening(
    edge: SocketAddr,
    forge: &Forge,
    name: &str,
    stop: &AtomicBool,
) -> Vec<(String, Instant)> {
    let mut answered = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let path = forge.pixel(&format!("{name}-{}", answered.len())).unwrap();
        match Request::get(path.as_str()).send(edge) {
            Ok(answer) => assert_eq!((answer.status, answer.body.len()), (200, 43)),
            // The edge was ended on purpose: this one was not answered, so it need not count.
            Err(_) if stop.load(Ordering::Relaxed) => break,
            Err(error) => panic!("{path}: {error}"),
        }
        answered.push((token_in(&path), Instant::now()));
    }
    answered
}

impl Drop for Edge {
    fn drop(&mut self) {
        let folder = self.envoy.log().parent().unwrap().to_owned();
        if std::thread::panicking() {
            eprintln!(
                "--- {}\n{}",
                folder.display(),
                process::tail(self.envoy.log())
            );
        } else {
            self.envoy.process().kill();
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

pub(crate) fn lines_of(batch: &Batch) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    batch.lines.iter().map(parse).collect()
}

/// One worker, so that the order of batches is the order of events.
pub(crate) fn options(
    name: &str,
    collector: &Collector,
    forge: &Forge,
    edit: impl FnOnce(&mut EnvoyConfig) -> Outcome<()>,
) -> EnvoyOptions {
    let mut config = EnvoyConfig::shipped().unwrap();
    config.listen(ANY_PORT).unwrap();
    config.admin(ANY_PORT).unwrap();
    config.backend(collector.address()).unwrap();
    config.filter_file(&artifacts::filter().unwrap()).unwrap();
    config.set("batch", json!({"max_age_ms": 50})).unwrap();
    let folder = test_folder(name).unwrap();
    config.journal(&folder.join(JOURNAL)).unwrap();
    edit(&mut config).unwrap();
    EnvoyOptions {
        config,
        keyring: forge.keyring(),
        ingest_secret: SECRET.to_owned(),
        workers: 1,
        folder,
        name: "envoy".to_owned(),
        core: None,
    }
}
