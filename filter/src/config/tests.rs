use super::*;

const KEYRING: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn nothing(_: &str) -> Option<String> {
    None
}

fn environment(name: &str) -> Option<String> {
    match name {
        KEYRING_VARIABLE => Some(KEYRING.to_owned()),
        INGEST_SECRET_VARIABLE => Some("from-environment\n".to_owned()),
        _ => None,
    }
}

fn problems(json: &str) -> Vec<String> {
    let line = Config::parse(json.as_bytes(), environment).err();
    let line = line.unwrap_or_else(|| panic!("accepted: {json}"));
    assert!(!line.contains('\n'));
    line.split("; ").map(str::to_owned).collect()
}

#[test]
fn everything_but_the_secrets_has_a_default() {
    for json in ["", "{}", r#"{"fallback_url":null}"#] {
        let config = Config::parse(json.as_bytes(), environment).ok().unwrap();
        assert_eq!(config.path_prefix, "");
        assert_eq!(config.address, AddressMode::Full);
        assert_eq!(config.address_from, AddressFrom::Connection);
        assert!(!config.journal);
        assert_eq!(config.policy.path, "/edge/policy");
        assert_eq!(config.policy.every, Some(Duration::from_secs(30)));
        assert!(!config.accept_language);
        assert_eq!(config.fallback_url, None);
        assert_eq!(config.collector.cluster, "kraiter_backend");
        assert_eq!(config.collector.path, "/ingest");
        assert_eq!(config.collector.authorization, "Bearer from-environment");
        assert_eq!(config.delivery.batch.max_bytes, 262_144);
        assert_eq!(config.delivery.batch.max_events, 500);
        assert_eq!(config.delivery.batch.buffer_bytes, 8_388_608);
        assert_eq!(config.delivery.max_age, Duration::from_secs(1));
        assert_eq!(config.delivery.in_flight, 2);
    }
}

#[test]
fn every_field_is_read() {
    let json = format!(
        r#"{{"path_prefix":"/mail/t","keyring":"{KEYRING}","address":"truncated",
        "accept_language":true,"address_from":"x-envoy-external-address",
        "journal":true,"policy":{{"path":"/q","interval_ms":0}},"fallback_url":"https://shop.example/",
        "collector":{{"cluster":"c","authority":"a:1","path":"/p","secret":"s","timeout_ms":700}},
        "batch":{{"max_bytes":20000,"max_events":7.0,"max_age_ms":40,"buffer_bytes":70000,
        "in_flight":3,"compress":true}}}}"#
    );
    let config = Config::parse(json.as_bytes(), nothing).ok().unwrap();
    assert_eq!(config.path_prefix, "/mail/t");
    assert_eq!(config.address, AddressMode::Truncated);
    assert_eq!(config.address_from, AddressFrom::Header);
    assert!(config.journal);
    let feed = PolicyFeed {
        path: "/q".to_owned(),
        every: None,
    };
    assert_eq!(config.policy, feed);
    assert!(config.accept_language);
    assert_eq!(
        config.fallback_url.unwrap().as_str(),
        "https://shop.example/"
    );
    let Collector {
        cluster,
        authority,
        path,
        authorization,
        compress,
    } = config.collector;
    assert_eq!((cluster.as_str(), authority.as_str()), ("c", "a:1"));
    assert_eq!((path.as_str(), authorization.as_str()), ("/p", "Bearer s"));
    assert!(compress);
    let expected = DeliveryLimits {
        batch: BatchLimits {
            max_bytes: 20_000,
            max_events: 7,
            buffer_bytes: 70_000,
        },
        max_age: Duration::from_millis(40),
        in_flight: 3,
        timeout: Duration::from_millis(700),
    };
    assert_eq!(config.delivery, expected);
}

#[test]
fn missing_secrets_are_named_with_both_places_they_may_stand() {
    let line = Config::parse(b"{}", nothing).err().unwrap();
    for part in [
        "keyring: is missing",
        "KRAITER_KEYRING",
        "collector.secret: is missing",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let json = r#"{"keyring":"1:short","colector":{},"address":"half","accept_language":"yes",
        "path_prefix":"t/","fallback_url":"javascript:alert(1)",
        "collector":{"timeout_ms":-1,"path":"ingest","port":80},
        "batch":{"max_bytes":5,"in_flight":1.5,"max_events":"many"}}"#;
    let problems = problems(json);
    for field in [
        "keyring: ",
        "colector: is not a known field",
        "address: ",
        "accept_language: ",
        "path_prefix: ",
        "fallback_url: ",
        "collector.timeout_ms: is a whole number from 100 to 60000, not -1",
        "collector.path: ",
        "collector.port: is not a known field (known here: ",
        "batch.max_bytes: is a whole number from 16384 to 4194304, not 5",
        "batch.in_flight: ",
        "batch.max_events: is a whole number from 1 to 10000, not a string",
    ] {
        let found = problems.iter().filter(|line| line.starts_with(field));
        assert_eq!(found.count(), 1, "{field} in {problems:#?}");
    }
    assert_eq!(problems.len(), 12, "{problems:#?}");
}

#[test]
fn what_is_no_object_says_so() {
    assert_eq!(
        problems("[]"),
        ["the configuration is a JSON object, not a list"]
    );
    assert!(problems("{")[0].starts_with("the configuration is not JSON: EOF"));
    assert_eq!(
        problems(r#"{"batch":1}"#),
        ["batch: is an object, not a number"]
    );
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    for json in [
        r#"{"keyring":["1:hunter2"]}"#,
        r#"{"keyring":"1:hunter2"}"#,
        r#"{"collector":{"secret":"hunter2\u0000"}}"#,
        r#"{"collector":{"secret":{"x":"hunter2"}}}"#,
    ] {
        assert!(!problems(json).concat().contains("hunter2"), "{json}");
    }
}

#[test]
fn what_would_become_an_injected_header_is_refused() {
    for (json, field) in [
        (
            r#"{"collector":{"secret":"a\r\nx: y"}}"#,
            "collector.secret",
        ),
        (
            r#"{"collector":{"authority":"a\r\nx: y"}}"#,
            "collector.authority",
        ),
        (r#"{"collector":{"path":"/a b"}}"#, "collector.path"),
        (r#"{"fallback_url":"https://a/\r\nx: y"}"#, "fallback_url"),
    ] {
        assert!(problems(json)[0].starts_with(field), "{json}");
    }
}

#[test]
fn the_buffer_holds_two_batches_at_least() {
    let json = r#"{"batch":{"max_bytes":100000,"buffer_bytes":100000}}"#;
    assert_eq!(
        problems(json),
        ["batch.buffer_bytes: is at least twice batch.max_bytes, here 200000"]
    );
}
