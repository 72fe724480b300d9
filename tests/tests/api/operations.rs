//! What operators see: readiness, metrics and slow requests; and a server that takes no writes.

use kraiter_tests::{database, wait};
use kraiter_wire::UnixMillis;
use serde_json::json;

use crate::edge::{Edge, HOUR, now, tokens};
use crate::service::{Service, counts, options, register, rewrite};

/// Makes every new session on the database at `url` one of a standby, or of a primary again, and
/// ends those that are there if asked to.
fn take_no_writes(url: &str, no_writes: bool, and_end_sessions: bool) {
    let name = url.rsplit('/').next().unwrap();
    let end = match and_end_sessions {
        true => {
            "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid()"
        }
        false => "",
    };
    let mode = if no_writes { "on" } else { "off" };
    let statements = format!(
        "begin read write; alter database {name} set default_transaction_read_only = {mode}; \
         commit; {end}"
    );
    database::execute(url, &statements).unwrap();
}

#[test]
fn a_server_that_turned_into_a_standby_is_named_and_left_once_there_is_a_primary() {
    let url = database::fresh().unwrap();
    let service = Service::on("standby", &url);
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let line = edge.line("o", &pixel);

    take_no_writes(&url, true, true);
    let refused = wait::until("a session on the standby", || {
        let answer = edge.try_post(line.as_str()).unwrap();
        let readiness = api.get("/readyz").unwrap();
        match readiness.text().contains("takes no writes") {
            true => Ok(answer),
            false => Err(readiness.text()),
        }
    })
    .unwrap();
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1".to_owned()))
    );
    assert_eq!(counts(&api, "ada@example.com"), [1, 0, 0], "it still reads");

    // Sessions that are open stay what they were, as those on a former primary do.
    take_no_writes(&url, false, false);
    wait::until("the service to find the primary", || {
        match edge.try_post(line.as_str()).unwrap() {
            answer if answer.status == 200 => Ok(()),
            answer => Err(answer.text()),
        }
    })
    .unwrap();
    wait::until("readiness", || match api.get("/readyz").unwrap() {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.text()),
    })
    .unwrap();
    assert_eq!(counts(&api, "ada@example.com"), [1, 1, 0]);
}

#[test]
fn metrics_tell_what_waits_what_was_written_and_how_late() {
    let service = Service::start("metrics");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let late = edge.line_at("o", &pixel, UnixMillis(now().0 - HOUR / 2));
    let prompt = edge.line("o", &pixel);
    edge.post(format!("{late}{prompt}no event\n"));
    edge.post(late);
    let metrics = api.get("/metrics").unwrap().text();
    for line in [
        "kraiter_ingest_waiting_events 0",
        "kraiter_ingest_group_events_sum 3",
        "kraiter_ingest_commit_seconds_count 2",
        "kraiter_ingest_events_total{outcome=\"accepted\"} 2",
        "kraiter_ingest_events_total{outcome=\"duplicate\"} 1",
        "kraiter_ingest_rejected_total{reason=\"malformed\"} 1",
        "kraiter_ingest_lag_seconds_bucket{le=\"600\"} 1",
        "kraiter_ingest_lag_seconds_bucket{le=\"3600\"} 3",
        "kraiter_database_connections{state=\"limit\"} 16",
        "kraiter_database_waiting_requests 0",
    ] {
        let found = metrics.lines().any(|have| have == line);
        assert!(found, "{line} is not in\n{metrics}");
    }
}

#[test]
fn a_slow_request_is_logged_by_its_route_and_names_nobody() {
    let url = database::fresh().unwrap();
    let mut options = options("slow", Some(&url));
    options
        .env
        .push(("KRAITER_SLOW_REQUEST_MS".into(), "200".into()));
    let service = Service::with("slow", options);
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    let lock = "begin; lock table contacts in access exclusive mode; select pg_sleep(1); commit";
    let log = wait::until("a slow request", || {
        std::thread::scope(|scope| {
            scope.spawn(|| database::execute(&url, lock).unwrap());
            // Some of them come while the table is locked.
            for _ in 0..20 {
                api.contact("ada@example.com").unwrap();
            }
        });
        let log = service.log();
        match log.contains("slow request") {
            true => Ok(log),
            false => Err(log),
        }
    })
    .unwrap();
    let line = log.lines().find(|line| line.contains("slow request"));
    assert!(line.unwrap().contains("/contacts/{emailOrId}"), "{log}");
    assert!(!log.contains("ada"), "{log}");
}

#[test]
fn a_statement_takes_no_longer_than_it_may() {
    let url = database::fresh().unwrap();
    let mut options = options("timeout", Some(&url));
    options
        .env
        .push(("KRAITER_STATEMENT_TIMEOUT".into(), "1".into()));
    let service = Service::with("timeout", options);
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    let lock = "begin; lock table events in access exclusive mode; select pg_sleep(5); commit";
    let refused = wait::until("a statement that had to wait", || {
        std::thread::scope(|scope| {
            let locked = scope.spawn(|| database::execute(&url, lock).unwrap());
            let mut refused = None;
            while refused.is_none() && !locked.is_finished() {
                refused = Some(api.get("/events").unwrap()).filter(|answer| answer.status != 200);
            }
            refused.ok_or_else(|| "each was answered".to_owned())
        })
    })
    .unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.json()["code"], json!("query_too_slow"));
}
