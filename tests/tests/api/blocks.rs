//! Blocking sends and destination hosts: by the tenant, by the operator, and what edges learn of it.

use std::net::SocketAddr;

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::http::{Request, Response};
use kraiter_tests::wait;
use serde_json::{Value, json};

use crate::service::{Service, all};

fn put(api: &Api, kind: &str, value: &str) -> Response {
    let body = json!({"kind": kind, "value": value}).to_string();
    let request = Request::new("PUT", "/blocks").body("application/json", body);
    api.send(request).unwrap()
}

fn delete(api: &Api, kind: &str, value: &str) -> Response {
    let path = format!("/blocks?kind={kind}&value={value}");
    api.send(Request::new("DELETE", path)).unwrap()
}

/// What is blocked: kind, value and who set it.
fn blocked(api: &Api) -> Vec<[String; 3]> {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    all(api, "/blocks")
        .iter()
        .map(|item| ["kind", "value", "setBy"].map(|name| text(item, name)))
        .collect()
}

fn code(answer: &Response) -> String {
    answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// As an edge polls it.
fn poll(service: &Service, known: Option<&str>) -> Response {
    poll_at(service.backend.address(), service, known)
}

/// Of a replica that shares the service's secret.
fn poll_at(address: SocketAddr, service: &Service, known: Option<&str>) -> Response {
    let secret = service.backend.ingest_secret().unwrap();
    let request = Request::get("/edge/policy").header("authorization", format!("Bearer {secret}"));
    let request = match known {
        Some(tag) => request.header("if-none-match", tag),
        None => request,
    };
    request.send(address).unwrap()
}

/// The policy without its version, once it is as expected.
fn wait_for_policy(address: SocketAddr, service: &Service, expected: &Value) {
    wait::until("the policy", || {
        let mut policy = poll_at(address, service, None).json();
        let version = policy["version"].take();
        assert!(version.is_string(), "{policy}");
        policy.as_object_mut().unwrap().remove("version");
        if policy == *expected {
            Ok(())
        } else {
            Err(policy.to_string())
        }
    })
    .unwrap();
}

#[test]
fn a_tenant_blocks_its_sends_and_hosts_and_lifts_the_blocks_again() {
    let service = Service::start("blocks");
    let api = service.tenant("shop");
    assert_eq!(
        api.read("/blocks").unwrap(),
        json!({"items": [], "nextCursor": null})
    );

    let body = json!({"kind": "host", "value": "Bücher.Example.", "reason": "phishing"});
    let made = api.write("PUT", "/blocks", &body).unwrap();
    assert_eq!(
        (
            &made["kind"],
            &made["value"],
            &made["reason"],
            &made["setBy"]
        ),
        (
            &json!("host"),
            &json!("xn--bcher-kva.example"),
            &json!("phishing"),
            &json!("tenant")
        )
    );
    let again = put(&api, "host", "xn--bcher-kva.example");
    assert_eq!(
        (again.status, again.json()),
        (200, made),
        "its reason and time stay"
    );
    assert_eq!(put(&api, "host", "evil.example").status, 201);
    assert_eq!(put(&api, "send", "snd-unknown-yet").status, 201);
    let by_tenant = |kind: &str, value: &str| [kind, value, "tenant"].map(str::to_owned);
    assert_eq!(
        blocked(&api),
        [
            by_tenant("host", "evil.example"),
            by_tenant("host", "xn--bcher-kva.example"),
            by_tenant("send", "snd-unknown-yet"),
        ]
    );
    let first = api.read("/blocks?limit=2").unwrap();
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = api
        .read(&format!("/blocks?limit=2&cursor={cursor}"))
        .unwrap();
    assert_eq!(second["items"][0]["value"], "snd-unknown-yet");
    assert_eq!(second["nextCursor"], Value::Null);

    assert_eq!(delete(&api, "host", "EVIL.example").status, 204);
    let gone = delete(&api, "host", "evil.example");
    assert_eq!((gone.status, code(&gone).as_str()), (404, "unknown_block"));
    assert_eq!(blocked(&api).len(), 2);
}

#[test]
fn what_cannot_be_blocked_is_refused_with_its_code() {
    let service = Service::start("bad-blocks");
    let api = service.tenant("shop");
    for (body, status, code_expected) in [
        (json!({"kind": "host"}), 422, "missing_field"),
        (
            json!({"kind": "tenant", "value": "1"}),
            422,
            "invalid_value",
        ),
        (
            json!({"kind": "host", "value": "https://evil.example/"}),
            422,
            "invalid_value",
        ),
        (
            json!({"kind": "host", "value": "com"}),
            422,
            "invalid_value",
        ),
        (
            json!({"kind": "send", "value": "a b"}),
            422,
            "invalid_value",
        ),
        (
            json!({"kind": "send", "value": "s", "reason": ""}),
            422,
            "invalid_value",
        ),
        (
            json!({"kind": "send", "value": "s", "reason": "a\u{0}"}),
            422,
            "invalid_value",
        ),
        (
            json!({"kind": "send", "value": "s", "setBy": "operator"}),
            422,
            "unknown_field",
        ),
    ] {
        let request = Request::new("PUT", "/blocks").body("application/json", body.to_string());
        let answer = api.send(request).unwrap();
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (status, code_expected),
            "{body}"
        );
    }
    for path in [
        "/blocks",
        "/blocks?kind=host",
        "/blocks?kind=mail&value=x",
        "/blocks?kind=host&value=com",
        "/blocks?kind=send&value=a%20b",
    ] {
        let answer = api.send(Request::new("DELETE", path)).unwrap();
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (400, "invalid_parameter"),
            "{path}"
        );
    }
    for cursor in ["x", "AAAA", "aG9zdAo"] {
        let answer = api.get(&format!("/blocks?cursor={cursor}")).unwrap();
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (400, "invalid_parameter")
        );
    }
    assert_eq!(blocked(&api), [] as [[String; 3]; 0]);
}

