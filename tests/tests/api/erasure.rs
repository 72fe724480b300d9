//! Erasure: what goes, what stays, and that nothing brings a person back.

use std::sync::atomic::{AtomicBool, Ordering};

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::http::{Request, Response};
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, now, stranger, tokens};
use crate::service::{Service, all, counts, rewrite};
use crate::settling;
use crate::verdicts::FIREFOX;
use crate::verify::assert_nothing_differs;

const ADA: &str = "ada@example.com";

fn erase(api: &Api, contact: &str) -> Response {
    api.send(Request::new("DELETE", format!("/contacts/{contact}")))
        .unwrap()
}

/// Fails unless the condition holds in the database.
fn holds(url: &str, condition: &str) {
    let check = format!("do $$ begin assert ({condition}); end $$");
    if let Err(error) = database::execute(url, &check) {
        panic!("{condition}: {error}");
    }
}

/// No table has a row of the contact, whatever its columns are called.
fn leaves_no_row(url: &str, needles: &[&str]) {
    for needle in needles {
        let search = format!(
            "do $$ declare t record; n bigint; begin \
               for t in select oid::regclass as name from pg_class \
                 where relnamespace = 'public'::regnamespace and relkind = 'r' loop \
                 execute format('select count(*) from %s as r where r::text like %L', t.name, \
                   '%{needle}%') into n; \
                 if n > 0 then raise exception 'in % rows of %', n, t.name; end if; \
               end loop; end $$"
        );
        if let Err(error) = database::execute(url, &search) {
            panic!("{needle} is left: {error}");
        }
    }
}

/// A contact's id as Postgres prints it.
fn uuid(contact: &str) -> String {
    let id: kraiter_wire::ContactId = contact.parse().unwrap();
    id.uuid().to_string()
}

#[test]
fn erasing_removes_contact_sends_and_events_and_nobody_elses() {
    let url = database::fresh().unwrap();
    let service = Service::on("erase", &url);
    let api = service.tenant("shop");
    let mail = rewrite(&api, "snd-1", ADA);
    rewrite(&api, "snd-2", ADA);
    let (other, ..) = tokens(&rewrite(&api, "snd-3", "grace@example.com"));
    let (pixel, clicks, _) = tokens(&mail);
    let mut edge = Edge::of(&service, 1);
    let batch = edge.lines("o", &pixel, 3) + &edge.line("c", &clicks[0]) + &edge.line("o", &other);
    assert_eq!(edge.post(batch)["accepted"], 5);
    let id = mail["contactId"].as_str().unwrap().to_owned();

    let answer = erase(&api, "ADA@example.com");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let removed = answer.json();
    assert_eq!(
        (&removed["sends"], &removed["events"]),
        (&json!(2), &json!(6))
    );
    for path in [
        format!("/contacts/{ADA}"),
        format!("/contacts/{id}"),
        "/sends/snd-1".to_owned(),
    ] {
        assert_eq!(api.get(&path).unwrap().status, 404, "{path}");
    }
    leaves_no_row(&url, &["ada@example", "snd-1", "snd-2", &uuid(&id)]);
    assert_eq!(counts(&api, "grace@example.com"), [1, 1, 0]);
    assert_eq!(all(&api, "/events").len(), 2);

    // By the id it is known to be gone; an address is not remembered in any form.
    let again = erase(&api, &id);
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.json()["events"], 0);
    assert_eq!(erase(&api, ADA).json()["code"], "unknown_contact");
    assert_eq!(erase(&api, &stranger(3)).json()["code"], "unknown_contact");
    assert_nothing_differs(&service.backend);
}

