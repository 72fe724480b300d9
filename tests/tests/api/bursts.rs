//! Many times more events than the service keeps waiting: it turns them away before its memory grows,
//! and what comes again is counted once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kraiter_tests::process::peak_memory_kib;
use kraiter_tests::{database, wait};

use crate::edge::{Edge, Mint};
use crate::service::{Service, counts, rewrite};

/// What the service keeps waiting at most.
const CAPACITY: usize = 100_000;
const LINES: usize = 1000;
/// Half as many again as there is room for.
const BATCHES: usize = CAPACITY / LINES * 3 / 2;
const MOST_MEMORY_KIB: u64 = 256 << 10;

/// Nothing is stored while this runs.
const HOLD: &str = "begin; lock table events in exclusive mode; select pg_sleep(25); commit";
const LET_GO: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where datname = current_database() and query like 'begin; lock table events%'";

#[test]
fn ten_times_what_may_wait_is_turned_away_and_counted_once_when_it_comes_again() {
    let url = database::fresh().unwrap();
    let mut service = Service::on("burst", &url);
    let api = service.tenant("shop");
    let mails: Vec<_> = (0..BATCHES)
        .map(|number| {
            let contact = format!("reader-{number}@example.com");
            let mail = rewrite(&api, &format!("snd-{number}"), &contact);
            (contact, mail)
        })
        .collect();
    let mint = Mint::of(&service, 1);
    let pid = service.backend.process().pid();
    let turned_away = AtomicUsize::new(0);
    let accepted = AtomicUsize::new(0);
    thread::scope(|scope| {
        let holding = scope.spawn(|| database::execute(&url, HOLD));
        thread::sleep(Duration::from_millis(200));
        for (number, (_, mail)) in mails.iter().enumerate() {
            let mut edge = Edge::of(&service, number as u8);
            let pixel = mint.open(
                &format!("snd-{number}"),
                mail["contactId"].as_str().unwrap(),
            );
            let (turned_away, accepted) = (&turned_away, &accepted);
            scope.spawn(move || {
                let batch = edge.lines("o", &pixel, LINES);
                // Far sooner than the service asks for.
                loop {
                    let answer = edge.try_post(batch.as_str()).unwrap();
                    match answer.status {
                        200 => {
                            let taken = answer.json()["accepted"].as_u64().unwrap();
                            return accepted.fetch_add(taken as usize, Ordering::Relaxed);
                        }
                        503 => {
                            assert_eq!(answer.json()["code"], "saturated");
                            assert!(answer.header("retry-after").is_some());
                            turned_away.fetch_add(LINES, Ordering::Relaxed);
                            thread::sleep(Duration::from_millis(20));
                        }
                        other => panic!("{other}: {}", answer.text()),
                    }
                }
            });
        }
        wait::until(
            "ten times the capacity to be turned away",
            || match turned_away.load(Ordering::Relaxed) {
                enough if enough >= 10 * CAPACITY => Ok(()),
                few => Err(format!("{few} events")),
            },
        )
        .unwrap();
        database::execute(&url, LET_GO).unwrap();
        // It was ended before its time.
        assert!(holding.join().unwrap().is_err());
    });
    assert_eq!(accepted.into_inner(), BATCHES * LINES);
    for (contact, _) in &mails {
        assert_eq!(counts(&api, contact), [1, LINES as u64, 0]);
    }
    let peak = peak_memory_kib(pid).unwrap();
    assert!(peak < MOST_MEMORY_KIB, "{peak} KiB");
}
