//! Another tenant's data is never seen: every route that the service itself lists, with a foreign
//! key, with no key and with keys of the wrong scope.

use std::collections::BTreeSet;

use kraiter_tests::api::Api;
use kraiter_tests::http::{Request, Response};
use serde_json::{Value, json};

use crate::edge::{Edge, tokens};
use crate::service::{ORIGIN, Service, all, counts};

/// Routes that anyone who reaches the service may call.
const OPEN: [&str; 6] = [
    "GET /errors",
    "GET /errors/{code}",
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
];

const EMAIL: &str = "ada.lovelace@engine.example";
const SEND: &str = "snd-analytical";
const CAMPAIGN: &str = "notes-on-the-engine";
const URL: &str = "https://engine.example/note-g";
const AGENT: &str = "Difference/2";
const ADDRESS: &str = "203.0.113.77";
const KEPT: &str = "It weaves algebraic patterns";
const HOOK: &str = "https://1.1.1.1/engine-hook";
const HOST: &str = "blocked.by-the-owner.example";

/// A tenant with one of everything.
struct Owner {
    api: Api,
    contact_id: String,
    webhook: String,
}

impl Owner {
    fn new(service: &Service) -> Self {
        let api = service.tenant("owner");
        let mail = json!({"sendId": SEND, "contact": EMAIL, "campaign": CAMPAIGN,
            "html": format!("<a href=\"{URL}\">x</a>")});
        let mail = api.write("POST", "/rewrite", &mail).unwrap();
        let (pixel, clicks, _) = tokens(&mail);
        let mut edge = Edge::of(service, 1);
        let now = crate::edge::now();
        let signals = json!({"ip": ADDRESS, "ua": AGENT});
        let open = edge.line_with("o", &pixel, now, signals.clone());
        let click = edge.line_with("c", &clicks[0], now, signals);
        assert_eq!(edge.post(open + &click)["accepted"], 2);
        let block = json!({"kind": "host", "value": HOST});
        api.write("PUT", "/blocks", &block).unwrap();
        let kept =
            json!({"html": format!("<p>{KEPT}</p>"), "campaign": CAMPAIGN, "keepPreview": true});
        let kept = Request::new("POST", "/rewrite/batch")
            .body("application/x-ndjson", format!("{kept}\n"));
        assert_eq!(api.send(kept).unwrap().status, 200);
        let contact_id = mail["contactId"].as_str().unwrap().to_owned();
        let webhook = api
            .write("POST", "/webhooks", &json!({"url": HOOK}))
            .unwrap();
        let webhook = webhook["id"].as_str().unwrap().to_owned();
        // Nothing of this test leaves the machine.
        let pause = format!("/webhooks/{webhook}/pause");
        api.send(Request::new("POST", pause)).unwrap();
        Self {
            api,
            contact_id,
            webhook,
        }
    }

    /// Everything the owner can read of itself.
    fn state(&self) -> Vec<Value> {
        let read = |path: &str| self.api.read(path).unwrap();
        let mut state = vec![
            read(&format!("/contacts/{EMAIL}")),
            read(&format!("/sends/{SEND}")),
            read("/settings"),
            read("/blocks"),
            read(&format!("/campaigns/{CAMPAIGN}/preview")),
            read("/webhooks"),
        ];
        state.extend(all(&self.api, "/events"));
        state
    }

    fn secrets(&self) -> Vec<&str> {
        vec![
            EMAIL,
            SEND,
            CAMPAIGN,
            URL,
            AGENT,
            ADDRESS,
            HOST,
            KEPT,
            HOOK,
            &self.webhook,
            &self.contact_id,
        ]
    }
}

