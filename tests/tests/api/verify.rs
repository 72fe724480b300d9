//! `kraiter verify`: nothing differs after whatever traffic, and what is planted is found.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kraiter_tests::api::Api;
use kraiter_tests::backend::Backend;
use kraiter_tests::database::{self, Cluster, Durability, StopMode};
use kraiter_tests::http::Request;
use kraiter_tests::wait;
use kraiter_wire::UnixMillis;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, Mint, now, stranger, tokens};
use crate::service::{Service, register, rewrite};
use crate::settling;
use crate::verdicts::FIREFOX;

fn verified(backend: &Backend) -> Value {
    backend.says(&["verify", "--json"]).unwrap()
}

pub(crate) fn assert_nothing_differs(backend: &Backend) {
    let report = backend.command(&["verify"]);
    let report = report.unwrap_or_else(|error| panic!("{error}: {}", verified(backend)));
    assert!(report.starts_with("0 differences"), "{report}");
}

/// One event of random traffic.
#[derive(Clone, Debug)]
struct Seen {
    send: u8,
    kind: u8,
    hours_ago: u64,
    /// By a person, a machine, or somebody in between.
    by: u8,
    /// Posted again at the end of the batch, and by the other edge as well.
    repeated: bool,
}

fn traffic() -> impl Strategy<Value = Vec<Vec<Seen>>> {
    let seen = (0..12_u8, 0..10_u8, 0..60_u64, 0..4_u8, any::<bool>());
    let seen = seen.prop_map(|(send, kind, hours_ago, by, repeated)| Seen {
        send,
        kind,
        hours_ago,
        by,
        repeated,
    });
    proptest::collection::vec(proptest::collection::vec(seen, 1..40), 2..8)
}

/// The batches' bytes. Sends 8 and above are not registered when their events come.
fn lines(service: &Service, case: u32, mint: &Mint, batches: &[Vec<Seen>]) -> Vec<String> {
    let mut edge = Edge::of(service, case as u8);
    let line = |edge: &mut Edge, seen: &Seen| {
        let send = format!("snd-{case}-{}", seen.send);
        let contact = stranger(seen.send % 5);
        let at = UnixMillis(now().0 - seen.hours_ago * HOUR);
        let signals = match seen.by {
            0 => json!({}),
            1 => json!({"ua": FIREFOX, "ip": "40.107.3.4"}),
            _ => json!({"ua": FIREFOX, "ip": "203.0.113.9"}),
        };
        match seen.kind {
            0..6 => edge.line_with("o", &mint.open(&send, &contact), at, signals),
            6..9 => {
                let url = format!("https://shop.example/{}", seen.kind % 2);
                edge.line_with("c", &mint.click(&send, &contact, 0, &url), at, signals)
            }
            _ => edge.line_at("u", &mint.unsubscribe(&send, &contact), at),
        }
    };
    let mut shared = String::new();
    let mut batches: Vec<String> = batches
        .iter()
        .map(|batch| {
            let mut text = String::new();
            for seen in batch {
                let line = line(&mut edge, seen);
                text += &line;
                if seen.repeated {
                    shared += &line;
                }
            }
            text
        })
        .collect();
    batches.push(shared);
    batches
}

