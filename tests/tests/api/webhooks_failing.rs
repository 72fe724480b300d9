//! Webhooks whose receivers fail: tried again, dead, paused, replayed; and addresses that are never tried.

use std::time::Duration;

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::http::Request;
use kraiter_tests::http_server::Reaction;
use kraiter_tests::receiver::Receiver;
use kraiter_tests::wait;
use serde_json::{Value, json};

use crate::edge::{Edge, tokens};
use crate::service::{Service, all, options, register, rewrite, texts};
use crate::webhooks::{arrive, hook, ids_of, order, path, service, with_retries};

fn answer(status: u16) -> Reaction {
    Reaction::Answer {
        status,
        body: Vec::new(),
    }
}

fn redirect(to: &Receiver) -> Reaction {
    let location = to.url();
    let head = "HTTP/1.1 307 Temporary Redirect\r\ncontent-length: 0\r\nlocation: ";
    Reaction::Raw(format!("{head}{location}\r\n\r\n").into_bytes())
}

/// Waits until something about the webhook holds.
pub(crate) fn until(api: &Api, path: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, || {
        let value = api.read(path).map_err(|error| error.to_string())?;
        match holds(&value) {
            true => Ok(value),
            false => Err(value.to_string()),
        }
    })
    .unwrap()
}

pub(crate) fn deliveries(api: &Api, hook: &Value) -> Vec<Value> {
    all(api, &format!("{}/deliveries", path(hook)))
}

/// A bounce, which is one event; gives its id.
pub(crate) fn bounce(api: &Api, send: &str) -> String {
    register(api, send, "ada@example.com");
    api.write(
        "PATCH",
        &format!("/sends/{send}"),
        &json!({"status": "bounced"}),
    )
    .unwrap();
    let events = all(api, &format!("/events?type=email.bounced&sendId={send}"));
    texts(&events, "id").remove(0)
}

#[test]
fn whatever_a_receiver_does_it_is_tried_again_until_it_accepts() {
    let url = database::fresh().unwrap();
    let service = with_retries("webhooks-retried", &url, "1,1,1,1,1,1");
    let api = service.tenant("shop");
    let (receiver, elsewhere) = (Receiver::start().unwrap(), Receiver::start().unwrap());
    receiver.next_reactions([
        answer(500),
        Reaction::Close,
        redirect(&elsewhere),
        Reaction::Raw(b"nonsense\r\n\r\n".to_vec()),
        Reaction::After(Duration::from_millis(1500), Box::new(answer(200))),
    ]);
    let hook = hook(&api, &receiver, json!({"types": ["email.bounced"]}));
    let id = bounce(&api, "snd-1");
    until(&api, &path(&hook), "a failure to be seen", |hook| {
        hook["lastFailedAt"].is_string() && hook["lastError"].is_string()
    });
    let log = format!("{}/deliveries", path(&hook));
    let log = until(&api, &log, "it to be delivered", |log| {
        log["items"][0]["status"] == "delivered"
    });
    let delivery = &log["items"][0];
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&delivery["attempts"], &delivery["lastError"]),
        (&json!(6), &Value::Null)
    );
    let calls = receiver.calls();
    assert_eq!(calls.len(), 6);
    for call in &calls {
        assert_eq!(json!(call.id()), delivery["id"]);
        assert_eq!(call.events()[0]["id"], json!(id));
        assert!(call.is_signed_by(hook["secret"].as_str().unwrap()));
    }
    assert!(elsewhere.calls().is_empty(), "the redirect was followed");
    // Noted after the delivery is.
    let hook = until(&api, &path(&hook), "it to be well again", |hook| {
        hook["failures"] == 0 && hook["failingSince"].is_null()
    });
    assert!(
        hook["paused"].is_null() && hook["lastAcceptedAt"].is_string(),
        "{hook}"
    );
}

