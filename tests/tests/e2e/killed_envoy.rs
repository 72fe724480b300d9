//! An Envoy that is killed outright: what it had not delivered stands in its journal, and `kraiter
//! replay` brings it back. What may be lost is what Envoy had not flushed to the file, and nothing
//! counts twice.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kraiter_tests::fault_proxy::Fault;
use kraiter_tests::http::Request;
use kraiter_tests::{artifacts, wait};
use serde_json::Value;

use crate::rewritten::Platform;

const HTML: &str = r#"<a href="https://shop.example/x">x</a>"#;
const ADA: &str = "ada@example.com";

/// The harness has Envoy flush its files every 200 ms; a busy machine gets five times that.
const UNFLUSHED: Duration = Duration::from_secs(1);

/// Posts the journal again. Gives what was accepted and what was known.
fn replay(platform: &Platform, more: &[&str]) -> [u64; 2] {
    let backend = &platform.stack.backend;
    let output = Command::new(artifacts::kraiter().unwrap())
        .arg("replay")
        .arg(platform.stack.folder().join("events.ndjson"))
        .args(["--json", "--to", &format!("http://{}", backend.address())])
        .arg("--data-dir")
        .arg(backend.data_dir())
        .args(more)
        .env_remove("KRAITER_INGEST_SECRET")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
    // Killed while it wrote, Envoy may leave a part of a line.
    assert!(report["damaged"].as_u64().unwrap() <= 1, "{report}");
    assert_eq!(report["rejected"], 0, "{report}");
    ["accepted", "duplicates"].map(|name| report[name].as_u64().unwrap())
}

/// Loads the pixel until nobody answers. When each answer came, and whether a request was lost.
fn open_until_gone(edge: SocketAddr, path: &str) -> Vec<Instant> {
    let mut answered = Vec::new();
    loop {
        match Request::get(path).send(edge) {
            Ok(answer) => {
                assert_eq!(answer.status, 200);
                answered.push(Instant::now());
            }
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::TimedOut);
                return answered;
            }
        }
    }
}

/// Kills Envoy under load. Gives how many answers came so early that their events have to be in
/// the journal, and how many requests there were at most.
fn kill_under_load(platform: &mut Platform, path: &str, load: Duration) -> (u64, u64) {
    const CLIENTS: usize = 3;
    let edge = platform.stack.envoy.edge();
    let (answers, killed) = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| open_until_gone(edge, path)))
            .collect();
        std::thread::sleep(load);
        let killed = Instant::now();
        platform.stack.envoy.process().kill();
        let answers: Vec<Instant> = opening
            .into_iter()
            .flat_map(|opening| opening.join().unwrap())
            .collect();
        (answers, killed)
    });
    let early = answers
        .iter()
        .filter(|at| **at + UNFLUSHED < killed)
        .count();
    (early as u64, (answers.len() + CLIENTS) as u64)
}

#[test]
fn a_killed_envoy_loses_at_most_what_it_had_not_flushed_to_its_journal() {
    let mut platform = Platform::start("killed-envoy");
    let mail = platform.rewrite("snd-1", ADA, HTML);
    let path = platform.stack.path_of(&mail.pixel()).unwrap().to_owned();
    let (mut sure, mut most, mut unjournalled) = (0, 0, 0);
    for round in 0..3 {
        let stored = platform.counts(ADA)[1];
        // Once with everything well; then with nobody to deliver to, so that all is in its memory.
        let fault = if round == 0 {
            Fault::None
        } else {
            Fault::Refuse
        };
        platform.stack.proxy.as_ref().unwrap().set_fault(fault);
        let (early, at_most) = kill_under_load(&mut platform, &path, Duration::from_millis(2500));
        assert!(early > 100, "{early}");
        (sure, most) = (sure + early, most + at_most);
        platform
            .stack
            .proxy
            .as_ref()
            .unwrap()
            .set_fault(Fault::None);
        let before = platform.counts(ADA)[1];
        let [accepted, known] = replay(&platform, &[]);
        let [_, opened, _] = platform.counts(ADA);
        if round > 0 {
            assert_eq!((before, known), (stored, 0), "nothing had been delivered");
            assert_eq!(opened, before + accepted);
        }
        assert!(
            (sure..=most).contains(&opened),
            "{sure} <= {opened} <= {most}"
        );
        sure = opened;
        assert_eq!(
            replay(&platform, &[]),
            [0, 0],
            "it goes on where it stopped"
        );
        // What was delivered and not flushed is in the database and in no journal.
        let [accepted, known] = replay(&platform, &["--from-start"]);
        assert_eq!(accepted, 0);
        assert!(known <= opened, "{known} <= {opened}");
        assert!(
            round == 0 || opened - known == unjournalled,
            "{known} of {opened}"
        );
        unjournalled = opened - known;
        platform.stack.restart_envoy().unwrap();
    }
    // And the journal goes on behind what the killed one left.
    for _ in 0..20 {
        assert_eq!(platform.stack.follow(&mail.pixel()).unwrap().status, 200);
    }
    platform.stack.delivered(20).unwrap();
    wait::until("the journal to be flushed", || {
        match replay(&platform, &["--from-start"]) {
            [0, known] if known == sure + 20 - unjournalled => Ok(()),
            [accepted, known] => Err(format!("{accepted} accepted, {known} known")),
        }
    })
    .unwrap();
    assert_eq!(platform.counts(ADA), [1, sure + 20, 0]);
    assert!(Path::new(&platform.stack.folder().join("events.ndjson.replayed")).exists());
}

#[test]
fn a_replay_that_follows_the_journal_delivers_what_the_edge_cannot() {
    let platform = Platform::start("followed-journal");
    let mail = platform.rewrite("snd-1", ADA, HTML);
    // The edge cannot reach the backend; whoever follows its journal can.
    platform
        .stack
        .proxy
        .as_ref()
        .unwrap()
        .set_fault(Fault::Refuse);
    let backend = &platform.stack.backend;
    let mut follower = Command::new(artifacts::kraiter().unwrap())
        .arg("replay")
        .arg(platform.stack.folder().join("events.ndjson"))
        .args(["--follow", "--to", &format!("http://{}", backend.address())])
        .arg("--data-dir")
        .arg(backend.data_dir())
        .env_remove("KRAITER_INGEST_SECRET")
        .spawn()
        .unwrap();
    for _ in 0..50 {
        assert_eq!(platform.stack.follow(&mail.pixel()).unwrap().status, 200);
    }
    let counted = wait::until("the events to be counted", || {
        match platform.counts(ADA)[1] {
            50 => Ok(()),
            other => Err(other.to_string()),
        }
    });
    follower.kill().unwrap();
    follower.wait().unwrap();
    counted.unwrap();
    // The edge delivers them, too, once it can, and they are known.
    platform
        .stack
        .proxy
        .as_ref()
        .unwrap()
        .set_fault(Fault::None);
    platform.stack.delivered(50).unwrap();
    assert_eq!(platform.counts(ADA), [1, 50, 0]);
}
