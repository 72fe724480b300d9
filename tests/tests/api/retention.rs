//! Retention: what goes when a tenant's days are over, what stays, and that nothing of it returns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::wait;
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, Mint, now, stranger};
use crate::service::{Service, all, options, rewrite, texts};
use crate::verdicts::FIREFOX;
use crate::verify::assert_nothing_differs;

fn days_ago(days: u64) -> UnixMillis {
    UnixMillis(now().0 - days * 24 * HOUR)
}

fn keep(api: &Api, days: u16) {
    let settings = api.write("PATCH", "/settings", &json!({"retentionDays": days}));
    assert_eq!(settings.unwrap()["retentionDays"], days);
}

fn retention(service: &Service, args: &[&str]) -> Value {
    let args = [&["retention", "--json"], args].concat();
    service.backend.says(&args).unwrap()
}

/// A line of a person's.
fn seen(edge: &mut Edge, kind: &str, token: &str, days: u64) -> String {
    let signals = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
    edge.line_with(kind, token, days_ago(days), signals)
}

/// Whether the database has a table for the events of that day.
fn has_partition(url: &str, days: u64) -> bool {
    let check = format!(
        "do $$ begin assert to_regclass(to_char(now() at time zone 'UTC' - interval '{days} days', \
         '\"events_\"YYYY_MM')) is not null; end $$"
    );
    database::execute(url, &check).is_ok()
}