/// What is asked of one operation: with its own data where it has any, with the owner's names.
fn requests(operation: &str, owner: &Owner) -> Vec<(u16, Request)> {
    let id = &owner.contact_id;
    let json = |method: &str, path: &str, body: Value| {
        Request::new(method, path).body("application/json", body.to_string())
    };
    let html = "<p>mine</p>";
    match operation {
        "POST /rewrite" => vec![
            (
                404,
                json("POST", "/rewrite", json!({"contact": id, "html": html})),
            ),
            (
                200,
                json(
                    "POST",
                    "/rewrite",
                    json!({"contact": EMAIL, "sendId": SEND, "html": html}),
                ),
            ),
            (
                404,
                json(
                    "POST",
                    "/rewrite",
                    json!({"contact": id, "html": html, "dryRun": true}),
                ),
            ),
        ],
        "POST /rewrite/batch" => {
            let lines = [
                json!({"html": html}),
                json!({"contact": id}),
                json!({"contact": EMAIL, "sendId": SEND}),
            ];
            let lines = lines.map(|line| line.to_string()).join("\n");
            let request = Request::new("POST", "/rewrite/batch");
            vec![(200, request.body("application/x-ndjson", lines))]
        }
        "POST /sends" => vec![
            (404, json("POST", "/sends", json!({"contact": id}))),
            (
                200,
                json("POST", "/sends", json!({"contact": EMAIL, "sendId": SEND})),
            ),
        ],
        "GET /sends/{id}" => vec![(404, Request::get(format!("/sends/{SEND}")))],
        "PATCH /sends/{id}" => vec![(
            404,
            json(
                "PATCH",
                &format!("/sends/{SEND}"),
                json!({"status": "bounced"}),
            ),
        )],
        "POST /sends/status" => {
            let line = json!({"sendId": SEND, "status": "complained"}).to_string();
            let request = Request::new("POST", "/sends/status");
            vec![(200, request.body("application/x-ndjson", line))]
        }
        "GET /contacts/{emailOrId}" => vec![
            (404, Request::get(format!("/contacts/{EMAIL}"))),
            (404, Request::get(format!("/contacts/{id}"))),
        ],
        "GET /contacts/{emailOrId}/events" => vec![
            (404, Request::get(format!("/contacts/{EMAIL}/events"))),
            (404, Request::get(format!("/contacts/{id}/events"))),
        ],
        "POST /contacts/search" => vec![
            (
                200,
                json("POST", "/contacts/search", json!({"conditions": []})),
            ),
            (
                200,
                json(
                    "POST",
                    "/contacts/search",
                    json!({"conditions": [{"property": "contact.email", "operator": "equals",
                        "value": EMAIL}]}),
                ),
            ),
        ],
        "POST /contacts/{emailOrId}/match" => [EMAIL, id]
            .map(|contact| {
                let path = format!("/contacts/{contact}/match");
                (404, json("POST", &path, json!({"conditions": []})))
            })
            .to_vec(),
        "DELETE /contacts/{emailOrId}" => vec![
            (404, Request::new("DELETE", format!("/contacts/{id}"))),
            (404, Request::new("DELETE", format!("/contacts/{EMAIL}"))),
        ],
        "GET /contacts/{emailOrId}/export" => [id, EMAIL]
            .map(|contact| (404, Request::get(format!("/contacts/{contact}/export"))))
            .to_vec(),
        "PUT /contacts/{emailOrId}/consent" => {
            vec![(404, Request::new("PUT", format!("/contacts/{id}/consent")))]
        }
        "DELETE /contacts/{emailOrId}/consent" => vec![
            (
                404,
                Request::new("DELETE", format!("/contacts/{id}/consent")),
            ),
            (
                200,
                Request::new("DELETE", format!("/contacts/{EMAIL}/consent")),
            ),
        ],
        "GET /events" => vec![
            (200, Request::get("/events")),
            (200, Request::get(format!("/events?sendId={SEND}"))),
            (200, Request::get(format!("/events?contact={EMAIL}"))),
            (200, Request::get(format!("/events?contact={id}"))),
            (200, Request::get(format!("/events?campaign={CAMPAIGN}"))),
        ],
        // One that is let in never ends: the first is of those that nobody may.
        "GET /events/stream" => vec![
            (400, Request::get("/events/stream?type=nothing")),
            (404, Request::get(format!("/events/stream?contact={EMAIL}"))),
            (404, Request::get(format!("/events/stream?contact={id}"))),
        ],
        "GET /stats" => vec![
            (200, Request::get("/stats")),
            (200, Request::get(format!("/stats?campaign={CAMPAIGN}"))),
        ],
        "GET /stats/clients" => vec![
            (200, Request::get("/stats/clients")),
            (
                200,
                Request::get(format!("/stats/clients?campaign={CAMPAIGN}")),
            ),
        ],
        "GET /stats/links" => vec![
            (
                200,
                Request::get(format!("/stats/links?campaign={CAMPAIGN}")),
            ),
            (404, Request::get(format!("/stats/links?sendId={SEND}"))),
        ],
        "GET /campaigns" => vec![(200, Request::get("/campaigns"))],
        "GET /campaigns/{name}" => {
            vec![(404, Request::get(format!("/campaigns/{CAMPAIGN}")))]
        }
        "GET /campaigns/{name}/preview" => {
            vec![(404, Request::get(format!("/campaigns/{CAMPAIGN}/preview")))]
        }
        "GET /settings" => vec![(200, Request::get("/settings"))],
        "PATCH /settings" => vec![(
            200,
            json(
                "PATCH",
                "/settings",
                json!({"trackingEnabled": false, "retentionDays": 1}),
            ),
        )],
        "GET /audit" => vec![
            (200, Request::get("/audit")),
            (200, Request::get(format!("/audit?contact={id}"))),
            (404, Request::get(format!("/audit?contact={EMAIL}"))),
        ],
        "GET /blocks" => vec![(200, Request::get("/blocks"))],
        "PUT /blocks" => {
            let block = json!({"kind": "send", "value": SEND});
            vec![(201, json("PUT", "/blocks", block))]
        }
        "DELETE /blocks" => {
            let path = format!("/blocks?kind=host&value={HOST}");
            vec![(404, Request::new("DELETE", path))]
        }
        "GET /webhooks" => vec![(200, Request::get("/webhooks"))],
        "POST /webhooks" => vec![(
            422,
            json("POST", "/webhooks", json!({"url": "https://10.0.0.1/"})),
        )],
        hook if hook.contains(" /webhooks/{id}") => {
            let (method, template) = hook.split_once(' ').unwrap();
            let path = template.replace("{id}", &owner.webhook);
            let body = match hook.contains("PATCH") {
                true => json!({"url": "https://9.9.9.9/"}),
                false => json!({}),
            };
            vec![(404, json(method, &path, body))]
        }
        "GET /edge/policy" => vec![(401, Request::get("/edge/policy"))],
        "POST /ingest" => {
            let request = Request::new("POST", "/ingest");
            vec![(401, request.body("application/x-ndjson", "x\n"))]
        }
        open if OPEN.contains(&open) => {
            vec![(
                200,
                Request::get(
                    open.trim_start_matches("GET ")
                        .replace("{code}", "not_found"),
                ),
            )]
        }
        new => panic!("{new} is new: say here what a foreign key asks it and what it may answer"),
    }
}

