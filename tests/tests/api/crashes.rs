//! A backend that is killed or told to stop while events arrive.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;

use kraiter_tests::http::read_response;
use kraiter_tests::wait;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::edge::{Edge, tokens};
use crate::service::{Service, all, counts, rewrite};

const EDGES: usize = 4;
const BATCHES: usize = 40;
const LINES: usize = 50;
/// Acknowledged batches after which the backend is ended.
const ENOUGH: usize = 30;

/// Batches of different events; each edge has its own.
fn batches(service: &Service, pixel: &str) -> Vec<Vec<String>> {
    let of_edge = |number: usize| {
        let mut edge = Edge::of(service, number as u8);
        (0..BATCHES)
            .map(|_| edge.lines("o", pixel, LINES))
            .collect()
    };
    (0..EDGES).map(of_edge).collect()
}

/// Posts until the backend is gone. `end` is called once enough was acknowledged. Returns what was.
fn load(
    service: &mut Service,
    batches: &[Vec<String>],
    end: impl FnOnce(&mut Service),
) -> Vec<String> {
    let edge = Edge::of(service, 0);
    let acknowledged = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for batches in batches {
            let (edge, acknowledged) = (&edge, &acknowledged);
            scope.spawn(move || {
                for batch in batches {
                    match edge.try_post(batch.as_str()) {
                        Ok(answer) if answer.status == 200 => {
                            assert_eq!(answer.json()["accepted"], LINES);
                            acknowledged.lock().unwrap().push(batch.clone());
                        }
                        Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
                        // It is gone.
                        Err(_) => return,
                    }
                }
            });
        }
        wait::until("batches to be acknowledged", || {
            match acknowledged.lock().unwrap().len() {
                ENOUGH.. => Ok(()),
                few => Err(format!("{few} of {ENOUGH}")),
            }
        })
        .unwrap();
        end(service);
    });
    acknowledged.into_inner().unwrap()
}

/// All that was acknowledged is there, and sending everything again makes it complete, once.
fn assert_nothing_lost(service: &mut Service, batches: &[Vec<String>], acknowledged: &[String]) {
    service.backend.start_again().unwrap();
    let edge = Edge::of(service, 0);
    for batch in acknowledged {
        let expected = json!({"accepted": 0, "duplicates": LINES, "rejected": 0});
        assert_eq!(edge.post(batch.as_str()), expected);
    }
    for batches in batches {
        let answer = edge.post(batches.concat());
        let sum = answer["accepted"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap();
        assert_eq!(sum, (BATCHES * LINES) as u64, "{answer}");
    }
}

#[test]
fn what_a_killed_backend_acknowledged_is_there_once_after_the_rest_is_sent_again() {
    let mut service = Service::start("killed");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let batches = batches(&service, &pixel);
    let acknowledged = load(&mut service, &batches, |service| service.backend.kill());
    assert!(acknowledged.len() >= ENOUGH);
    assert_nothing_lost(&mut service, &batches, &acknowledged);
    let api = service.backend.reach(&api);
    let total = EDGES * BATCHES * LINES;
    assert_eq!(counts(&api, "ada@example.com"), [1, total as u64, 0]);
    assert_eq!(api.sent("snd-1").unwrap()["opensCount"], total);
    assert_eq!(all(&api, "/events?type=email.opened").len(), total);
}

#[test]
fn a_backend_that_is_told_to_stop_under_load_ends_well_and_keeps_what_it_acknowledged() {
    let mut service = Service::start("told-to-stop");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let batches = batches(&service, &pixel);
    let acknowledged = load(&mut service, &batches, |service| {
        let status = service.backend.stop().expect("it ends by itself");
        assert!(status.success(), "{status}");
    });
    assert_nothing_lost(&mut service, &batches, &acknowledged);
    let api = service.backend.reach(&api);
    let total = (EDGES * BATCHES * LINES) as u64;
    assert_eq!(counts(&api, "ada@example.com"), [1, total, 0]);
}

#[test]
fn a_request_that_was_accepted_is_answered_though_the_backend_is_told_to_stop() {
    let mut service = Service::start("half-sent");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let batch = edge.lines("o", &pixel, 100);
    let bytes = edge.request(batch).to_bytes(false);
    let (start, rest) = bytes.split_at(bytes.len() / 2);
    let mut stream = TcpStream::connect(edge.address).unwrap();
    stream.write_all(start).unwrap();
    // It answers another one meanwhile, so it has seen the connection of the first.
    assert_eq!(edge.post("")["accepted"], 0);
    service.backend.process().signal_alone(Signal::SIGTERM);
    wait::until(
        "the backend to stop taking connections",
        || match TcpStream::connect(edge.address) {
            Err(_) => Ok(()),
            Ok(_) => Err("it still does".to_owned()),
        },
    )
    .unwrap();
    stream.write_all(rest).unwrap();
    let answer = read_response(&mut BufReader::new(stream), false).unwrap();
    assert_eq!(
        (answer.status, answer.json()["accepted"].clone()),
        (200, json!(100))
    );
    let status = service.backend.stop().expect("it ends by itself");
    assert!(status.success(), "{status}");
    service.backend.start_again().unwrap();
    let api = service.backend.reach(&api);
    assert_eq!(counts(&api, "ada@example.com"), [1, 100, 0]);
}
