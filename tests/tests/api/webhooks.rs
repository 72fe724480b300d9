//! Webhooks that arrive: every event once, signed, as the API shows it, by however many replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::http::Request;
use kraiter_tests::http_server::Reaction;
use kraiter_tests::receiver::{Call, Receiver};
use kraiter_tests::wait;
use serde_json::{Value, json};

use crate::edge::{Edge, now, tokens};
use crate::service::{Service, all, options, register, rewrite, texts};
use crate::verdicts::FIREFOX;

/// One that reaches receivers on this machine and gives up soon.
pub(crate) fn service(name: &str, url: &str) -> Service {
    with_retries(name, url, "1,1")
}

pub(crate) fn with_retries(name: &str, url: &str, retries: &str) -> Service {
    let mut options = options(name, Some(url));
    for (variable, value) in [
        ("KRAITER_WEBHOOK_ALLOW_PRIVATE", "127.0.0.0/8"),
        ("KRAITER_WEBHOOK_TIMEOUT", "1"),
        ("KRAITER_WEBHOOK_RETRIES", retries),
        ("KRAITER_SETTLING_INTERVAL", "1"),
    ] {
        options.env.push((variable.into(), value.into()));
    }
    Service::with(name, options)
}

/// A webhook that leads to a receiver, with more fields.
pub(crate) fn hook(api: &Api, receiver: &Receiver, more: Value) -> Value {
    let mut body = json!({"url": receiver.url()});
    let members = body.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    api.write("POST", "/webhooks", &body).unwrap()
}

pub(crate) fn path(hook: &Value) -> String {
    format!("/webhooks/{}", hook["id"].as_str().unwrap())
}