/// Every operation of the service's own document, with what lets a caller in.
fn operations(api: &Api) -> Vec<(String, Option<Value>)> {
    let document = api.read("/openapi.json").unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            operations.push((name, operation.get("security").cloned()));
        }
    }
    assert!(operations.len() >= 15, "{operations:?}");
    operations
}

/// The scope that an operation's document asks for. `None`: it is not for API keys.
fn scope(security: &Option<Value>) -> Option<String> {
    let scopes = security.as_ref()?.get(0)?.get("apiKey")?.as_array()?;
    assert_eq!(scopes.len(), 1, "{scopes:?}");
    Some(scopes[0].as_str().unwrap().to_owned())
}

#[test]
fn a_foreign_key_sees_and_changes_nothing_on_any_route() {
    let service = Service::start("foreign");
    let owner = Owner::new(&service);
    let stranger = service.tenant("stranger");
    let before = owner.state();
    let mut routes = operations(&stranger);
    // First what only asks, then what gives the stranger data of its own, then its settings.
    routes.sort_by_key(|(name, _)| match name.as_str() {
        "PATCH /settings" => 2,
        "POST /rewrite"
        | "POST /rewrite/batch"
        | "POST /sends"
        | "DELETE /contacts/{emailOrId}/consent" => 1,
        _ => 0,
    });
    for (operation, _) in routes {
        for (expected, request) in requests(&operation, &owner) {
            let asked = String::from_utf8_lossy(&request.to_bytes(false)).into_owned();
            let answer = stranger.send(request).unwrap();
            let text = answer.text();
            assert_eq!(answer.status, expected, "{asked}\n{text}");
            for secret in owner.secrets() {
                // An answer may repeat what was asked, and by then the stranger has mail to
                // the same address of its own.
                let own = asked.contains(secret) || [EMAIL, SEND].contains(&secret);
                assert!(own || !text.contains(secret), "{secret} in {asked}\n{text}");
            }
        }
    }
    assert_eq!(owner.state(), before);
    // The stranger's mail of the same id to the same address is its own: one from a rewrite and
    // from a registration, nothing of the owner's events.
    assert_eq!(counts(&stranger, EMAIL), [1, 0, 0]);
    assert_eq!(all(&stranger, "/events").len(), 1);
}

