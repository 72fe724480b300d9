//! `kraiter replay`: journals and logs of real files, posted to a real service, interrupted in every
//! way, counted to the last event.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use kraiter_tests::collector::{Collector, Keep};
use kraiter_tests::http_server::Reaction;
use kraiter_tests::process::peak_memory_kib;
use kraiter_tests::{artifacts, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::edge::{Edge, tokens};
use crate::service::{Service, counts, rewrite};

const ADA: &str = "ada@example.com";

/// A service with one mail, an edge that writes its events, and a folder for journals.
struct Desk {
    service: Service,
    api: kraiter_tests::api::Api,
    edge: Edge,
    pixel: String,
    folder: PathBuf,
}

impl Desk {
    fn new(name: &str) -> Self {
        let service = Service::start(name);
        let api = service.tenant("shop");
        let (pixel, ..) = tokens(&rewrite(&api, "snd-1", ADA));
        let folder = service.backend.data_dir().join("journals");
        fs::create_dir_all(&folder).unwrap();
        Self {
            edge: Edge::of(&service, 1),
            service,
            api,
            pixel,
            folder,
        }
    }

    fn lines(&mut self, count: usize) -> String {
        self.edge.lines("o", &self.pixel, count)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn to(&self) -> String {
        format!("http://{}", self.service.backend.address())
    }

    fn command(&self, files: &[&Path], more: &[&str]) -> Command {
        self.command_to(&self.to(), files, more)
    }

    fn command_to(&self, to: &str, files: &[&Path], more: &[&str]) -> Command {
        let mut command = Command::new(artifacts::kraiter().unwrap());
        for name in [
            "KRAITER_INGEST_SECRET",
            "KRAITER_INGEST_SECRET_FILE",
            "KRAITER_API",
        ] {
            command.env_remove(name);
        }
        command
            .arg("replay")
            .args(files)
            .args(["--json", "--to", to])
            .args(more);
        command
            .arg("--data-dir")
            .arg(self.service.backend.data_dir());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The exit code and the report.
    fn replay(&self, files: &[&Path], more: &[&str]) -> (i32, Value) {
        ended(self.command(files, more).spawn().unwrap())
    }

    fn opened(&self) -> u64 {
        counts(&self.api, ADA)[1]
    }
}

fn ended(child: Child) -> (i32, Value) {
    let output = child.wait_with_output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        let error = String::from_utf8_lossy(&output.stderr);
        json!(error)
    });
    (output.status.code().unwrap_or(-1), report)
}

fn numbers(report: &Value) -> [u64; 4] {
    ["accepted", "duplicates", "rejected", "damaged"]
        .map(|name| report[name].as_u64().unwrap_or_else(|| panic!("{report}")))
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_journal_is_posted_once_and_its_damaged_lines_are_told_with_their_places() {
    let mut desk = Desk::new("replay-journal");
    let (first, second, third) = (desk.lines(2), desk.lines(1), desk.lines(1));
    let endless = "x".repeat(300_000);
    let (torn, forged) = (&third[..40], third.replace("\"t\":\"A", "\"t\":\"B"));
    let content = format!(
        "-\n{first}\n-\n{{\"id\":\"0199\n\0\0\0\n{endless}\n{torn}{second}{forged}nonsense\n\
         {{}}\n[]\n"
    );
    let path = desk.write("journal.log", &content);
    let (code, report) = desk.replay(&[&path], &[]);
    assert_eq!((code, numbers(&report)), (3, [3, 0, 1, 7]), "{report}");
    assert_eq!(report["reasons"], json!({"bad_token": 1}));
    let places = report["files"][0]["damagedAt"].as_array().unwrap();
    let at: Vec<u64> = places
        .iter()
        .map(|place| place["line"].as_u64().unwrap())
        .collect();
    assert_eq!(at, [6, 7, 8, 9, 11]);
    let byte = places[2]["byte"].as_u64().unwrap() as usize;
    assert_eq!(&content[byte..byte + 4], "xxxx");
    assert!(
        places[2]["problem"]
            .as_str()
            .unwrap()
            .contains("300000 bytes"),
        "{places:?}"
    );
    assert_eq!(desk.opened(), 3);

    // The next run goes on where this one ended.
    assert_eq!(desk.replay(&[&path], &[]).1["duplicates"], 0);
    append(&path, &third);
    let (code, report) = desk.replay(&[&path], &[]);
    assert_eq!((code, numbers(&report)), (0, [1, 0, 0, 0]));
    let (code, report) = desk.replay(&[&path], &["--from-start"]);
    assert_eq!((code, numbers(&report)), (3, [0, 4, 1, 7]));
    assert_eq!(desk.opened(), 4);
}

#[test]
fn what_an_edge_wrote_to_envoys_log_at_its_end_is_found_between_other_lines() {
    let mut desk = Desk::new("replay-log");
    let events = desk.lines(3);
    let log = |message: &str| {
        format!("[2026-11-23 09:00:00.123][7][warning][wasm] [source/context.cc:1] {message}\n")
    };
    let mut content = log("wasm log kraiter: something else") + "  that goes over two lines\n";
    for line in events.lines() {
        content += &log(&format!("wasm log kraiter: kraiter-event: {line}"));
    }
    content += &log("exiting");
    let path = desk.write("envoy.log", content);
    let (code, report) = desk.replay(&[&path], &[]);
    assert_eq!((code, numbers(&report)), (0, [3, 0, 0, 0]), "{report}");
    // As somebody pipes it in.
    let mut command = desk.command(&[Path::new("-")], &[]);
    command.stdin(fs::File::open(&path).unwrap());
    let (code, report) = ended(command.spawn().unwrap());
    assert_eq!((code, numbers(&report)), (0, [0, 3, 0, 0]), "{report}");
    assert!(!desk.file("-.replayed").exists() && !Path::new("-.replayed").exists());
}

#[test]
fn compressed_files_are_known_by_their_content_and_read_as_far_as_they_are_whole() {
    let mut desk = Desk::new("replay-gzip");
    let (first, second) = (desk.lines(700), desk.lines(300));
    let whole = [gzip(&first), gzip(&second)].concat();
    let path = desk.write("journal.log.1", &whole);
    let (code, report) = desk.replay(&[&path], &[]);
    assert_eq!((code, numbers(&report)), (0, [1000, 0, 0, 0]), "{report}");
    assert_eq!(numbers(&desk.replay(&[&path], &[]).1), [0; 4]);

    let more = desk.lines(3000);
    let compressed = gzip(&more);
    let cut = desk.write("cut.gz", &compressed[..compressed.len() / 2]);
    let (code, report) = desk.replay(&[&cut], &[]);
    let [accepted, _, _, damaged] = numbers(&report);
    assert_eq!((code, damaged), (3, 1), "{report}");
    assert!((500..3000).contains(&accepted), "{report}");
    // Once it is there as a whole, the rest follows.
    desk.write("cut.gz", &compressed);
    let (code, report) = desk.replay(&[&cut], &[]);
    assert_eq!(
        (code, numbers(&report)),
        (0, [3000 - accepted, 0, 0, 0]),
        "{report}"
    );
    assert_eq!(desk.opened(), 4000);
}

#[test]
fn a_last_line_without_an_end_is_taken_if_it_is_whole_and_waited_for_if_not() {
    let mut desk = Desk::new("replay-last-line");
    let (first, second) = (desk.lines(1), desk.lines(1));
    let (begun, rest) = second.split_at(50);
    let path = desk.write("journal.log", first.clone() + begun);
    let (code, report) = desk.replay(&[&path], &[]);
    assert_eq!((code, numbers(&report)), (3, [1, 0, 0, 1]), "{report}");
    append(&path, rest.trim_end());
    let (code, report) = desk.replay(&[&path], &[]);
    assert_eq!((code, numbers(&report)), (0, [1, 0, 0, 0]), "{report}");
    append(&path, "\n");
    append(&path, &desk.lines(1));
    assert_eq!(numbers(&desk.replay(&[&path], &[]).1), [1, 0, 0, 0]);
}

#[test]
fn killed_over_and_over_a_replay_loses_nothing_and_counts_nothing_twice() {
    let mut desk = Desk::new("replay-killed");
    let total = 60_000;
    let lines = desk.lines_in_steps(total);
    let path = desk.write("journal.log", lines);
    let state = desk.file("journal.log.replayed");
    let mut kills = 0;
    let last = loop {
        let before = fs::read(&state).unwrap_or_default();
        let mut child = desk.command(&[&path], &[]).spawn().unwrap();
        // In the middle of it: it has posted something, and has something left.
        let ended_by_itself = wait::until("a batch to be posted", || {
            let running = child.try_wait().unwrap().is_none();
            match (running, fs::read(&state).unwrap_or_default() != before) {
                (false, _) => Ok(true),
                (true, true) => Ok(false),
                (true, false) => Err("none yet".to_owned()),
            }
        })
        .unwrap();
        if ended_by_itself || kills == 12 {
            break ended(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    };
    assert!(kills >= 3, "{kills}");
    let [accepted, _, rejected, damaged] = numbers(&last.1);
    assert_eq!((last.0, rejected, damaged), (0, 0, 0), "{}", last.1);
    assert!(
        accepted < total as u64,
        "it did not start from the beginning"
    );
    assert_eq!(desk.opened(), total as u64);
}

#[test]
fn a_service_that_is_away_or_busy_is_waited_for() {
    let mut desk = Desk::new("replay-away");
    let lines = desk.lines_in_steps(9000);
    let path = desk.write("journal.log", lines);
    // Killed under the replay and started again on the same port.
    let address = desk.service.backend.address();
    let mut child = desk.command(&[&path], &[]).spawn().unwrap();
    desk.service.backend.kill();
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none());
    let proxy = kraiter_tests::fault_proxy::FaultProxy::start(address).unwrap();
    desk.service.backend.start_again().unwrap();
    proxy.set_target(desk.service.backend.address());
    child.kill().unwrap();
    child.wait().unwrap();
    let to = format!("http://{}", proxy.address());
    proxy.set_fault(kraiter_tests::fault_proxy::Fault::CutAnswerAfter(20));
    let child = desk.command_to(&to, &[&path], &[]).spawn().unwrap();
    wait::until("answers to be cut off", || match proxy.faults() {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    })
    .unwrap();
    proxy.set_fault(kraiter_tests::fault_proxy::Fault::None);
    let (code, report) = ended(child);
    let [accepted, duplicates, ..] = numbers(&report);
    assert_eq!(code, 0, "{report}");
    assert!(accepted + duplicates <= 9000 && duplicates > 0, "{report}");
    desk.api = desk.service.backend.reach(&desk.api);
    assert_eq!(desk.opened(), 9000);
}

#[test]
fn a_busy_service_says_when_to_come_back_and_a_small_proxy_gets_smaller_batches() {
    let mut desk = Desk::new("replay-busy");
    let lines = desk.lines(10);
    let path = desk.write("journal.log", lines);
    // By hand: one answer of 503 with the time to wait, then one of 200.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}", listener.local_addr().unwrap());
    let child = desk.command_to(&to, &[&path], &[]).spawn().unwrap();
    let mut came = Vec::new();
    for answer in [
        "HTTP/1.1 503 -\r\nretry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 -\r\ncontent-length: 43\r\nconnection: close\r\n\r\n\
         {\"accepted\":10,\"duplicates\":0,\"rejected\":0}",
    ] {
        let (stream, _) = listener.accept().unwrap();
        came.push(Instant::now());
        let mut reader = BufReader::new(&stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap();
        (&stream).write_all(answer.as_bytes()).unwrap();
    }
    let (code, report) = ended(child);
    assert_eq!((code, numbers(&report)), (0, [10, 0, 0, 0]), "{report}");
    assert!(came[1] - came[0] >= Duration::from_secs(2));

    let collector = Collector::start(Keep::Lines).unwrap();
    let refusal = |status| Reaction::Answer {
        status,
        body: Vec::new(),
    };
    collector.next_reactions([refusal(500), refusal(413), refusal(429)]);
    let to = format!("http://{}/behind/", collector.address());
    let (code, report) = ended(
        desk.command_to(&to, &[&path], &["--from-start"])
            .spawn()
            .unwrap(),
    );
    assert_eq!((code, numbers(&report)), (0, [10, 0, 0, 0]), "{report}");
    let batches = collector.batches();
    let taken: Vec<usize> = batches
        .iter()
        .filter(|batch| batch.accepted)
        .map(|batch| batch.lines.len())
        .collect();
    assert_eq!(taken, [5, 5]);
    assert_eq!(batches[0].request.path, "/behind/ingest");
}

#[test]
fn a_replay_that_cannot_go_on_says_why_and_remembers_how_far_it_came() {
    let mut desk = Desk::new("replay-refused");
    let lines = desk.lines(3);
    let path = desk.write("journal.log", lines);
    let missing = desk.file("missing.log");
    let nobody = "http://127.0.0.1:1";
    for (mut command, expected) in [
        (desk.command(&[&missing], &[]), "missing.log"),
        (desk.command(&[&desk.folder.clone()], &[]), "cannot read"),
        (
            desk.command(&[&path], &["--ingest-secret", "not-the-right-secret"]),
            "401",
        ),
        (
            desk.command_to(nobody, &[&path], &["--give-up-after", "1"]),
            "took nothing for",
        ),
        (
            desk.command_to("ftp://127.0.0.1", &[&path], &[]),
            "is not http or https",
        ),
    ] {
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(&desk.edge.secret), "{error}");
    }
    let nowhere = desk.file("nowhere");
    let mut command = desk.command(&[&path], &[]);
    let error = command.arg("--data-dir").arg(&nowhere).output().unwrap();
    let again = String::from_utf8_lossy(&error.stderr).into_owned();
    assert!(!error.status.success() && !nowhere.exists(), "{again}");
    // The first of several is done before the second fails.
    let (code, _) = desk.replay(&[&path, &missing], &[]);
    assert_eq!((code, desk.opened()), (1, 3));
    assert_eq!(numbers(&desk.replay(&[&path], &[]).1), [0; 4]);
}

#[test]
fn a_file_that_was_rotated_meanwhile_is_finished_first() {
    let mut desk = Desk::new("replay-rotated");
    let lines = desk.lines(5);
    let path = desk.write("journal.log", lines);
    assert_eq!(numbers(&desk.replay(&[&path], &[]).1), [5, 0, 0, 0]);
    append(&path, &desk.lines(2));
    fs::rename(&path, desk.file("journal.log.1")).unwrap();
    append(&path, &desk.lines(3));
    let (code, report) = desk.replay(&[&path], &[]);
    assert_eq!((code, numbers(&report)), (0, [5, 0, 0, 0]), "{report}");
    assert_eq!(report["files"].as_array().unwrap().len(), 2);

    // And the same where the rotated file was compressed.
    append(&path, &desk.lines(4));
    let content = fs::read_to_string(&path).unwrap();
    desk.write("journal.log-20261123.gz", gzip(&content));
    fs::write(&path, desk.lines(1)).unwrap();
    let (code, report) = desk.replay(&[&path], &[]);
    assert_eq!((code, numbers(&report)), (0, [5, 0, 0, 0]), "{report}");
    assert_eq!(desk.opened(), 15);
    assert_eq!(numbers(&desk.replay(&[&path], &[]).1), [0; 4]);
}

#[test]
fn a_followed_file_is_posted_as_it_is_written_through_rotations_until_it_is_told_to_stop() {
    let mut desk = Desk::new("replay-follow");
    let path = desk.file("journal.log");
    let mut child = desk
        .command(&[&path], &["--follow", "--rotation-wait", "1"])
        .spawn()
        .unwrap();
    let mut expected = 0;
    let mut wait_for = |desk: &Desk, more: u64, child: &mut Child| {
        expected += more;
        wait::until("the events to be counted", || {
            assert!(child.try_wait().unwrap().is_none(), "it has ended");
            match desk.opened() {
                opened if opened == expected => Ok(()),
                opened => Err(format!("{opened} of {expected}")),
            }
        })
        .unwrap();
    };
    // It need not be there yet.
    append(&path, &desk.lines(3));
    wait_for(&desk, 3, &mut child);
    let line = desk.lines(1);
    let (begun, rest) = line.split_at(60);
    append(&path, begun);
    append(&path, rest);
    wait_for(&desk, 1, &mut child);
    // Rotated; its writer goes on with the old file for a while.
    let rotated = desk.file("journal.log.1");
    fs::rename(&path, &rotated).unwrap();
    append(&path, &desk.lines(2));
    append(&rotated, &desk.lines(2));
    wait_for(&desk, 4, &mut child);
    append(&path, &desk.lines(1));
    wait_for(&desk, 1, &mut child);
    // Emptied in place.
    fs::write(&path, "").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    append(&path, &desk.lines(1));
    wait_for(&desk, 1, &mut child);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let (code, report) = ended(child);
    assert_eq!((code, numbers(&report)), (0, [10, 0, 0, 0]), "{report}");
    assert_eq!(numbers(&desk.replay(&[&path], &[]).1), [0; 4]);
}

#[test]
fn an_endless_line_and_a_huge_file_need_little_memory() {
    let mut desk = Desk::new("replay-memory");
    let event = desk.lines(1);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..300 {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.write_all(b"\n").unwrap();
    let blank = [vec![b'-', b'\n'], vec![b'\n'; 1 << 20]].concat();
    for _ in 0..50 {
        encoder.write_all(&blank).unwrap();
    }
    encoder.write_all(event.as_bytes()).unwrap();
    let path = desk.write("huge.gz", encoder.finish().unwrap());
    let mut child = desk.command(&[&path], &[]).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_memory_kib(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    let (code, report) = ended(child);
    assert_eq!((code, numbers(&report)), (3, [1, 0, 0, 1]), "{report}");
    assert!((1..100 << 10).contains(&peak), "{peak} KiB");
}

impl Desk {
    /// Many lines, without asking the clock for each in one go.
    fn lines_in_steps(&mut self, count: usize) -> String {
        (0..count / 1000).map(|_| self.lines(1000)).collect()
    }
}