#[test]
fn nothing_differs_after_batches_from_all_sides_with_repeats_and_late_registrations() {
    let url = database::fresh().unwrap();
    let service = Service::on("verify-random", &url);
    let twin = service.twin("verify-random-2", &url);
    let api = service.tenant("shop");
    let mint = Mint::of(&service, 1);
    let cases = AtomicUsize::new(0);
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&traffic(), |batches| {
        let case = cases.fetch_add(1, Ordering::Relaxed) as u32;
        let batches = lines(&service, case, &mint, &batches);
        // Contacts become known by their id once an event has made them.
        let edge = Edge::of(&service, 1);
        for number in 0..5 {
            let send = format!("snd-first-{case}-{number}");
            let token = mint.open(&send, &stranger(number));
            edge.post(edge.clone().line("o", &token));
        }
        let mut other = edge.clone();
        other.address = twin.backend.address();
        thread::scope(|scope| {
            for (number, edge) in [&edge, &other, &edge, &other].into_iter().enumerate() {
                let batches = &batches;
                scope.spawn(move || {
                    for at in 0..batches.len() {
                        edge.post(batches[(at + number) % batches.len()].as_str());
                    }
                });
            }
            scope.spawn(|| register_all(&api, case));
        });
        let report = verified(&service.backend);
        match report["differences"] == 0 {
            true => Ok(()),
            false => Err(TestCaseError::fail(report.to_string())),
        }
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn nothing_differs_after_contacts_are_erased_and_old_events_are_removed() {
    let url = database::fresh().unwrap();
    let service = settling::service("verify-privacy", &url);
    let cases = AtomicUsize::new(0);
    let config = Config {
        cases: 6,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&traffic(), |batches| {
        let case = 1 + cases.fetch_add(1, Ordering::Relaxed) as u32;
        let api = service.tenant(&format!("shop-{case}"));
        let mint = Mint::of(&service, case).registered_days_ago(4);
        let edge = Edge::of(&service, 1);
        let differences = |after: &str| {
            let report = verified(&service.backend);
            match report["differences"] == 0 {
                true => Ok(()),
                false => Err(TestCaseError::fail(format!("after {after}: {report}"))),
            }
        };
        for batch in lines(&service, case, &mint, &batches) {
            edge.post(batch);
        }
        let erase = |contact: u8| {
            let path = format!("/contacts/{}", stranger(contact));
            let answer = api.send(Request::new("DELETE", path)).unwrap();
            // Not every traffic has every contact.
            assert!([200, 404].contains(&answer.status), "{}", answer.text());
        };
        erase(0);
        differences("erasing what may not be settled")?;
        settling::settled(&url);
        erase(1);
        differences("erasing what is settled")?;
        api.write("PATCH", "/settings", &json!({"retentionDays": 1}))
            .unwrap();
        service.backend.command(&["retention"]).unwrap();
        differences("removing what is older than a day")?;
        erase(2);
        differences("erasing what is partly removed")
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Registers sends while their events arrive: some were made by an event before, and their
/// campaign is then set late.
fn register_all(api: &Api, case: u32) {
    for number in 0..12_u8 {
        let body = json!({"sendId": format!("snd-{case}-{number}"),
            "contact": stranger(number % 5), "campaign": format!("campaign {}", number % 3)});
        // It may be told to come again: an event's writer and this can wait for each other.
        let registered = || {
            api.write("POST", "/sends", &body)
                .map_err(|error| error.to_string())
        };
        wait::until("the send to be registered", registered).unwrap();
        if number % 4 == 0 {
            let path = format!("/sends/snd-{case}-{number}");
            api.write("PATCH", &path, &json!({"status": "bounced"}))
                .unwrap();
        }
    }
}

#[test]
fn a_campaign_that_is_known_late_takes_over_what_was_counted_before() {
    let url = database::fresh().unwrap();
    let service = Service::on("verify-campaign", &url);
    let api = service.tenant("shop");
    let mint = Mint::of(&service, 1);
    let mut edge = Edge::of(&service, 1);
    let contact = stranger(1);
    let click = mint.click("snd-1", &contact, 0, "https://shop.example/x");
    let late = UnixMillis(now().0 - 3 * HOUR);
    let batch = edge.lines("o", &mint.open("snd-1", &contact), 3) + &edge.line("c", &click);
    edge.post(batch);
    // The first open moves to an earlier hour.
    edge.post(
        edge.clone()
            .line_at("o", &mint.open("snd-1", &contact), late),
    );
    assert_nothing_differs(&service.backend);
    let body = json!({"sendId": "snd-1", "contact": contact, "campaign": "spring"});
    api.write("POST", "/sends", &body).unwrap();
    assert_nothing_differs(&service.backend);
    let without = "do $$ begin if (select sum(events_count) <> 0 from rollups where campaign = '') \
                   or (select sum(clicks_count) <> 1 from link_rollups where campaign = 'spring') \
                   then raise 'still counted without a campaign'; end if; end $$";
    database::execute(&url, without).unwrap();
}

#[test]
fn every_kind_of_difference_is_found() {
    let url = database::fresh().unwrap();
    let service = Service::on("verify-planted", &url);
    let api = service.tenant("shop");
    let mail = rewrite(&api, "snd-1", "ada@example.com");
    register(&api, "snd-2", "bob@example.com");
    let (pixel, clicks, page) = tokens(&mail);
    let mut edge = Edge::of(&service, 1);
    let batch = edge.lines("o", &pixel, 3) + &edge.line("c", &clicks[0]) + &edge.line("u", &page);
    edge.post(batch);
    for (kind, token) in [("o", &pixel), ("c", &clicks[0])] {
        let signals = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
        let line = edge.line_with(kind, token, UnixMillis(now().0 - HOUR), signals);
        edge.post(line);
    }
    assert_nothing_differs(&service.backend);
    let plants = [
        (
            "contacts",
            "emailsOpenedCount",
            "contacts set emails_opened_count = 2 where email like 'ada%'",
        ),
        (
            "contacts",
            "emailsClickedCount",
            "contacts set emails_clicked_count = 9 where email like 'ada%'",
        ),
        (
            "contacts",
            "emailsSentCount",
            "contacts set emails_sent_count = 7 where email like 'bob%'",
        ),
        (
            "contacts",
            "lastEmailOpenedAt",
            "contacts set last_email_opened_at = now() - interval '1 day' where email like 'ada%'",
        ),
        (
            "contacts",
            "lastEmailSentAt",
            "contacts set last_email_sent_at = null where email like 'bob%'",
        ),
        (
            "contacts",
            "unsubscribedAt",
            "contacts set unsubscribed_at = null where email like 'ada%'",
        ),
        (
            "contacts",
            "suppressedAt",
            "contacts set suppressed_at = now() where email like 'bob%'",
        ),
        (
            "contacts",
            "emailsHumanOpenedCount",
            "contacts set emails_human_opened_count = 7 where email like 'ada%'",
        ),
        (
            "contacts",
            "emailsMachineClickedCount",
            "contacts set emails_machine_clicked_count = 7 where email like 'ada%'",
        ),
        (
            "contacts",
            "lastEmailHumanClickedAt",
            "contacts set last_email_human_clicked_at = now() where email like 'ada%'",
        ),
        (
            "sends",
            "humanClickedAt",
            "sends set human_clicked_at = null where id = 'snd-1'",
        ),
        (
            "sends",
            "machineOpensCount",
            "sends set machine_opens_count = 0 where id = 'snd-1'",
        ),
        (
            "rollups",
            "human events",
            "rollups set human_events_count = human_events_count + 1 where kind = 1",
        ),
        (
            "rollups",
            "human firsts",
            "rollups set human_firsts_count = human_firsts_count + 1 where kind = 2",
        ),
        (
            "links",
            "machine clicks",
            "link_rollups set machine_clicks_count = machine_clicks_count + 1",
        ),
        (
            "sends",
            "opensCount",
            "sends set opens_count = 1 where id = 'snd-1'",
        ),
        (
            "sends",
            "openedAt",
            "sends set opened_at = opened_at - interval '1 ms' where id = 'snd-1'",
        ),
        (
            "sends",
            "clickedAt",
            "sends set clicked_at = now() where id = 'snd-2'",
        ),
        (
            "sends",
            "deliveredAt",
            "sends set delivered_at = now() where id = 'snd-2'",
        ),
        (
            "rollups",
            "events",
            "rollups set events_count = events_count + 1 where kind = 1",
        ),
        (
            "rollups",
            "firsts",
            "rollups set firsts_count = firsts_count - 1 where kind = 2",
        ),
        (
            "rollups",
            "events",
            "rollups set hour = hour - interval '1 hour' where kind = 3",
        ),
        ("links", "clicks", "link_rollups set clicks_count = 9"),
    ];
    for (check, field, plant) in plants {
        let table = plant.split(' ').next().unwrap();
        let keep = format!("create table kept as select * from {table}; update {plant}");
        database::execute(&url, &keep).unwrap();
        let error = service
            .backend
            .command(&["verify"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        let report = verified(&service.backend);
        let found = report["checks"].as_array().unwrap();
        let found = found.iter().find(|found| found["check"] == check).unwrap();
        assert!(
            found["differences"].as_i64().unwrap() > 0,
            "{plant}: {report}"
        );
        assert_eq!(found["examples"][0]["field"], field, "{plant}: {report}");
        let back =
            format!("truncate {table}; insert into {table} select * from kept; drop table kept");
        database::execute(&url, &back).unwrap();
        assert_nothing_differs(&service.backend);
    }
    database::execute(&url, "delete from contacts where email like 'ada%'").unwrap();
    assert_ne!(verified(&service.backend)["differences"], 0);
}

#[test]
fn nothing_differs_after_the_backend_and_postgres_were_killed_under_load() {
    let cluster = Cluster::start(Durability::Full).unwrap();
    cluster.migrated("kraiter").unwrap();
    let folder = "verify-killed";
    let mut service = Service::on(folder, &cluster.url("kraiter").unwrap());
    let api = service.tenant("shop");
    let mint = Mint::of(&service, 1);
    rewrite(&api, "snd-0", "ada@example.com");
    let batches: Vec<String> = (0..60)
        .map(|number| {
            let mut edge = Edge::of(&service, number);
            let token = mint.open(&format!("snd-{}", number % 7), &stranger(number % 5));
            edge.lines("o", &token, 40)
        })
        .collect();
    let edge = Edge::of(&service, 0);
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        for part in batches.chunks(15) {
            let (edge, acknowledged) = (&edge, &acknowledged);
            scope.spawn(move || {
                // Over and over, so that load goes on until the end.
                for batch in part.iter().cycle().take(600) {
                    match edge.try_post(batch.as_str()) {
                        Ok(_) => acknowledged.fetch_add(1, Ordering::Relaxed),
                        Err(_) => return,
                    };
                }
            });
        }
        let enough = || match acknowledged.load(Ordering::Relaxed) {
            20.. => Ok(()),
            few => Err(format!("{few} answers")),
        };
        wait::until("batches to be taken", enough).unwrap();
        cluster.restart(StopMode::Kill).unwrap();
        service.backend.kill();
    });
    drop(service);
    let url = cluster.url("kraiter").unwrap();
    let again = Service::on(folder, &url);
    assert_nothing_differs(&again.backend);
}