#[test]
fn what_the_operator_blocks_the_tenant_sees_and_cannot_lift() {
    let service = Service::start("operator-blocks");
    let api = service.tenant("shop");
    let block = |args: &[&str]| {
        service
            .backend
            .json(&[&["block"], args, &["--json"]].concat())
    };
    let made = block(&["send", "--tenant", "shop", "snd-1", "--reason", "malware"]).unwrap();
    assert_eq!(
        (
            &made["tenant"],
            &made["kind"],
            &made["value"],
            &made["reason"]
        ),
        (
            &json!(1),
            &json!("send"),
            &json!("snd-1"),
            &json!("malware")
        )
    );
    block(&["host", "Evil.Example"]).unwrap();
    block(&["host", "spam.example", "--tenant", "1"]).unwrap();
    block(&["tenant", "shop"]).unwrap();
    assert_eq!(block(&["list"]).unwrap().as_array().unwrap().len(), 4);
    assert_eq!(
        block(&["list", "--tenant", "shop"])
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let by_operator = |kind: &str, value: &str| [kind, value, "operator"].map(str::to_owned);
    let expected = [
        by_operator("host", "spam.example"),
        by_operator("send", "snd-1"),
    ];
    assert_eq!(blocked(&api), expected);

    let refused = delete(&api, "send", "snd-1");
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (403, "operator_block")
    );
    // Its own block beside the operator's comes and goes.
    assert_eq!(put(&api, "send", "snd-1").status, 201);
    assert_eq!(delete(&api, "send", "snd-1").status, 204);
    assert_eq!(blocked(&api), expected);
    let policy = json!({"tenants": [1], "sends": [[1, "snd-1"]], "hosts": ["evil.example"],
        "tenantHosts": [[1, "spam.example"]]});
    wait_for_policy(service.backend.address(), &service, &policy);

    let list = service.backend.command(&["block", "list"]).unwrap();
    assert!(
        list.contains("SET BY") && list.contains("malware"),
        "{list}"
    );
    for args in [
        &["send", "--tenant", "shop", "snd-1", "--remove"][..],
        &["host", "evil.example", "--remove"],
        &["host", "spam.example", "--tenant", "shop", "--remove"],
        &["tenant", "1", "--remove"],
    ] {
        assert_eq!(block(args).unwrap(), json!({"removed": true}));
        let error = block(args).unwrap_err().to_string();
        assert!(error.contains("the operator has not blocked"), "{error}");
    }
    assert_eq!(block(&["list"]).unwrap(), json!([]));
    for (args, expected) in [
        (&["host", "com"][..], "block a name with a dot in it"),
        (&["host", "https://evil.example"], "is not a host"),
        (&["send", "--tenant", "shop", "a b"], "send"),
        (&["tenant", "nobody"], "there is no tenant \"nobody\""),
    ] {
        let error = block(args).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn edges_poll_the_policy_by_the_ingest_secret_and_learn_when_nothing_changed() {
    let service = Service::start("policy");
    let api = service.tenant("shop");
    for request in [
        Request::get("/edge/policy"),
        Request::get("/edge/policy").header("authorization", format!("Bearer {}", api.key)),
    ] {
        let answer = request.send(service.backend.address()).unwrap();
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (401, "invalid_ingest_secret")
        );
    }
    let empty = poll(&service, None);
    assert_eq!(empty.status, 200);
    assert_eq!(empty.header("content-type").unwrap(), "application/json");
    assert_eq!(empty.header("cache-control").unwrap(), "no-store");
    let tag = empty.header("etag").unwrap();
    let expected = format!(
        "{{\"version\":{tag},\"tenants\":[],\"sends\":[],\"hosts\":[],\"tenantHosts\":[]}}"
    );
    assert_eq!(empty.text(), expected);
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let answer = poll(&service, Some(&known));
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag").unwrap(), tag);
    }
    // Told at once by the replica that took the block.
    assert_eq!(put(&api, "send", "snd-1").status, 201);
    let changed = poll(&service, Some(&tag));
    assert_eq!(
        (changed.status, &changed.json()["sends"]),
        (200, &json!([[1, "snd-1"]]))
    );
    assert_eq!(delete(&api, "send", "snd-1").status, 204);
    assert_eq!(
        poll(&service, Some(&tag)).status,
        304,
        "the same content, the same version"
    );
}