#[test]
fn a_receiver_that_fails_for_good_is_paused_and_what_died_can_be_replayed() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-dead", &url);
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    receiver.always(Some(answer(503)));
    let hook = hook(&api, &receiver, json!({"types": ["email.bounced"]}));
    let dead = bounce(&api, "snd-1");
    let paused = until(&api, &path(&hook), "it to be paused", |hook| {
        hook["paused"].is_object()
    });
    assert_eq!(paused["paused"]["by"], "service");
    let reason = paused["paused"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("nothing was accepted since "),
        "{reason}"
    );
    assert!(reason.ends_with("the receiver answered 503"), "{reason}");
    let log = deliveries(&api, &hook);
    assert_eq!(
        (&log[0]["status"], &log[0]["attempts"]),
        (&json!("dead"), &json!(3))
    );
    assert_eq!(
        (&log[0]["lastStatus"], &log[0]["nextAttemptAt"]),
        (&json!(503), &Value::Null)
    );
    assert_eq!(log[0]["lastError"], "the receiver answered 503");
    // What is stored meanwhile is kept for it and not sent.
    let kept = bounce(&api, "snd-2");
    let pending = format!("{}/deliveries?status=pending", path(&hook));
    until(&api, &pending, "a delivery to wait", |log| {
        log["items"][0].is_object()
    });
    assert_eq!(receiver.calls().len(), 3);
    receiver.always(None);
    let resumed = order(&api, &format!("{}/resume", path(&hook)));
    assert_eq!(
        (&resumed["paused"], &resumed["failures"]),
        (&Value::Null, &json!(0))
    );
    arrive(&receiver, [kept.clone()]);
    let replay = format!("{}/replay", path(&hook));
    let other = api.write(
        "POST",
        &replay,
        &json!({"deliveries": ["dlv_AZmzxNXmf4ChssPU5fYHGA"]}),
    );
    assert_eq!(other.unwrap()["replayed"], 0);
    assert_eq!(order(&api, &replay)["replayed"], 1);
    arrive(&receiver, [kept, dead]);
    let delivered = format!("{}/deliveries?status=delivered", path(&hook));
    until(&api, &delivered, "both to be delivered", |log| {
        log["items"].as_array().unwrap().len() == 2
    });
    let audit = texts(&all(&api, "/audit"), "action");
    for action in [
        "webhook.created",
        "webhook.paused",
        "webhook.resumed",
        "webhook.replayed",
    ] {
        assert!(audit.iter().any(|it| it == action), "{action}: {audit:?}");
    }
}

#[test]
fn a_receiver_that_says_it_is_gone_is_paused_at_once_and_nothing_dies() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-gone", &url);
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    receiver.always(Some(answer(410)));
    let hook = hook(&api, &receiver, json!({"types": ["email.bounced"]}));
    let id = bounce(&api, "snd-1");
    let paused = until(&api, &path(&hook), "it to be paused", |hook| {
        hook["paused"].is_object()
    });
    assert_eq!(paused["paused"]["reason"], "the receiver answered 410 Gone");
    assert_eq!(receiver.calls().len(), 1);
    assert_eq!(deliveries(&api, &hook)[0]["status"], "pending");
    receiver.always(None);
    order(&api, &format!("{}/resume", path(&hook)));
    arrive(&receiver, [id]);
}

#[test]
fn a_receiver_that_dies_and_comes_back_gets_all_and_a_slow_one_holds_up_no_other() {
    let url = database::fresh().unwrap();
    let service = with_retries(
        "webhooks-back",
        &url,
        "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
    );
    let api = service.tenant("shop");
    let [mut dying, slow, well] = [(); 3].map(|()| Receiver::start().unwrap());
    slow.always(Some(Reaction::After(
        Duration::from_secs(5),
        Box::new(answer(200)),
    )));
    for receiver in [&dying, &slow, &well] {
        hook(
            &api,
            receiver,
            json!({"types": ["email.opened"], "batchSize": 10}),
        );
    }
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let mut ids = Vec::new();
    let mut record = |ids: &mut Vec<String>| {
        let batch = edge.lines("o", &pixel, 50);
        ids.extend(ids_of(&batch));
        edge.post(batch);
    };
    record(&mut ids);
    arrive(&dying, ids.clone());
    dying.die();
    record(&mut ids);
    arrive(&well, ids.clone());
    wait::until("the slow one to be tried", || match slow.calls().len() {
        2.. => Ok(()),
        few => Err(format!("{few} requests")),
    })
    .unwrap();
    dying.come_back().unwrap();
    arrive(&dying, ids);
}