#[test]
fn an_erased_id_is_refused_and_the_address_begins_anew() {
    let service = Service::start("erase-again");
    let api = service.tenant("shop");
    let mail = rewrite(&api, "snd-1", ADA);
    let id = mail["contactId"].as_str().unwrap().to_owned();
    assert_eq!(erase(&api, &id).status, 200);
    let html = "<p>x</p>";
    for (path, body) in [
        ("/rewrite", json!({"contact": id, "html": html})),
        ("/sends", json!({"contact": id, "sendId": "snd-2"})),
    ] {
        let answer = api.post(path, &body).unwrap();
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (410, &json!("contact_erased")),
            "{path}"
        );
    }
    let body = [json!({"html": html}), json!({"contact": id})].map(|line| line.to_string());
    let batch = Request::new("POST", "/rewrite/batch");
    let batch = batch.body("application/x-ndjson", body.join("\n"));
    let line: Value = serde_json::from_str(api.send(batch).unwrap().text().trim()).unwrap();
    assert_eq!(line["error"]["code"], "contact_erased", "{line}");
    let report = api.patch("/sends/snd-1", &json!({"status": "delivered"}));
    assert_eq!(report.unwrap().json()["code"], "unknown_send");
    let withdraw = Request::new("DELETE", format!("/contacts/{id}/consent"));
    assert_eq!(api.send(withdraw).unwrap().status, 404);

    let anew = rewrite(&api, "snd-1", ADA);
    assert_ne!(anew["contactId"], json!(id));
    assert_eq!(counts(&api, ADA), [1, 0, 0]);
}

#[test]
fn what_comes_late_or_is_replayed_does_not_bring_the_person_back() {
    let url = database::fresh().unwrap();
    let service = Service::on("erase-replay", &url);
    let twin = service.twin("erase-replay-twin", &url);
    let api = service.tenant("shop");
    let mail = rewrite(&api, "snd-1", ADA);
    let (other, ..) = tokens(&rewrite(&api, "snd-2", "grace@example.com"));
    let id = mail["contactId"].as_str().unwrap().to_owned();
    let (pixel, clicks, bye) = tokens(&mail);
    let mut edge = Edge::of(&service, 1);
    let mut far = Edge::of(&service, 2);
    far.address = twin.backend.address();
    let known = edge.lines("o", &pixel, 2) + &edge.line("c", &clicks[0]);
    assert_eq!(edge.post(known.as_str())["accepted"], 3);
    // The other backend has seen the tenant before, when it had erased nobody.
    assert_eq!(far.record("o", &pixel, 1)["accepted"], 1);
    assert_eq!(erase(&api, ADA).status, 200);
    let late = edge.line("o", &pixel) + &edge.line("u", &bye) + &edge.line("o", &other);
    let refused = |answer: &Value| answer["reasons"]["erased"].clone();
    for edge in [&edge, &far] {
        let answer = edge.post(known.as_str());
        assert_eq!(
            (&answer["accepted"], refused(&answer)),
            (&json!(0), json!(3))
        );
    }
    let answer = far.post(late.as_str());
    assert_eq!(
        (&answer["accepted"], refused(&answer)),
        (&json!(1), json!(2))
    );
    let answer = edge.post(late);
    assert_eq!(
        (&answer["duplicates"], refused(&answer)),
        (&json!(1), json!(2))
    );
    leaves_no_row(&url, &["snd-1", &uuid(&id)]);
    assert_eq!(counts(&api, "grace@example.com"), [1, 1, 0]);
    assert_nothing_differs(&service.backend);
}

