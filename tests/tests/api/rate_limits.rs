//! Limits on the requests of an API key.

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::http::{Request, Response};

use crate::edge::Edge;
use crate::service::{ORIGIN, Service, options};

/// More requests than any machine answers in the seconds in which a bucket of three fills again.
const MANY: usize = 200;

fn limited(name: &str, rate: &str) -> Service {
    let url = database::fresh().unwrap();
    let mut options = options(name, Some(&url));
    let settings = [
        ("KRAITER_RATE_LIMIT", rate),
        ("KRAITER_RATE_LIMIT_BURST", "3"),
    ];
    let settings = settings.map(|(name, value)| (name.into(), value.into()));
    options.env.extend(settings);
    Service::with(name, options)
}

fn settings(api: &Api) -> Response {
    api.get("/settings").unwrap()
}

#[test]
fn a_key_that_asks_too_much_is_told_to_wait_and_others_are_not() {
    let service = limited("limited", "1");
    let api = service.tenant("shop");
    let first = settings(&api);
    assert_eq!(first.status, 200);
    assert_eq!(
        first.header("ratelimit-policy").as_deref(),
        Some("\"default\";q=3;w=3")
    );
    assert_eq!(
        first.header("ratelimit").as_deref(),
        Some("\"default\";r=2;t=1")
    );
    let refused = (0..MANY)
        .map(|_| settings(&api))
        .find(|it| it.status != 200);
    let refused = refused.unwrap();
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.json()["code"], "rate_limited");
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(
        refused.header("ratelimit").as_deref(),
        Some("\"default\";r=0;t=3")
    );
    // Neither another key of the same tenant, nor edges, nor who asks how the service is.
    let other = service.backend.api_key("shop", "admin").unwrap();
    assert_eq!(settings(&other).status, 200);
    let edge = Edge::of(&service, 1);
    for _ in 0..8 {
        edge.post("no event\n");
        let health = Request::get("/healthz").send(api.address).unwrap();
        assert_eq!((health.status, health.header("ratelimit")), (200, None));
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(
        settings(&api).status,
        200,
        "a second later it may ask again"
    );
}

#[test]
fn a_limit_of_zero_limits_nobody() {
    let service = limited("unlimited", "0");
    let api = service.backend.tenant("shop", ORIGIN).unwrap();
    for _ in 0..20 {
        let answer = settings(&api);
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    }
}