#[test]
fn addresses_that_are_not_public_are_refused_when_a_webhook_is_made_or_changed() {
    let service = Service::start("webhooks-refused");
    let api = service.tenant("shop");
    for url in [
        "https://127.0.0.1/hook",
        "https://127.1/hook",
        "https://2130706433/hook",
        "https://localhost/hook",
        "https://10.0.0.1/hook",
        "https://100.64.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://192.168.1.1/",
        "https://192.0.2.1/",
        "https://224.0.0.1/",
        "https://[::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://[::ffff:1.1.1.1]/hook",
        "https://[fd00::1]/hook",
        "https://[fe80::1]/hook",
        "http://1.1.1.1/hook",
        "http://hooks.example/hook",
    ] {
        let answer = api.post("/webhooks", &json!({"url": url})).unwrap();
        let code = answer.json()["code"].clone();
        assert_eq!(
            (answer.status, code),
            (422, json!("refused_url")),
            "{url}: {}",
            answer.text()
        );
    }
    let made = api
        .write("POST", "/webhooks", &json!({"url": "https://1.1.1.1/hook"}))
        .unwrap();
    let change = json!({"url": "https://127.0.0.1/hook"});
    let answer = api.patch(&path(&made), &change).unwrap();
    assert_eq!(answer.json()["code"], "refused_url");
    assert_eq!(
        api.read(&path(&made)).unwrap()["url"],
        "https://1.1.1.1/hook"
    );
}

#[test]
fn an_address_that_was_fine_when_the_webhook_was_made_is_checked_again_at_every_connection() {
    let url = database::fresh().unwrap();
    let lenient = service("webhooks-lenient", &url);
    let api = lenient.tenant("shop");
    let receiver = Receiver::start().unwrap();
    let hook = hook(&api, &receiver, json!({"types": ["email.bounced"]}));
    let first = bounce(&api, "snd-1");
    arrive(&receiver, [first]);
    drop(lenient);
    let mut options = options("webhooks-strict", Some(&url));
    options
        .env
        .push(("KRAITER_WEBHOOK_RETRIES".into(), "60".into()));
    let strict = Service::with("webhooks-strict", options);
    let api = strict.backend.reach(&api);
    bounce(&api, "snd-2");
    let log = format!("{}/deliveries?status=pending", path(&hook));
    let log = until(&api, &log, "an attempt to fail", |log| {
        log["items"][0]["lastError"].is_string()
    });
    let expected = "refused: 127.0.0.1 is not an address of the public internet";
    assert_eq!(log["items"][0]["lastError"], expected);
    let ping = order(&api, &format!("{}/ping", path(&hook)));
    assert_eq!(
        (&ping["accepted"], &ping["error"]),
        (&json!(false), &json!(expected))
    );
    assert_eq!(receiver.calls().len(), 1);
    let metrics = Request::get("/metrics")
        .send(strict.backend.address())
        .unwrap()
        .text();
    let refused = "kraiter_webhook_attempts_total{outcome=\"refused\"} 1";
    assert!(metrics.contains(refused), "{metrics}");
}

#[test]
fn what_waits_for_a_webhook_goes_with_an_erased_contact() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-erased", &url);
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    let hook = hook(&api, &receiver, json!({"types": ["email.opened"]}));
    order(&api, &format!("{}/pause", path(&hook)));
    let (ada, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let (grace, ..) = tokens(&rewrite(&api, "snd-2", "grace@example.com"));
    let mut edge = Edge::of(&service, 1);
    let gone = edge.lines("o", &ada, 3);
    let stays = edge.lines("o", &grace, 2);
    assert_eq!(edge.post(gone.clone() + &stays)["accepted"], 5);
    let log = format!("{}/deliveries", path(&hook));
    until(&api, &log, "a delivery to wait", |log| {
        log["items"][0]["events"] == 5
    });
    let erased = api
        .send(Request::new("DELETE", "/contacts/ada@example.com"))
        .unwrap();
    assert_eq!(erased.json()["events"], 4);
    assert_eq!(api.read(&log).unwrap()["items"][0]["events"], 2);
    let ids = ids_of(&gone)
        .iter()
        .map(|id| format!("'{id}'"))
        .collect::<Vec<_>>()
        .join(",");
    let left = format!(
        "do $$ begin if exists (select from webhook_deliveries where event_ids && array[{ids}]::uuid[])
           or exists (select from webhook_outbox where event_ids && array[{ids}]::uuid[])
         then raise 'some are left'; end if; end $$"
    );
    database::execute(&url, &left).unwrap();
    order(&api, &format!("{}/resume", path(&hook)));
    arrive(&receiver, ids_of(&stays));
    // One of which nothing is left is sent nowhere and is in no log.
    order(&api, &format!("{}/pause", path(&hook)));
    edge.post(edge.clone().lines("o", &grace, 1));
    until(&api, &log, "a second one to wait", |log| {
        log["items"][1].is_object()
    });
    api.send(Request::new("DELETE", "/contacts/grace@example.com"))
        .unwrap();
    order(&api, &format!("{}/resume", path(&hook)));
    until(&api, &log, "it to be gone", |log| log["items"][1].is_null());
    assert_eq!(receiver.calls().len(), 1);
}