#[test]
fn events_and_sends_past_their_days_go_for_good_and_counters_stay() {
    let service = Service::start("retention");
    let api = service.tenant("shop");
    // Another one keeps the partition, so that rows go one by one.
    let other = service.tenant("archive");
    let (contact, others) = (stranger(1), stranger(2));
    let mint = Mint::of(&service, 1).registered_days_ago(60);
    let (old, mid) = (mint.open("old", &contact), mint.open("mid", &contact));
    let click = mint.click("old", &contact, 0, "https://shop.example/");
    let kept = Mint::of(&service, 2).registered_days_ago(60);
    let kept = kept.open("kept", &others);
    let new = Mint::of(&service, 1).open("new", &contact);
    let mut edge = Edge::of(&service, 1);
    let batch = seen(&mut edge, "o", &old, 59)
        + &seen(&mut edge, "c", &click, 50)
        + &seen(&mut edge, "o", &mid, 59)
        + &seen(&mut edge, "o", &mid, 2)
        + &seen(&mut edge, "o", &kept, 59)
        + &seen(&mut edge, "o", &new, 0);
    assert_eq!(edge.post(batch.as_str())["accepted"], 6);
    // Registered now, and sent before what is kept will begin.
    let sent_at = jiff::Timestamp::from_millisecond(days_ago(80).0 as i64).unwrap();
    let body = json!({"sendId": "back", "contact": "ada@example.com", "campaign": "spring",
        "sentAt": sent_at.to_string()});
    api.write("POST", "/sends", &body).unwrap();
    assert_nothing_differs(&service.backend);
    let path = format!("/contacts/{contact}");
    let before = api.read(&path).unwrap();

    keep(&api, 30);
    let removed = |report: &Value| {
        let shop = &report["tenants"][0];
        assert_eq!(
            (&shop["name"], &report["partitions"]),
            (&json!("shop"), &json!([]))
        );
        (shop["events"].clone(), shop["sends"].clone())
    };
    let planned = retention(&service, &["--dry-run"]);
    assert_eq!(removed(&planned), (json!(4), json!(1)));
    assert_eq!(all(&api, "/events").len(), 6);
    let done = retention(&service, &[]);
    assert_eq!(removed(&done), (json!(4), json!(1)));

    assert_eq!(api.read(&path).unwrap(), before);
    assert_eq!(all(&api, "/events").len(), 2);
    assert_eq!(all(&other, "/events").len(), 1);
    assert_eq!(api.get("/sends/old").unwrap().status, 404);
    assert_eq!(
        api.read("/sends/mid").unwrap()["opens"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_nothing_differs(&service.backend);

    // What was removed does not come back, not even once more days are kept.
    for days in [30, 400] {
        keep(&api, days);
        let answer = edge.post(batch.as_str());
        let refused = (&answer["accepted"], &answer["reasons"]["too_old"]);
        assert_eq!(refused, (&json!(0), &json!(4)), "{answer}");
        assert_eq!(answer["duplicates"], 2);
    }
    assert_eq!(removed(&retention(&service, &[])), (json!(0), json!(0)));
    assert_nothing_differs(&service.backend);
    let audited = all(&api, "/audit?action=retention.applied");
    assert_eq!(audited.len(), 1);
    assert_eq!(
        (&audited[0]["actor"], &audited[0]["detail"]["events"]),
        (&json!("operator"), &json!(4))
    );
    assert_eq!(all(&other, "/audit?action=retention.applied").len(), 0);
}

#[test]
fn a_partition_goes_once_no_tenant_needs_it_and_is_made_again_for_one_that_does() {
    let url = database::fresh().unwrap();
    let service = Service::on("retention-partitions", &url);
    let (api, other) = (service.tenant("shop"), service.tenant("archive"));
    let mut edge = Edge::of(&service, 1);
    let mut open = |tenant| {
        let mint = Mint::of(&service, tenant).registered_days_ago(100);
        let token = mint.open("old", &stranger(1));
        let line = seen(&mut edge, "o", &token, 99);
        edge.post(line)
    };
    assert_eq!(
        (open(1)["accepted"].clone(), open(2)["accepted"].clone()),
        (json!(1), json!(1))
    );
    keep(&api, 30);
    assert_eq!(retention(&service, &[])["partitions"], json!([]));
    assert!(has_partition(&url, 99));
    keep(&other, 30);
    // One tenant alone takes no partition from the others.
    assert_eq!(
        retention(&service, &["--tenant", "archive"])["partitions"],
        json!([])
    );
    assert!(has_partition(&url, 99));
    let planned = retention(&service, &["--dry-run"])["partitions"].clone();
    assert!(has_partition(&url, 99));
    let dropped = retention(&service, &[])["partitions"].clone();
    assert_eq!(dropped, planned);
    assert!(!has_partition(&url, 99), "{dropped}");
    assert_nothing_differs(&service.backend);

    // The service still takes it to be there, and meets its absence while it stores the event.
    let late = service.tenant("late");
    assert_eq!(open(3)["accepted"], 1);
    assert!(has_partition(&url, 99));
    keep(&late, 30);
    retention(&service, &[]);
    assert!(!has_partition(&url, 99));
    let sent_at = jiff::Timestamp::from_millisecond(days_ago(99).0 as i64).unwrap();
    let body =
        json!({"sendId": "back", "contact": "ada@example.com", "sentAt": sent_at.to_string()});
    assert_eq!(api.post("/sends", &body).unwrap().status, 200);
    assert_nothing_differs(&service.backend);
}

#[test]
fn replicas_remove_old_data_by_themselves_while_events_come_in() {
    let url = database::fresh().unwrap();
    let every_second = |name: &str, url: &str| {
        let mut options = options(name, Some(url));
        let interval = ("KRAITER_RETENTION_INTERVAL".into(), "1".into());
        options.env.push(interval);
        options
    };
    let service = Service::with("retention-task", every_second("retention-task", &url));
    let _second = Service::with("retention-task-2", every_second("retention-task-2", &url));
    let api = service.tenant("shop");
    let pixel = crate::edge::tokens(&rewrite(&api, "new", "ada@example.com")).0;
    let old = Mint::of(&service, 1).registered_days_ago(100);
    let old = old.open("old", &stranger(1));
    let mut edge = Edge::of(&service, 1);
    let batch: String = (0..50).map(|_| seen(&mut edge, "o", &old, 99)).collect();
    assert_eq!(edge.post(batch)["accepted"], 50);
    keep(&api, 30);
    let stop = AtomicBool::new(false);
    let posted = thread::scope(|scope| {
        let (stop, pixel, mut edge) = (&stop, &pixel, Edge::of(&service, 2));
        let posting = scope.spawn(move || {
            let mut posted = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(edge.record("o", pixel, 20)["accepted"], 20);
                posted += 20;
            }
            posted
        });
        let gone = wait::until("the old partition to go", || {
            match has_partition(&url, 99) {
                true => Err("it is there".to_owned()),
                false => Ok(()),
            }
        });
        let removed = wait::until("the old send to go", || match api.get("/sends/old") {
            Ok(answer) if answer.status == 404 => Ok(()),
            answer => Err(format!("{answer:?}")),
        });
        stop.store(true, Ordering::Relaxed);
        gone.and(removed).unwrap();
        posting.join().unwrap()
    });
    assert_eq!(
        api.contact("ada@example.com").unwrap()["emailsOpenedCount"],
        posted
    );
    assert_nothing_differs(&service.backend);
    assert!(
        !service.log().contains("could not be removed"),
        "{}",
        service.log()
    );
}

#[test]
fn a_send_shows_its_events_of_every_month_that_is_kept() {
    let url = database::fresh().unwrap();
    let service = Service::on("retention-months", &url);
    let api = service.tenant("shop");
    let pixel = Mint::of(&service, 1)
        .registered_days_ago(130)
        .open("read-again", &stranger(1));
    let mut edge = Edge::of(&service, 1);
    let batch = [1, 129, 65]
        .map(|days| seen(&mut edge, "o", &pixel, days))
        .concat();
    assert_eq!(edge.post(batch)["accepted"], 3);
    let opens = || api.sent("read-again").unwrap()["opens"].clone();
    let all_three = opens();
    let times = texts(all_three.as_array().unwrap(), "timestamp");
    assert_eq!((times.len(), times.is_sorted()), (3, true), "{times:?}");

    // The month in which it was opened first is gone with its table.
    keep(&api, 30);
    retention(&service, &[]);
    assert!(!has_partition(&url, 129));
    assert_eq!(opens(), json!([all_three[2]]));
}