#[test]
fn every_replica_tells_edges_the_same_within_seconds() {
    let url = database::fresh().unwrap();
    let first = Service::on("policy-twin-1", &url);
    let second = first.twin("policy-twin-2", &url);
    let api = first.tenant("shop");
    let there = second.backend.address();
    poll_at(there, &first, None);
    assert_eq!(put(&api, "host", "evil.example").status, 201);
    let policy = json!({"tenants": [], "sends": [], "hosts": [],
        "tenantHosts": [[1, "evil.example"]]});
    wait_for_policy(there, &first, &policy);
    assert_eq!(poll_at(there, &first, None).body, poll(&first, None).body);
}

#[test]
fn a_thousand_polls_cost_postgres_a_few_and_outlive_its_absence() {
    let url = database::fresh().unwrap();
    let service = Service::on("policy-cache", &url);
    let api = service.tenant("shop");
    assert_eq!(put(&api, "send", "snd-1").status, 201);
    let tag = poll(&service, None).header("etag").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    assert_eq!(poll(&service, Some(&tag)).status, 304);
                }
            });
        }
    });
    // Some scans are of the write above; a minute of polling would add twenty.
    let few = "do $$ begin perform pg_stat_clear_snapshot(); \
               if (select seq_scan + idx_scan from pg_stat_user_tables where relname = 'blocks') \
                 > 50 then raise 'too many scans'; end if; end $$";
    database::execute(&url, few).unwrap();
    database::execute(&url, "alter table blocks rename to blocks_away").unwrap();
    wait::until("the service to notice", || match service.log() {
        log if log.contains("edges get the last ones") => Ok(()),
        _ => Err(poll(&service, Some(&tag)).status.to_string()),
    })
    .unwrap();
    let answer = poll(&service, None);
    assert_eq!(
        (answer.status, &answer.json()["sends"]),
        (200, &json!([[1, "snd-1"]]))
    );
}

#[test]
fn blocks_are_bounded_for_each_tenant_and_room_is_kept_for_the_operator() {
    let url = database::fresh().unwrap();
    let service = Service::on("many-blocks", &url);
    let (api, other) = (service.tenant("shop"), service.tenant("other"));
    let fill = |tenant: u32, count: u32| {
        let fill = format!(
            "insert into blocks select {tenant}, 'send', 'snd-' || n, 'tenant', null, now() \
             from generate_series(1, {count}) as n on conflict do nothing"
        );
        database::execute(&url, &fill).unwrap();
    };
    fill(1, 10_000);
    let refused = put(&api, "send", "one-more");
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (409, "too_many_blocks")
    );
    assert_eq!(
        put(&api, "send", "snd-1").status,
        200,
        "what is blocked stays so"
    );
    assert_eq!(delete(&api, "send", "snd-1").status, 204);
    assert_eq!(put(&api, "send", "one-more").status, 201);
    assert_eq!(put(&other, "send", "one-more").status, 201);

    fill(99, 80_000);
    assert_eq!(code(&put(&other, "send", "another")), "too_many_blocks");
    let block = |host: &str| service.backend.command(&["block", "host", host]);
    block("evil.example").unwrap();
    let policy = poll(&service, None);
    assert!(policy.body.len() < 4 << 20, "{}", policy.body.len());
    fill(98, 10_000);
    let error = block("worse.example").unwrap_err().to_string();
    assert!(error.contains("all tenants together"), "{error}");
}
