//! Databases that are private, not migrated, away, or come back.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use kraiter_tests::fault_proxy::{Fault, FaultProxy};
use kraiter_tests::http::{Request, Response};
use kraiter_tests::stack::test_folder;
use kraiter_tests::{database, wait};
use serde_json::json;

use crate::edge::{Edge, tokens};
use crate::service::{Service, counts, options, register, rewrite};

fn readiness(service: &Service) -> Response {
    Request::get("/readyz")
        .send(service.backend.address())
        .unwrap()
}

fn until_ready(service: &Service, status: u16) {
    wait::until("another readiness", || match readiness(service) {
        answer if answer.status == status => Ok(()),
        answer => Err(answer.text()),
    })
    .unwrap();
}

#[test]
fn without_a_url_a_private_postgres_keeps_the_data() {
    let mut service = Service::with("private", options("private", None));
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    service.backend.stop();
    // A command alone starts the database for its own duration.
    let tenants = service.backend.json(&["tenant", "list", "--json"]).unwrap();
    assert_eq!(tenants[0]["name"], "shop");
    let postmaster = "postgres/data/postmaster.pid";
    assert!(!service.backend.data_dir().join(postmaster).exists());
    service.backend.start_again().unwrap();
    assert_eq!(
        counts(&service.backend.reach(&api), "ada@example.com"),
        [1, 0, 0]
    );
}

#[test]
fn a_private_postgres_works_in_a_folder_that_only_its_owner_can_enter() {
    let folder = test_folder("private-closed").unwrap().join("closed");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut options = options("private-closed", None);
    options.data_dir = folder.join("data");
    let mut service = Service::with("private-closed", options);
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    service.backend.kill();
    service.backend.start_again().unwrap();
    assert_eq!(
        counts(&service.backend.reach(&api), "ada@example.com"),
        [1, 0, 0]
    );
    service.backend.stop();
    // Where the database's own user cannot enter, the cluster lies elsewhere; clear that as well.
    let location = folder.join("data/postgres/location");
    if let Ok(home) = std::fs::read_to_string(location) {
        std::fs::remove_dir_all(home.trim()).unwrap();
    }
}

#[test]
fn a_database_that_is_not_migrated_is_named_and_taken_up_once_it_is() {
    let url = database::fresh().unwrap();
    database::execute(&url, "drop schema public cascade; create schema public").unwrap();
    let service = Service::start_unready("unmigrated", &url);
    let answer = readiness(&service);
    assert_eq!(answer.status, 503);
    let reason = "the database is not migrated to this version; run kraiter migrate";
    assert_eq!(answer.json(), json!({"ready": false, "reason": reason}));
    let create = [
        "tenant",
        "create",
        "shop",
        "--tracking-origin",
        "https://t.example",
    ];
    let error = service.backend.command(&create).unwrap_err().to_string();
    assert!(error.contains("run kraiter migrate first"), "{error}");
    let applied = service.backend.json(&["migrate", "--json"]).unwrap();
    assert!(
        !applied["applied"].as_array().unwrap().is_empty(),
        "{applied}"
    );
    until_ready(&service, 200);
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let line = edge.line("o", &pixel);
    assert_eq!(edge.post(line)["accepted"], 1);
    assert_eq!(counts(&api, "ada@example.com"), [1, 1, 0]);
}

#[test]
fn a_service_that_is_told_to_migrates_its_database() {
    let url = database::fresh().unwrap();
    database::execute(&url, "drop schema public cascade; create schema public").unwrap();
    let mut options = options("self-migrated", Some(&url));
    options.env.push(("KRAITER_MIGRATE".into(), "true".into()));
    let service = Service::with("self-migrated", options);
    register(&service.tenant("shop"), "snd-1", "ada@example.com");
}

/// Where the server of a URL listens.
fn server_of(url: &str) -> SocketAddr {
    let host = url.rsplit('@').next().unwrap().split('/').next().unwrap();
    host.parse().unwrap()
}

#[test]
fn a_service_whose_database_is_away_starts_says_so_and_recovers() {
    let url = database::fresh().unwrap();
    let server = server_of(&url);
    let proxy = FaultProxy::start(server).unwrap();
    proxy.set_fault(Fault::Refuse);
    let through = url.replace(&server.to_string(), &proxy.address().to_string());
    let service = Service::start_unready("database-away", &through);
    assert_eq!(
        Request::get("/healthz")
            .send(service.backend.address())
            .unwrap()
            .status,
        200
    );
    let answer = readiness(&service);
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.json()["reason"],
        "the database cannot be reached; the log says why"
    );

    proxy.set_fault(Fault::None);
    until_ready(&service, 200);
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let line = edge.line("o", &pixel);

    proxy.set_fault(Fault::Refuse);
    until_ready(&service, 503);
    let refused = api.get("/contacts/ada@example.com").unwrap();
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1".to_owned()))
    );
    assert_eq!(refused.json()["code"], "database_unavailable");
    let refused = edge.try_post(line.as_str()).unwrap();
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1".to_owned()))
    );

    proxy.set_fault(Fault::None);
    until_ready(&service, 200);
    assert_eq!(edge.post(line)["accepted"], 1);
    assert_eq!(counts(&api, "ada@example.com"), [1, 1, 0]);
}

#[test]
fn a_new_database_has_statistics_as_soon_as_it_has_rows() {
    let url = database::fresh().unwrap();
    let service = Service::on("statistics", &url);
    let api = service.tenant("shop");
    rewrite(&api, "snd-1", "ada@example.com");
    // Fails, and so is tried again, while a table was never analysed.
    let check = "do $$ begin assert (select bool_and(reltuples >= 0) from pg_class \
                 where relname in ('contacts', 'sends')); end $$";
    wait::until("both tables to be analysed", || {
        database::execute(&url, check).map_err(|error| error.to_string())
    })
    .unwrap();
}
