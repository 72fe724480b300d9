//! Routes that are not the tracking's: the filter shares a gateway with them.

use kraiter_tests::http::Request;
use kraiter_tests::upstream::{ANSWER, Upstream};

use crate::edge_alone::Edge;

#[test]
fn other_routes_reach_their_application_untouched() {
    let application = Upstream::start().unwrap();
    let address = application.address();
    let edge = Edge::start("passing-on", |config| config.pass_on_to(address));
    let body = vec![b'b'; 300_000];
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/o"),
        ("GET", "/ocean/x.gif"),
        ("GET", "/api/c/AQE"),
        ("HEAD", "/c"),
        ("DELETE", "/x/abc?c=/c/abc"),
        ("POST", "/upload"),
        ("OPTIONS", "/C/abc"),
    ] {
        let mut request = Request::new(method, path)
            .header("x-own", b"\xFFkept".as_slice())
            .header("cookie", "a=b");
        if method == "POST" {
            request = request.body("application/octet-stream", body.as_slice());
        }
        let answer = edge.envoy.send(&request).unwrap();
        assert_eq!(answer.status, 200, "{method} {path}");
        if method != "HEAD" {
            assert_eq!(answer.body, ANSWER, "{method} {path}");
        }
        let requests = application.requests();
        let seen = requests.last().unwrap();
        assert_eq!((seen.method.as_str(), seen.path.as_str()), (method, path));
        assert_eq!(seen.header("x-own").unwrap(), b"\xFFkept");
        assert_eq!(seen.header("cookie").unwrap(), b"a=b");
        assert_eq!(
            seen.body.len(),
            if method == "POST" { body.len() } else { 0 }
        );
    }
    assert_eq!(application.requests().len(), 8);

    // The tracking's own paths never reach it.
    edge.open(0..2);
    for path in ["/c/forged", "/u/forged", "/o/forged.gif"] {
        edge.envoy.get(path).unwrap();
    }
    edge.accepted(2);
    assert_eq!(application.requests().len(), 8);
}

#[test]
fn a_path_prefix_moves_the_tracking_and_leaves_the_rest_alone() {
    let application = Upstream::start().unwrap();
    let address = application.address();
    let edge = Edge::start("prefix", |config| {
        config.pass_on_to(address)?;
        config.set("path_prefix", "/t/mail".into())
    });
    let pixel = edge.forge.pixel("snd-1").unwrap();
    let moved = edge.envoy.get(&format!("/t/mail{pixel}")).unwrap();
    assert_eq!((moved.status, moved.body.len()), (200, 43));
    assert_eq!(edge.envoy.get(&pixel).unwrap().body, ANSWER);
    edge.accepted(1);
    assert_eq!(application.requests().len(), 1);
}
