//! Configurations: the shipped one is valid, a bad one is refused with the name of the field, and a
//! running edge keeps the one it had.

use std::path::Path;

use kraiter_tests::collector::{Collector, Keep};
use kraiter_tests::envoy::{self, Envoy, EnvoyOptions};
use kraiter_tests::envoy_config::EnvoyConfig;
use kraiter_tests::forge::Forge;
use kraiter_tests::trouble::Outcome;
use kraiter_tests::wait;
use serde_json::{Value, json};

use crate::edge_alone::{Edge, options};

/// Why Envoy with these settings does not start.
fn refusal(name: &str, edit: impl FnOnce(&mut EnvoyConfig) -> Outcome<()>) -> String {
    let collector = Collector::start(Keep::Count).unwrap();
    let forge = Forge::new([0xED; 32], 7).unwrap();
    let options = options(name, &collector, &forge, edit);
    let folder = options.folder.clone();
    match Envoy::start(options) {
        Ok(_) => panic!("{name}: Envoy took the configuration"),
        Err(error) => {
            std::fs::remove_dir_all(folder).unwrap();
            error.to_string()
        }
    }
}

#[test]
fn envoy_finds_the_shipped_configuration_valid() {
    let collector = Collector::start(Keep::Count).unwrap();
    let forge = Forge::new([0xED; 32], 7).unwrap();
    let options = options("validate", &collector, &forge, |_| Ok(()));
    envoy::validate(&options).unwrap();
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn each_mistake_is_named_with_its_field_and_the_edge_does_not_start() {
    let batch = refusal("bad-batch", |c| {
        c.set("batch", json!({"max_bytes": 1, "foo": 2}))
    });
    assert!(
        batch.contains("batch.max_bytes") && batch.contains("batch.foo"),
        "{batch}"
    );
    let unknown = refusal("unknown-field", |c| c.set("adress", json!("full")));
    assert!(unknown.contains("adress"), "{unknown}");
    let mode = refusal("bad-mode", |c| c.set("address", json!("half")));
    assert!(mode.contains("address") && mode.contains("half"), "{mode}");
    let fallback = refusal("bad-fallback", |c| {
        c.set("fallback_url", json!("javascript:x"))
    });
    assert!(fallback.contains("fallback_url"), "{fallback}");
    let keyring = refusal("bad-keyring", |c| c.set("keyring", json!("1:hunter2")));
    assert!(
        keyring.contains("keyring") && !keyring.contains("hunter2"),
        "{keyring}"
    );
    let no_json = refusal("no-json", |c| c.set_settings_text("{"));
    assert!(no_json.contains("JSON"), "{no_json}");
}

#[test]
fn secrets_reach_the_filter_by_environment_and_stand_in_no_dump() {
    let edge = Edge::start("dump", |_| Ok(()));
    edge.open(0..1);
    edge.accepted(1);
    let dump = edge.envoy.ask_admin("GET", "/config_dump").unwrap().text();
    let keyring = edge.forge.keyring();
    assert!(
        dump.contains("KRAITER_KEYRING"),
        "the variable's name is there"
    );
    assert!(!dump.contains(&keyring[2..]) && !dump.contains(crate::edge_alone::SECRET));
    let log = std::fs::read_to_string(edge.envoy.log()).unwrap();
    assert!(
        !log.contains(&keyring[2..]) && !log.contains(crate::edge_alone::SECRET),
        "{log}"
    );
}

/// Takes the listener out into a file that Envoy watches.
pub(crate) fn listener_in_a_file(options: &mut EnvoyOptions) -> (std::path::PathBuf, Value) {
    let file = options.folder.join("listeners.json");
    let config = options.config.json_mut();
    let mut listener = config["static_resources"]["listeners"][0].take();
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    config["static_resources"]["listeners"] = json!([]);
    config["node"] = json!({"id": "edge", "cluster": "edges"});
    config["dynamic_resources"] = json!({"lds_config": {
        "resource_api_version": "V3", "path_config_source": {"path": file}}});
    put(&file, "1", &listener);
    (file, listener)
}

/// Envoy notices a file that is moved into place.
pub(crate) fn put(file: &Path, version: &str, listener: &Value) {
    let new = file.with_extension("new");
    let text = json!({"version_info": version, "resources": [listener]}).to_string();
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, file).unwrap();
}

#[test]
fn a_running_edge_keeps_its_configuration_when_it_is_handed_a_bad_one() {
    let collector = Collector::start(Keep::Lines).unwrap();
    let forge = Forge::new([0xED; 32], 7).unwrap();
    let mut options = options("keeps", &collector, &forge, |_| Ok(()));
    let settings = options.config.settings().unwrap();
    let (file, listener) = listener_in_a_file(&mut options);
    let folder = options.folder.clone();
    let envoy = Envoy::start(options).unwrap();
    let pixel = forge.pixel("snd-1").unwrap();
    assert_eq!(envoy.get(&pixel).unwrap().status, 200);

    let with = |settings: &Value| {
        let text = listener.to_string();
        let old = json!(settings_text(&listener)).to_string();
        assert!(text.contains(&old));
        let new = json!(settings.to_string()).to_string();
        serde_json::from_str::<Value>(&text.replace(&old, &new)).unwrap()
    };
    let mut bad = settings.clone();
    bad["address"] = json!("half");
    put(&file, "2", &with(&bad));
    wait::until("the refusal", || {
        let log = std::fs::read_to_string(folder.join("envoy.log")).unwrap();
        match log
            .lines()
            .find(|line| line.contains("address: is full, truncated or none"))
        {
            Some(_) => Ok(()),
            None => Err(log),
        }
    })
    .unwrap();
    assert_eq!(envoy.get(&pixel).unwrap().status, 200);

    let mut good = settings;
    good["fallback_url"] = json!("https://shop.example/sorry");
    put(&file, "3", &with(&good));
    wait::until("the good configuration", || {
        match envoy.get("/c/forged").unwrap().status {
            302 => Ok(()),
            status => Err(format!("{status}")),
        }
    })
    .unwrap();
    assert_eq!(envoy.get(&pixel).unwrap().status, 200);
    wait::until("all three pixels to be delivered", || {
        match collector.accepted_lines() {
            3 => Ok(()),
            lines => Err(format!("{lines}")),
        }
    })
    .unwrap();
    drop(envoy);
    std::fs::remove_dir_all(folder).unwrap();
}

/// The filter's settings as they stand in the listener.
fn settings_text(value: &Value) -> String {
    fn find(value: &Value) -> Option<&str> {
        if value.get("vm_config").is_some() {
            return value.pointer("/configuration/value")?.as_str();
        }
        match value {
            Value::Object(members) => members.values().find_map(find),
            Value::Array(items) => items.iter().find_map(find),
            _ => None,
        }
    }
    find(value).unwrap().to_owned()
}