#[test]
fn erasing_under_load_neither_deadlocks_nor_leaves_a_row() {
    let url = database::fresh().unwrap();
    let service = settling::service("erase-load", &url);
    let twin = service.twin("erase-load-twin", &url);
    let api = service.tenant("shop");
    let mails: Vec<Value> = (0..6)
        .map(|n| rewrite(&api, &format!("snd-{n}"), &format!("c{n}@example.com")))
        .collect();
    // Opens, and clicks of a person, which are to be settled.
    let seen: Vec<(String, String)> = mails
        .iter()
        .map(|mail| {
            let (pixel, mut clicks, _) = tokens(mail);
            (pixel, clicks.remove(0))
        })
        .collect();
    let ids: Vec<&str> = mails
        .iter()
        .map(|mail| mail["contactId"].as_str().unwrap())
        .collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (seed, at) in [(1, &service), (2, &twin), (3, &service)] {
            let mut edge = Edge::of(&service, seed);
            edge.address = at.backend.address();
            let (seen, stop) = (&seen, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut batch = String::new();
                    for (pixel, click) in seen {
                        let signals = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
                        batch += &edge.lines("o", pixel, 4);
                        batch += &edge.line_with("o", pixel, now(), signals.clone());
                        batch += &edge.line_with("c", click, now(), signals);
                    }
                    edge.post(batch);
                }
            });
        }
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                for contact in &ids {
                    let body =
                        json!({"contact": contact, "sendId": format!("more-{number}-{contact}")});
                    let status = api.post("/sends", &body).unwrap().status;
                    assert!([200, 201, 410].contains(&status), "{status}");
                    let path = format!("/sends/more-{number}-{contact}");
                    let report = api.patch(&path, &json!({"status": "delivered"})).unwrap();
                    assert!([200, 404].contains(&report.status), "{}", report.text());
                }
            }
        });
        let answers = ids[..4].iter().map(|id| {
            std::thread::sleep(std::time::Duration::from_millis(400));
            erase(&api, id)
        });
        let answers: Vec<Response> = answers.collect();
        std::thread::sleep(std::time::Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    });
    let erased: Vec<String> = ids[..4].iter().map(|id| uuid(id)).collect();
    let erased: Vec<&str> = erased.iter().map(String::as_str).collect();
    leaves_no_row(&url, &erased);
    assert_nothing_differs(&service.backend);
    settling::settled(&url);
    for n in 4..6 {
        let email = format!("c{n}@example.com");
        let opens = all(&api, &format!("/events?type=email.opened&contact={email}"));
        assert_eq!(counts(&api, &email)[1] as usize, opens.len());
    }
    assert_nothing_differs(&service.backend);
    assert!(!service.log().contains("deadlock"), "{}", service.log());
    assert!(!twin.log().contains("deadlock"), "{}", twin.log());
}

#[test]
fn what_erased_contacts_counted_stays_in_totals_and_their_own_urls_go() {
    let url = database::fresh().unwrap();
    let service = Service::on("erase-rollups", &url);
    let api = service.tenant("shop");
    let sent_at = jiff::Timestamp::from_millisecond((now().0 - 48 * HOUR) as i64);
    let sent_at = sent_at.unwrap().to_string();
    let mail = |send: &str, contact: &str, own: &str| {
        let html = format!("<a href=\"https://shop.example/x\">x</a><a href=\"{own}\">y</a>");
        let body = json!({"sendId": send, "contact": contact, "campaign": "spring", "html": html,
            "sentAt": sent_at});
        tokens(&api.write("POST", "/rewrite", &body).unwrap())
    };
    let (pixel, clicks, _) = mail("snd-1", ADA, "https://shop.example/for-ada");
    let (other, shared, _) = mail(
        "snd-2",
        "grace@example.com",
        "https://shop.example/for-grace",
    );
    let mut edge = Edge::of(&service, 1);
    let by_person = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
    let mut by = |kind: &str, token: &str, signals: &Value| {
        edge.line_with(kind, token, now(), signals.clone())
    };
    // One open by a program that says nothing of itself.
    let by_scanner = json!({});
    let batch = by("o", &pixel, &by_person)
        + &by("o", &pixel, &by_person)
        + &by("o", &pixel, &by_scanner)
        + &by("c", &clicks[0], &by_person)
        + &by("c", &clicks[1], &by_person)
        + &by("o", &other, &by_person)
        + &by("c", &shared[0], &by_person);
    assert_eq!(edge.post(batch)["accepted"], 7);
    let before = api.read("/campaigns/spring").unwrap();
    assert_eq!(erase(&api, ADA).status, 200);
    let erased = |kind: u8, column: &str| {
        format!(
            "(select sum({column}) from rollups where tenant_id = 1 and campaign = 'spring' \
             and kind = {kind})"
        )
    };
    holds(&url, &format!("{} = 3", erased(1, "erased_events_count")));
    holds(&url, &format!("{} = 1", erased(1, "erased_firsts_count")));
    holds(
        &url,
        &format!("{} = 1", erased(1, "erased_human_firsts_count")),
    );
    holds(&url, &format!("{} = 2", erased(2, "erased_events_count")));
    holds(&url, &format!("{} = 1", erased(2, "erased_firsts_count")));
    holds(&url, &format!("{} = 1", erased(4, "erased_events_count")));
    holds(
        &url,
        &format!("{} > 0", erased(1, "erased_machine_events_count")),
    );
    leaves_no_row(&url, &["for-ada"]);
    assert_eq!(api.read("/campaigns/spring").unwrap(), before);
    assert_nothing_differs(&service.backend);
}
