//! docker-compose.yml against the configuration that `make run` and the tests run: the same ports,
//! paths and variables.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use kraiter_tests::artifacts;
use kraiter_tests::config::{API_PORT, DEFAULT_API_PORT, DEFAULT_EDGE_PORT, EDGE_PORT};
use kraiter_tests::envoy_config::{BACKEND_CLUSTER, EnvoyConfig};
use serde_json::Value;

fn compose() -> Value {
    let path = artifacts::project_root().join("docker-compose.yml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(artifacts::project_root().join(path)).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn the_edges_container_runs_the_shipped_configuration_where_it_expects_its_files() {
    let envoy = &compose()["services"]["envoy"];
    let dockerfile = read(envoy["build"]["dockerfile"].as_str().unwrap());
    let mount = "./envoy/envoy.yaml:/etc/envoy/envoy.yaml:ro";
    assert!(texts(&envoy["volumes"]).contains(&mount), "{envoy}");
    assert!(
        dockerfile.contains("\"/etc/envoy/envoy.yaml\""),
        "{dockerfile}"
    );

    let filter = EnvoyConfig::shipped()
        .unwrap()
        .shipped_filter_file()
        .unwrap();
    let copied = format!("/kraiter_filter.wasm {}", filter.display());
    assert!(dockerfile.contains(&copied), "{copied} in {dockerfile}");
    assert!(dockerfile.contains("cargo build --locked -p kraiter-filter --profile filter"));
}

#[test]
fn ports_and_the_variables_that_move_them_are_those_of_make_run() {
    let compose = compose();
    let mut shipped = EnvoyConfig::shipped().unwrap();
    let listener = "/static_resources/listeners/0/address/socket_address/port_value";
    assert_eq!(shipped.json().pointer(listener).unwrap(), DEFAULT_EDGE_PORT);
    let edge = texts(&compose["services"]["envoy"]["ports"]);
    assert_eq!(
        edge,
        [format!(
            "${{{EDGE_PORT}:-{DEFAULT_EDGE_PORT}}}:{DEFAULT_EDGE_PORT}"
        )]
    );

    let api = texts(&compose["services"]["backend"]["ports"]);
    let mapping = format!("${{{API_PORT}:-{DEFAULT_API_PORT}}}:{DEFAULT_API_PORT}");
    assert!(api.len() == 1 && api[0].ends_with(&mapping), "{api:?}");

    // Events go to the service by its name in the composition.
    let endpoint = shipped.backend_endpoint().unwrap().clone();
    assert_eq!(endpoint["address"], "backend");
    assert_eq!(endpoint["port_value"], DEFAULT_API_PORT);
    let settings = shipped.settings().unwrap();
    assert_eq!(settings["collector"]["cluster"], BACKEND_CLUSTER);

    let admin = "/admin/address/socket_address/port_value";
    let admin = shipped.json().pointer(admin).unwrap().to_string();
    let check = compose["services"]["envoy"]["healthcheck"]["test"].to_string();
    assert!(check.contains(&format!("127.0.0.1/{admin}")), "{check}");
    let check = compose["services"]["backend"]["healthcheck"]["test"].to_string();
    assert!(
        check.contains(&format!("127.0.0.1/{DEFAULT_API_PORT}")),
        "{check}"
    );
    assert!(check.contains("GET /readyz "), "{check}");
}

#[test]
fn the_filter_gets_the_variables_that_the_configuration_hands_on() {
    let mut shipped = EnvoyConfig::shipped().unwrap();
    let keys = "/vm_config/environment_variables/host_env_keys";
    let keys = shipped.plugin().unwrap().pointer(keys).unwrap().clone();
    assert_eq!(texts(&keys), ["KRAITER_KEYRING", "KRAITER_INGEST_SECRET"]);
    let start = read("envoy/start.sh");
    let compose = compose();
    for key in texts(&keys) {
        assert!(
            start.contains(&format!("{key}=$(cat \"${key}_FILE\")")),
            "{start}"
        );
        let given = &compose["services"]["envoy"]["environment"][format!("{key}_FILE")];
        let file = given.as_str().unwrap();
        let folder = Path::new(file).parent().unwrap().display().to_string();
        let mounted = texts(&compose["services"]["envoy"]["volumes"]);
        let is_mounted = mounted
            .iter()
            .any(|mount| mount.contains(&format!(":{folder}:")));
        assert!(
            is_mounted || folder == "/run/secrets",
            "{file} in {mounted:?}"
        );
    }
}

#[test]
fn every_variable_of_the_backend_is_one_that_it_reads() {
    let help = Command::new(artifacts::kraiter().unwrap())
        .args(["serve", "--help"])
        .output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    // Lines are broken anywhere.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let compose = compose();
    for service in ["backend", "edge-keys"] {
        let environment = compose["services"][service]["environment"]
            .as_object()
            .unwrap();
        for name in environment.keys() {
            assert!(
                help.contains(&format!("[env: {name}")),
                "{service}: {name} in {help}"
            );
        }
    }
}

#[test]
fn what_services_refer_to_is_declared() {
    let compose = compose();
    let names = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .into_iter()
            .flat_map(|members| members.keys().cloned())
            .collect()
    };
    let (volumes, secrets) = (names(&compose["volumes"]), names(&compose["secrets"]));
    let services = names(&compose["services"]);
    for (name, service) in compose["services"].as_object().unwrap() {
        for secret in texts(&service["secrets"]) {
            assert!(secrets.contains(secret), "{name}: secret {secret}");
        }
        for mount in texts(&service["volumes"]) {
            let source = mount.split(':').next().unwrap();
            let there = match source.starts_with('.') {
                true => artifacts::project_root().join(source).is_file(),
                false => volumes.contains(source),
            };
            assert!(there, "{name}: volume {source}");
        }
        for needed in names(&service["depends_on"]) {
            assert!(services.contains(&needed), "{name}: depends on {needed}");
        }
        if let Some(dockerfile) = service["build"]["dockerfile"].as_str() {
            assert!(
                artifacts::project_root().join(dockerfile).is_file(),
                "{dockerfile}"
            );
        }
    }
}
