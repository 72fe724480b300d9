//! Judging what is stored anew: with other rules or lines, or for the first time.

use kraiter_tests::database;
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, now, tokens};
use crate::service::{Service, all, options, rewrite};
use crate::settling::{assert_all_is_as_judged_from_scratch, reasons, service, settled, two_links};
use crate::verdicts::FIREFOX;

#[test]
fn what_is_not_judged_as_it_comes_is_judged_by_reclassify() {
    let url = database::fresh().unwrap();
    let mut options = options("settling-off", Some(&url));
    options.env.extend([
        ("KRAITER_SETTLING_INTERVAL".into(), "1".into()),
        ("KRAITER_JUDGING".into(), "off".into()),
    ]);
    let service = Service::with("settling-off", options);
    let api = service.tenant("shop");
    let (pixel, clicks) = two_links(&api, "snd-1");
    let mut edge = Edge::of(&service, 1);
    let at = |millis: u64| UnixMillis(now().0 - HOUR + millis);
    let person = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
    let lines = [
        edge.line_with("o", &pixel, at(0), json!({"ua": "Mozilla/5.0"})),
        edge.line_with("c", &clicks[0], at(1_800_000), person.clone()),
        edge.line_with("c", &clicks[1], at(1_800_100), person),
    ];
    edge.post(lines.concat());
    // No note is left that would grow.
    settled(&url);
    assert_eq!(reasons(&api, ""), [Value::Null, Value::Null, Value::Null]);
    let send = api.sent("snd-1").unwrap();
    assert_eq!(
        (&send["opensCount"], &send["clicksCount"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(send["humanClicksCount"], 0, "{send}");
    let report = service.backend.says(&["verify", "--json"]).unwrap();
    assert_eq!(report["differences"], 0, "{report}");
    service.backend.says(&["reclassify", "--json"]).unwrap();
    let burst = json!(["burst"]);
    assert_eq!(
        reasons(&api, ""),
        [burst.clone(), burst, json!(["apple_mpp"])]
    );
    assert_all_is_as_judged_from_scratch(&service);
}

#[test]
fn reclassify_follows_new_rules_and_back_and_a_dry_run_changes_nothing() {
    let url = database::fresh().unwrap();
    let service = service("settling-reclassify", &url);
    let api = service.tenant("shop");
    let other = service.tenant("other");
    let mut edge = Edge::of(&service, 1);
    for (tenant, send) in [(&api, "snd-1"), (&api, "snd-2"), (&other, "snd-3")] {
        let (pixel, clicks, _) = tokens(&rewrite(tenant, send, "ada@example.com"));
        for (kind, token) in [("o", &pixel), ("c", &clicks[0])] {
            let at = UnixMillis(now().0 + HOUR / 2);
            let by = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
            let line = edge.line_with(kind, token, at, by);
            edge.post(line);
        }
    }
    settled(&url);
    let shown = || {
        let contacts = [&api, &other].map(|api| api.contact("ada@example.com").unwrap());
        let stats = [&api, &other].map(|api| api.read("/campaigns/spring").unwrap());
        (contacts, stats, all(&api, "/events"))
    };
    let before = shown();
    let folder = service.backend.data_dir().join("rules");
    std::fs::create_dir(&folder).unwrap();
    let list = "[[operator]]\nname = \"gateway\"\nsource = \"ours\"\ndate = \"2026-11-24\"\n\
                networks = [\"203.0.113.0/24\"]\n";
    std::fs::write(folder.join("networks.toml"), list).unwrap();
    let rules = folder.to_str().unwrap();
    let reclassify = |more: &[&str]| {
        let args = [&["reclassify", "--json"], more].concat();
        service.backend.says(&args).unwrap()
    };
    let changes = json!([{"before": "human", "after": "machine", "events": 4}]);
    let mine = ["--rules-dir", rules, "--tenant", "shop"];
    let report = reclassify(&[&mine[..], &["--dry-run"]].concat());
    assert_eq!(report["changes"], changes, "{report}");
    assert_eq!(shown(), before);
    let later = reclassify(&[&mine[..], &["--since", "2999-01-01T00:00:00Z"]].concat());
    assert_eq!(later["events"], 0, "{later}");
    let report = reclassify(&mine);
    assert_eq!(
        (&report["changes"], &report["sends"]),
        (&changes, &json!(2))
    );
    let ([contact, of_other], ..) = shown();
    assert_eq!(contact["emailsHumanOpenedCount"], 0);
    assert_eq!(contact["emailsMachineClickedCount"], 2);
    assert!(contact["lastEmailHumanOpenedAt"].is_null());
    assert_eq!(of_other, before.0[1]);
    assert_eq!(reclassify(&mine)["verdictsChanged"], 0);
    assert_eq!(reclassify(&[])["verdictsChanged"], 4);
    assert_eq!(shown(), before);
    assert_all_is_as_judged_from_scratch(&service);
    let text = service.backend.command(&["reclassify"]).unwrap();
    assert!(
        text.starts_with("6 opens and clicks of 3 sends were judged: 0 verdicts"),
        "{text}"
    );
}

#[test]
fn a_tenant_moves_the_lines_and_back() {
    let url = database::fresh().unwrap();
    let service = service("settling-lines", &url);
    let api = service.tenant("shop");
    let usual = api.read("/settings").unwrap();
    assert_eq!(usual["verdicts"]["burstMillis"], 2000, "{usual}");
    let change = |verdicts: Value| api.write("PATCH", "/settings", &json!({"verdicts": verdicts}));
    let settings = change(json!({"burstMillis": 500, "tooSoonMillis": 10_000})).unwrap();
    assert_eq!(settings, api.read("/settings").unwrap());
    assert_eq!(settings["verdicts"]["burstMillis"], 500);
    assert_eq!(settings["verdicts"]["manyRecipients"], 8);
    let (pixel, clicks) = two_links(&api, "snd-1");
    let mut edge = Edge::of(&service, 1);
    let by = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
    let sent = now().0;
    let (first, second) = (sent + HOUR / 2, sent + HOUR / 2 + 1000);
    for (kind, token, at) in [
        ("o", &pixel, sent + 8000),
        ("c", &clicks[0], first),
        ("c", &clicks[1], second),
    ] {
        let line = edge.line_with(kind, token, UnixMillis(at), by.clone());
        edge.post(line);
    }
    settled(&url);
    let none = json!([]);
    assert_eq!(
        reasons(&api, ""),
        [none.clone(), none.clone(), json!(["too_soon"])]
    );
    let settings = change(json!({"burstMillis": null, "tooSoonMillis": null})).unwrap();
    assert_eq!(settings, usual);
    service.backend.command(&["reclassify"]).unwrap();
    assert_eq!(
        reasons(&api, ""),
        [json!(["burst"]), json!(["burst"]), none]
    );
    assert_all_is_as_judged_from_scratch(&service);
    let wrong = change(json!({"manyRecipients": 1}))
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("1 is not a number from 2 to 1000"),
        "{wrong}"
    );
}

#[test]
fn what_an_older_version_stored_without_verdicts_gets_them() {
    let url = database::fresh().unwrap();
    let service = service("settling-older", &url);
    let api = service.tenant("shop");
    let (pixel, clicks) = two_links(&api, "snd-1");
    let mut edge = Edge::of(&service, 1);
    let by = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
    for (kind, token, after) in [
        ("o", &pixel, 0),
        ("c", &clicks[0], 60_000),
        ("o", &pixel, 90_000),
    ] {
        let at = UnixMillis(now().0 + HOUR / 2 + after);
        let line = edge.line_with(kind, token, at, by.clone());
        edge.post(line);
    }
    settled(&url);
    let before = (
        api.contact("ada@example.com").unwrap(),
        api.sent("snd-1").unwrap(),
    );
    // What a version leaves that knows nothing of verdicts.
    for change in [
        "events set verdict = null, reasons = null",
        "contacts set emails_human_opened_count = 0, emails_human_clicked_count = 0, \
           last_email_human_opened_at = null, last_email_human_clicked_at = null",
        "sends set human_opens_count = 0, human_clicks_count = 0, human_opened_at = null, \
           human_clicked_at = null",
        "rollups set human_events_count = 0, human_firsts_count = 0",
        "link_rollups set human_clicks_count = 0",
    ] {
        database::execute(&url, &format!("update {change}")).unwrap();
    }
    let report = service.backend.command(&["verify"]).unwrap();
    assert!(report.starts_with("0 differences"), "{report}");
    assert_eq!(
        all(&api, "/events?type=email.clicked")[0]["verdict"],
        Value::Null
    );
    let report = service.backend.says(&["reclassify", "--json"]).unwrap();
    assert_eq!(
        report["changes"],
        json!([{"before": null, "after": "human", "events": 3}])
    );
    let after = (
        api.contact("ada@example.com").unwrap(),
        api.sent("snd-1").unwrap(),
    );
    assert_eq!(after, before);
    assert_all_is_as_judged_from_scratch(&service);
}