#[test]
fn before_a_stranger_has_mail_of_its_own_it_sees_nothing_at_all() {
    let service = Service::start("foreign-reads");
    let owner = Owner::new(&service);
    let stranger = service.tenant("stranger");
    for (operation, _) in operations(&stranger) {
        if !operation.starts_with("GET ") {
            continue;
        }
        for (_, request) in requests(&operation, &owner) {
            let asked = String::from_utf8_lossy(&request.to_bytes(false)).into_owned();
            let text = stranger.send(request).unwrap().text();
            for secret in owner.secrets() {
                let repeated = asked.contains(secret);
                assert!(
                    repeated || !text.contains(secret),
                    "{secret} in {asked}\n{text}"
                );
            }
        }
    }
}

#[test]
fn without_a_key_no_route_answers_but_those_that_are_open() {
    let service = Service::start("no-key");
    let owner = Owner::new(&service);
    let before = owner.state();
    let mut open = BTreeSet::new();
    for (operation, security) in operations(&owner.api) {
        for (_, request) in requests(&operation, &owner) {
            let answer = request.send(service.backend.address()).unwrap();
            for secret in owner.secrets() {
                assert!(
                    !answer.text().contains(secret),
                    "{operation}: {}",
                    answer.text()
                );
            }
            match answer.status {
                200 => assert!(open.insert(operation.clone()) && scope(&security).is_none()),
                _ => assert_refused(
                    &operation,
                    &answer,
                    401,
                    &["missing_api_key", "invalid_ingest_secret"],
                ),
            }
        }
    }
    assert_eq!(open, OPEN.map(str::to_owned).into());
    assert_eq!(owner.state(), before);
}

#[test]
fn a_key_opens_the_routes_of_its_scope_and_no_other() {
    let service = Service::start("scopes");
    let owner = Owner::new(&service);
    let keys = ["render", "read", "admin"];
    let keys = keys.map(|name| (name, service.backend.api_key("owner", name).unwrap()));
    let mut used = BTreeSet::new();
    for (operation, security) in operations(&owner.api) {
        let Some(scope) = scope(&security) else {
            continue;
        };
        for (name, key) in &keys {
            let (_, request) = requests(&operation, &owner).remove(0);
            let answer = key.send(request).unwrap();
            if *name == scope {
                let refused = [401, 403].contains(&answer.status);
                assert!(!refused, "{operation} with {name}: {}", answer.text());
            } else {
                assert_refused(&operation, &answer, 403, &["missing_scope"]);
            }
        }
        used.insert(scope);
    }
    assert_eq!(used.len(), keys.len(), "every scope is for something");
    assert!(owner.api.read("/settings").unwrap()["trackingOrigin"] == ORIGIN);
}

fn assert_refused(operation: &str, answer: &Response, status: u16, codes: &[&str]) {
    assert_eq!(answer.status, status, "{operation}: {}", answer.text());
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        codes.contains(&code.as_str()),
        "{operation}: {}",
        answer.text()
    );
}