/// Sends a request without a body.
pub(crate) fn order(api: &Api, path: &str) -> Value {
    let answer = api.send(Request::new("POST", path)).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// Waits until the receiver has accepted all of these, and nothing else.
pub(crate) fn arrive(receiver: &Receiver, ids: impl IntoIterator<Item = String>) {
    let expected: BTreeSet<String> = ids.into_iter().collect();
    wait::until("events to arrive", || {
        let got: BTreeSet<String> = receiver.accepted().into_iter().collect();
        match got == expected {
            true => Ok(()),
            false => Err(format!("{} of {}", got.len(), expected.len())),
        }
    })
    .unwrap();
}

fn ids(events: &[Value]) -> Vec<String> {
    texts(events, "id")
}

/// The ids in a batch of event lines.
pub(crate) fn ids_of(batch: &str) -> Vec<String> {
    let id = |line| serde_json::from_str::<Value>(line).unwrap()["id"].clone();
    batch
        .lines()
        .map(|line| id(line).as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_type_of_event_arrives_signed_and_as_the_api_shows_it() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-types", &url);
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    let hook = hook(&api, &receiver, json!({}));
    let (pixel, clicks, unsubscribe) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    register(&api, "snd-2", "grace@example.com");
    for (send, status) in [
        ("snd-1", "delivered"),
        ("snd-1", "complained"),
        ("snd-2", "bounced"),
    ] {
        let path = format!("/sends/{send}");
        api.write("PATCH", &path, &json!({"status": status}))
            .unwrap();
    }
    let mut edge = Edge::of(&service, 1);
    let signals = json!({"ip": "203.0.113.9", "ua": FIREFOX});
    let lines = [("o", &pixel), ("c", &clicks[0]), ("u", &unsubscribe)]
        .map(|(kind, token)| edge.line_with(kind, token, now(), signals.clone()));
    assert_eq!(edge.post(lines.concat())["accepted"], 3);

    let stored = all(&api, "/events");
    arrive(&receiver, ids(&stored));
    let types: BTreeSet<String> = texts(&stored, "type").into_iter().collect();
    assert_eq!(types.len(), 7, "{types:?}");
    let secret = hook["secret"].as_str().unwrap();
    for call in receiver.calls() {
        assert!(call.is_signed_by(secret));
        assert!(!call.is_signed_by("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        assert!(call.id().starts_with("dlv_"), "{}", call.id());
        assert_eq!(call.text("content-type"), "application/json");
        assert!(call.text("user-agent").starts_with("Kraiter-Webhooks/"));
        let age = now().0 / 1000 - call.text("webhook-timestamp").parse::<u64>().unwrap();
        assert!(age < 300, "{age}");
        assert_eq!(
            (&call.request.method[..], call.body()["type"].clone()),
            ("POST", json!("events"))
        );
    }
    // Once verdicts are settled both show the same.
    crate::settling::settled(&url);
    let by_id = |events: Vec<Value>| -> BTreeMap<String, Value> {
        let events = events.into_iter();
        events
            .map(|event| (event["id"].as_str().unwrap().to_owned(), event))
            .collect()
    };
    let shown = by_id(all(&api, "/events"));
    let mut sent = by_id(receiver.calls().iter().flat_map(Call::events).collect());
    for (id, event) in &mut sent {
        for settled in ["verdict", "reasons"] {
            if let Some(value) = shown[id].get(settled) {
                event[settled] = value.clone();
            }
        }
    }
    assert_eq!(sent, shown);
}

#[test]
fn filters_by_type_and_verdict_let_through_what_was_asked_for() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-filters", &url);
    let api = service.tenant("shop");
    let [everything, bounces, people] = [(); 3].map(|()| Receiver::start().unwrap());
    hook(&api, &everything, json!({}));
    hook(&api, &bounces, json!({"types": ["email.bounced"]}));
    let filter = json!({"types": ["email.clicked", "email.opened", "email.bounced"],
        "verdicts": ["human"]});
    hook(&api, &people, filter);
    let (pixel, clicks, _) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    api.write("PATCH", "/sends/snd-1", &json!({"status": "bounced"}))
        .unwrap();
    let mut edge = Edge::of(&service, 1);
    let at = now().0 + 1_800_000;
    let person = json!({"ip": "203.0.113.9", "ua": FIREFOX});
    let machine = json!({"ip": "198.51.100.7", "ua": "curl/8.0"});
    let lines = [
        ("o", &pixel, 0, &machine),
        ("c", &clicks[0], 60_000, &machine),
        ("c", &clicks[0], 120_000, &person),
    ]
    .map(|(kind, token, after, by)| {
        let at = kraiter_wire::UnixMillis(at + after);
        edge.line_with(kind, token, at, by.clone())
    });
    assert_eq!(edge.post(lines.concat())["accepted"], 3);
    let human = all(&api, "/events?verdict=human");
    assert_eq!(human.len(), 1);
    let bounced = ids(&all(&api, "/events?type=email.bounced"));
    arrive(&everything, ids(&all(&api, "/events")));
    arrive(&people, ids(&human).into_iter().chain(bounced.clone()));
    arrive(&bounces, bounced);
}

#[test]
fn under_load_events_come_in_batches_and_each_of_them_once() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-load", &url);
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let hook = hook(
        &api,
        &receiver,
        json!({"batchSize": 200, "types": ["email.opened"]}),
    );
    let mut edge = Edge::of(&service, 1);
    let mut expected = Vec::new();
    for _ in 0..20 {
        let batch = edge.lines("o", &pixel, 250);
        expected.extend(ids_of(&batch));
        assert_eq!(edge.post(batch)["accepted"], 250);
    }
    arrive(&receiver, expected.clone());
    assert_eq!(receiver.accepted().len(), expected.len(), "none came twice");
    let calls = receiver.calls();
    assert!(calls.len() <= 500, "{} requests", calls.len());
    assert!(calls.iter().any(|call| call.events().len() > 50));
    assert!(
        calls
            .iter()
            .all(|call| (1..=200).contains(&call.events().len()))
    );
    // The log is written after the receiver has answered.
    let log = wait::until("the log to be complete", || {
        let log = all(&api, &format!("{}/deliveries", path(&hook)));
        match log.iter().all(|delivery| delivery["status"] == "delivered") {
            true => Ok(log),
            false => Err(format!("{log:?}")),
        }
    })
    .unwrap();
    let events: u64 = log
        .iter()
        .map(|delivery| delivery["events"].as_u64().unwrap())
        .sum();
    assert_eq!((log.len(), events), (calls.len(), 5000));
    for delivery in &log {
        assert_eq!(
            (&delivery["attempts"], &delivery["lastStatus"]),
            (&json!(1), &json!(200))
        );
        assert!(delivery["lastDurationMillis"].is_u64(), "{delivery}");
        assert!(calls.iter().any(|call| delivery["id"] == call.id()));
    }
}

#[test]
fn after_a_rotation_both_secrets_sign_or_only_the_new_one() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-rotation", &url);
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    let hook = hook(&api, &receiver, json!({}));
    let first = hook["secret"].as_str().unwrap().to_owned();
    let rotate = |body: Value| {
        let made = api.write("POST", &format!("{}/secret", path(&hook)), &body);
        let made = made.unwrap();
        (
            made["secret"].as_str().unwrap().to_owned(),
            made["previousSecretUntil"].clone(),
        )
    };
    let ping = || {
        let answer = order(&api, &format!("{}/ping", path(&hook)));
        assert_eq!(
            (&answer["accepted"], &answer["status"]),
            (&json!(true), &json!(200))
        );
        let call = receiver.calls().pop().unwrap();
        assert_eq!(
            (call.body()["type"].clone(), call.events().len()),
            (json!("ping"), 0)
        );
        call
    };
    let signed_by = |call: &Call, secrets: [&String; 3]| secrets.map(|it| call.is_signed_by(it));
    let (second, until) = rotate(json!({"overlapSeconds": 3600}));
    assert!(until.is_string());
    let call = ping();
    assert_eq!(
        signed_by(&call, [&first, &second, &first]),
        [true, true, true]
    );
    let (third, _) = rotate(json!({}));
    assert_eq!(
        signed_by(&ping(), [&first, &second, &third]),
        [false, true, true]
    );
    let (fourth, until) = rotate(json!({"overlapSeconds": 0}));
    assert!(until.is_null());
    assert_eq!(
        signed_by(&ping(), [&second, &third, &fourth]),
        [false, false, true]
    );
}

/// The example of the documentation, run as it stands there.
#[test]
fn the_documented_way_to_verify_takes_what_is_signed_and_nothing_else() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-documented", &url);
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    let hook = hook(&api, &receiver, json!({}));
    order(&api, &format!("{}/ping", path(&hook)));
    let call = receiver.calls().pop().unwrap();
    let document = include_str!("../../../docs/webhooks.md");
    let (_, code) = document.split_once("```python\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    let program = format!(
        "{code}\nimport json, sys\ncase = json.load(sys.stdin)\n\
         print(json.dumps(verify(case['secret'], case['headers'], case['body'].encode())))\n"
    );
    let verified = |secret: &str, body: &str| {
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: BTreeMap<_, _> = headers.map(|name| (name, call.text(name))).into();
        let mut python = Command::new("python3")
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let case = json!({"secret": secret, "headers": headers, "body": body}).to_string();
        python
            .stdin
            .take()
            .unwrap()
            .write_all(case.as_bytes())
            .unwrap();
        let output = python.wait_with_output().unwrap();
        serde_json::from_slice::<bool>(&output.stdout).unwrap()
    };
    let secret = hook["secret"].as_str().unwrap();
    let body = String::from_utf8(call.request.body.clone()).unwrap();
    assert!(verified(secret, &body));
    assert!(!verified(secret, &body.replace("ping", "pong")));
    assert!(!verified("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &body));
}

#[test]
fn two_replicas_share_the_work() {
    let url = database::fresh().unwrap();
    let one = service("webhooks-replica-1", &url);
    let api = one.tenant("shop");
    let mut options = options("webhooks-replica-2", Some(&url));
    let file = |file: &str| std::ffi::OsString::from(one.backend.data_dir().join(file));
    options.env.extend([
        ("KRAITER_KEYRING_FILE".into(), file("keyring.json")),
        ("KRAITER_INGEST_SECRET_FILE".into(), file("ingest.secret")),
        ("KRAITER_WEBHOOK_ALLOW_PRIVATE".into(), "127.0.0.0/8".into()),
    ]);
    let two = Service::with("webhooks-replica-2", options);
    let receiver = Receiver::start().unwrap();
    // So that there is enough to do for two.
    let soon = Box::new(Reaction::Answer {
        status: 200,
        body: Vec::new(),
    });
    receiver.always(Some(Reaction::After(Duration::from_millis(30), soon)));
    hook(
        &api,
        &receiver,
        json!({"batchSize": 10, "types": ["email.opened"]}),
    );
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut expected = Vec::new();
    let (mut first, mut second) = (Edge::of(&one, 1), Edge::of(&one, 2));
    second.address = two.backend.address();
    for _ in 0..10 {
        for edge in [&mut first, &mut second] {
            let batch = edge.lines("o", &pixel, 100);
            expected.extend(ids_of(&batch));
            assert_eq!(edge.post(batch)["accepted"], 100);
        }
    }
    arrive(&receiver, expected.clone());
    assert_eq!(receiver.accepted().len(), expected.len(), "none came twice");
    for service in [&one, &two] {
        let metrics = Request::get("/metrics")
            .send(service.backend.address())
            .unwrap()
            .text();
        let accepted = metrics
            .lines()
            .find_map(|line| line.strip_prefix("kraiter_webhook_events_total "));
        let accepted: f64 = accepted.unwrap().parse().unwrap();
        assert!(accepted > 0.0, "one of them did nothing");
    }
}

#[test]
fn a_backend_that_is_killed_amid_deliveries_loses_none() {
    let url = database::fresh().unwrap();
    let mut service = service("webhooks-killed", &url);
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    hook(
        &api,
        &receiver,
        json!({"batchSize": 20, "types": ["email.opened"]}),
    );
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let slowly = Reaction::After(
        Duration::from_millis(100),
        Box::new(Reaction::Answer {
            status: 200,
            body: Vec::new(),
        }),
    );
    receiver.always(Some(slowly));
    let mut edge = Edge::of(&service, 1);
    let batches: Vec<String> = (0..20).map(|_| edge.lines("o", &pixel, 100)).collect();
    let expected: Vec<String> = batches.iter().flat_map(|batch| ids_of(batch)).collect();
    for batch in &batches {
        assert_eq!(edge.post(batch.as_str())["accepted"], 100);
    }
    wait::until("deliveries to be under way", || {
        match receiver.calls().len() {
            10.. => Ok(()),
            few => Err(format!("{few} requests")),
        }
    })
    .unwrap();
    service.backend.kill();
    assert!(
        receiver.accepted().len() < expected.len(),
        "all was sent before the end"
    );
    receiver.always(None);
    service.backend.start_again().unwrap();
    arrive(&receiver, expected);
    // What came twice came as the same delivery.
    let mut deliveries: BTreeMap<String, String> = BTreeMap::new();
    for call in receiver.calls() {
        for event in ids(&call.events()) {
            let before = deliveries.entry(event).or_insert_with(|| call.id());
            assert_eq!(*before, call.id());
        }
    }
}

#[test]
fn what_is_stored_after_a_webhook_was_made_is_sent_whatever_is_under_way() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-made-under-load", &url);
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let receiver = Receiver::start().unwrap();
    let made = std::sync::atomic::AtomicBool::new(false);
    let later: Vec<String> = thread::scope(|scope| {
        let edges: Vec<_> = (0..4)
            .map(|seed| {
                let mut edge = Edge::of(&service, seed);
                let (pixel, made) = (&pixel, &made);
                scope.spawn(move || {
                    let (mut later, mut rounds) = (Vec::new(), 0);
                    while rounds < 20 {
                        let was_made = made.load(std::sync::atomic::Ordering::SeqCst);
                        let batch = edge.lines("o", pixel, 20);
                        assert_eq!(edge.post(batch.as_str())["accepted"], 20);
                        if was_made {
                            later.extend(ids_of(&batch));
                            rounds += 1;
                        }
                    }
                    later
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        hook(&api, &receiver, json!({"types": ["email.opened"]}));
        made.store(true, std::sync::atomic::Ordering::SeqCst);
        edges
            .into_iter()
            .flat_map(|edge| edge.join().unwrap())
            .collect()
    });
    wait::until("all that came later to arrive", || {
        let got: BTreeSet<String> = receiver.accepted().into_iter().collect();
        let missing = later.iter().filter(|id| !got.contains(*id)).count();
        match missing {
            0 => Ok(()),
            some => Err(format!("{some} of {} are missing", later.len())),
        }
    })
    .unwrap();
}
