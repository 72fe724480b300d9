//! Registering sends: once for each id, counted once, however often and from however many sides.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use crate::edge::{DAY, now};
use crate::service::{Service, all, counts, register, rewrite, texts};

#[test]
fn the_same_send_of_the_same_contact_is_registered_once() {
    let service = Service::start("same-send");
    let api = service.tenant("shop");
    let first = rewrite(&api, "snd-1", "ada@example.com");
    // Letter case does not make another contact, and an id is as good as an address.
    let id = first["contactId"].as_str().unwrap();
    for contact in ["ada@example.com", "Ada@Example.COM", id] {
        assert_eq!(rewrite(&api, "snd-1", contact), first);
        register(&api, "snd-1", contact);
    }
    assert_eq!(counts(&api, "ada@example.com"), [1, 0, 0]);
    assert_eq!(texts(&all(&api, "/events"), "type"), ["email.sent"]);
}

#[test]
fn a_send_without_an_id_is_given_one() {
    let service = Service::start("made-ids");
    let api = service.tenant("shop");
    let body = json!({"contact": "ada@example.com"});
    let made: BTreeSet<String> = (0..3)
        .map(|_| {
            api.write("POST", "/sends", &body).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(made.len(), 3);
    assert!(made.iter().all(|id| id.starts_with("snd_")), "{made:?}");
    assert_eq!(counts(&api, "ada@example.com"), [3, 0, 0]);
}

#[test]
fn a_send_id_of_another_contact_conflicts_and_leaves_nothing_behind() {
    let service = Service::start("conflict");
    let api = service.tenant("shop");
    rewrite(&api, "snd-1", "ada@example.com");
    register(&api, "snd-2", "bob@example.com");
    let state = || [all(&api, "/events"), vec![api.sent("snd-1").unwrap()]];
    let before = state();
    for (path, contact) in [
        ("/sends", "bob@example.com"),
        ("/rewrite", "bob@example.com"),
        ("/rewrite", "new@example.com"),
        ("/sends", "new@example.com"),
    ] {
        let mut body = json!({"sendId": "snd-1", "contact": contact, "campaign": "other"});
        if path == "/rewrite" {
            body["html"] = "<p>x</p>".into();
        }
        let answer = api.post(path, &body).unwrap();
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert_eq!(answer.json()["code"], "send_conflict");
    }
    assert_eq!(api.get("/contacts/new@example.com").unwrap().status, 404);
    assert_eq!(counts(&api, "ada@example.com"), [1, 0, 0]);
    assert_eq!(counts(&api, "bob@example.com"), [1, 0, 0]);
    assert_eq!(state(), before);
}

#[test]
fn a_queued_send_is_counted_once_it_is_sent_and_then_once() {
    let service = Service::start("queued");
    let api = service.tenant("shop");
    let queued = json!({"sendId": "snd-1", "contact": "ada@example.com", "status": "queued"});
    for _ in 0..2 {
        let send = api.write("POST", "/sends", &queued).unwrap();
        assert_eq!(
            (&send["status"], &send["sentAt"]),
            (&json!("queued"), &Value::Null)
        );
    }
    assert_eq!(counts(&api, "ada@example.com"), [0, 0, 0]);
    assert_eq!(
        api.contact("ada@example.com").unwrap()["lastEmailSentAt"],
        Value::Null
    );
    assert_eq!(all(&api, "/events"), [] as [Value; 0]);
    for _ in 0..2 {
        let sent = api
            .write("PATCH", "/sends/snd-1", &json!({"status": "sent"}))
            .unwrap();
        assert_eq!(sent["status"], "sent");
        assert_eq!(counts(&api, "ada@example.com"), [1, 0, 0]);
    }
    // Registering it again as queued takes nothing back.
    let again = api.write("POST", "/sends", &queued).unwrap();
    assert_eq!(again["status"], "sent");
    let contact = api.contact("ada@example.com").unwrap();
    assert_eq!(contact["lastEmailSentAt"], again["sentAt"]);
    assert_eq!(texts(&all(&api, "/events"), "type"), ["email.sent"]);
}

#[test]
fn a_mail_that_was_sent_earlier_is_dated_when_it_was() {
    let service = Service::start("back-dated");
    let api = service.tenant("shop");
    let send = |id: &str, at: &str| {
        let body = json!({"sendId": id, "contact": "ada@example.com", "sentAt": at});
        api.write("POST", "/sends", &body).unwrap()
    };
    let newer = send("snd-2", "2026-03-02T10:00:00.5+02:00");
    assert_eq!(newer["sentAt"], "2026-03-02T08:00:00.500Z");
    let older = send("snd-1", "2024-12-31T23:59:59.999Z");
    assert_eq!(older["sentAt"], "2024-12-31T23:59:59.999Z");
    let contact = api.contact("ada@example.com").unwrap();
    assert_eq!(contact["emailsSentCount"], 2);
    assert_eq!(
        contact["lastEmailSentAt"], "2026-03-02T08:00:00.500Z",
        "the newest"
    );
    let events = all(&api, "/events?type=email.sent");
    let times = texts(&events, "timestamp");
    assert_eq!(
        times,
        ["2026-03-02T08:00:00.500Z", "2024-12-31T23:59:59.999Z"]
    );
    // The send is as old as its registration: its links are not dated back.
    let registered = older["registeredAt"].as_str().unwrap();
    let day = format!("{}", now().0 / DAY);
    assert!(registered.starts_with("20"), "{registered} on day {day}");
    assert_ne!(registered, older["sentAt"]);
}

#[test]
fn many_requests_for_one_new_contact_make_one_contact() {
    let service = Service::start("one-contact");
    let api = service.tenant("shop");
    let ids: BTreeSet<String> = at_once(50, |number| {
        let mail = rewrite(&api, &format!("snd-{number}"), "ada@example.com");
        mail["contactId"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(counts(&api, "ada@example.com"), [50, 0, 0]);
    let events = all(&api, "/contacts/ada@example.com/events");
    let sends: BTreeSet<String> = texts(&events, "sendId").into_iter().collect();
    assert_eq!((events.len(), sends.len()), (50, 50));
}

#[test]
fn many_requests_for_one_new_send_make_one_send() {
    let service = Service::start("one-send");
    let api = service.tenant("shop");
    let mails = at_once(50, |_| {
        rewrite(&api, "snd-1", "ada@example.com").to_string()
    });
    assert_eq!(mails.len(), 1, "every answer is the same");
    assert_eq!(counts(&api, "ada@example.com"), [1, 0, 0]);
    assert_eq!(all(&api, "/events").len(), 1);
}

#[test]
fn of_many_contacts_that_want_one_send_id_one_gets_it() {
    let service = Service::start("one-winner");
    let api = service.tenant("shop");
    let outcomes: BTreeSet<(usize, u16)> = at_once(20, |number| {
        let contact = format!("c{number}@example.com");
        let body = json!({"sendId": "snd-1", "contact": contact});
        (number, api.post("/sends", &body).unwrap().status)
    });
    let winners: Vec<usize> = outcomes
        .iter()
        .filter(|(_, status)| *status == 200)
        .map(|(n, _)| *n)
        .collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    for (number, status) in outcomes {
        let found = api
            .get(&format!("/contacts/c{number}@example.com"))
            .unwrap()
            .status;
        let expected = if status == 200 {
            (200, 200)
        } else {
            (409, 404)
        };
        assert_eq!((status, found), expected);
    }
}

/// Calls from that many threads, and what they gave.
fn at_once<T: Ord + Send>(count: usize, call: impl Fn(usize) -> T + Sync) -> BTreeSet<T> {
    thread::scope(|scope| {
        let call = &call;
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || call(number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}
