//! Segments: contacts by conditions on their metrics, found by Postgres and judged one by one.

use std::collections::BTreeSet;

use kraiter_tests::api::Api;
use kraiter_tests::database;
use serde_json::{Value, json};

use crate::edge::now;
use crate::service::{Service, register, texts};

const COUNTS: [&str; 7] = [
    "emailsSentCount",
    "emailsOpenedCount",
    "emailsClickedCount",
    "emailsHumanOpenedCount",
    "emailsHumanClickedCount",
    "emailsMachineOpenedCount",
    "emailsMachineClickedCount",
];
const TIMES: [&str; 8] = [
    "lastEmailHumanOpenedAt",
    "lastEmailHumanClickedAt",
    "createdAt",
    "lastEmailSentAt",
    "lastEmailOpenedAt",
    "lastEmailClickedAt",
    "unsubscribedAt",
    "suppressedAt",
];

/// Contacts of the first tenant whose metrics are small random numbers, half of them missing.
const RANDOM_CONTACTS: &str = "select setseed(0.5);
    insert into contacts (tenant_id, id, email, email_key, created_at, emails_sent_count,
      emails_opened_count, emails_clicked_count, last_email_sent_at, last_email_opened_at,
      last_email_clicked_at, unsubscribed_at, suppressed_at, tracking_consent,
      emails_human_opened_count, emails_human_clicked_count, emails_machine_opened_count,
      emails_machine_clicked_count, last_email_human_opened_at, last_email_human_clicked_at)
    select 1, gen_random_uuid(), e, lower(e), t + d * floor(random() * 4), floor(random() * 4),
      floor(random() * 4), floor(random() * 4),
      case when random() < 0.5 then t + d * floor(random() * 4) end,
      case when random() < 0.5 then t + d * floor(random() * 4) end,
      case when random() < 0.5 then t + d * floor(random() * 4) end,
      case when random() < 0.5 then t + d * floor(random() * 4) end,
      case when random() < 0.5 then t + d * floor(random() * 4) end,
      case when random() < 0.6 then random() < 0.5 end,
      floor(random() * 4), floor(random() * 4), floor(random() * 4), floor(random() * 4),
      case when random() < 0.5 then t + d * floor(random() * 4) end,
      case when random() < 0.5 then t + d * floor(random() * 4) end
    from (select case when n % 5 > 0 then 'Person' || n || '@example.com' end as e,
        date_trunc('day', now()) - interval '4 days' as t, interval '1 day' as d
      from generate_series(1, 30) as n) as people";

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    fn condition(&mut self, times: &[String]) -> Value {
        let (property, operator, value) = match self.roll(4) {
            0 => {
                let all =
                    "equals notEquals greaterThan greaterThanOrEqual lessThan lessThanOrEqual";
                let all: Vec<_> = all.split(' ').collect();
                (self.pick(&COUNTS), self.pick(&all), json!(self.roll(5)))
            }
            1 => {
                let operator = self.pick(&["equals", "notEquals", "before", "after", "withinLast"]);
                let value = match operator {
                    "withinLast" => json!(self.pick(&["30m", "60h", "2d", "1w"])),
                    _ => json!(times[self.roll(times.len())]),
                };
                (self.pick(&TIMES), operator, value)
            }
            2 => {
                let operator = self.pick(&["equals", "notEquals"]);
                match self.roll(2) {
                    0 => ("email", operator, json!("PERSON7@example.com")),
                    _ => {
                        let value = self.pick(&["given", "withdrawn"]);
                        ("trackingConsent", operator, json!(value))
                    }
                }
            }
            _ => {
                let all = [&COUNTS[..], &TIMES[..], &["email", "trackingConsent"]].concat();
                (
                    self.pick(&all),
                    self.pick(&["exists", "notExists"]),
                    Value::Null,
                )
            }
        };
        json!({"property": format!("contact.{property}"), "operator": operator, "value": value})
    }
}

fn search(api: &Api, conditions: &Value, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let body = json!({"conditions": conditions, "limit": limit, "cursor": cursor});
        let mut page = api.write("POST", "/contacts/search", &body).unwrap();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        cursor = page["nextCursor"].take();
        if cursor.is_null() {
            return items;
        }
    }
}

/// What a condition means, read off the contact as the API shows it.
fn holds(condition: &Value, contact: &Value, now: u64) -> bool {
    let name = condition["property"].as_str().unwrap();
    let own = &contact[name.trim_start_matches("contact.")];
    let value = &condition["value"];
    let operator = condition["operator"].as_str().unwrap();
    let numbers = own.as_i64().zip(value.as_i64());
    // Times are all written alike, so their texts are in their order.
    let texts = own.as_str().zip(value.as_str());
    match operator {
        "exists" => !own.is_null(),
        "notExists" => own.is_null(),
        "equals" => texts.map_or(own == value, |(own, value)| own.eq_ignore_ascii_case(value)),
        "notEquals" => texts.map_or(own != value, |(own, value)| {
            !own.eq_ignore_ascii_case(value)
        }),
        "greaterThan" => numbers.is_some_and(|(own, value)| own > value),
        "greaterThanOrEqual" => numbers.is_some_and(|(own, value)| own >= value),
        "lessThan" => numbers.is_some_and(|(own, value)| own < value),
        "lessThanOrEqual" => numbers.is_some_and(|(own, value)| own <= value),
        "before" => texts.is_some_and(|(own, value)| own < value),
        "after" => texts.is_some_and(|(own, value)| own > value),
        "withinLast" => texts.is_some_and(|(own, value)| {
            let (number, unit) = value.split_at(value.len() - 1);
            let unit = match unit {
                "m" => 1,
                "h" => 60,
                "d" => 24 * 60,
                _ => 7 * 24 * 60,
            };
            let reach = number.parse::<u64>().unwrap() * unit * 60_000;
            (now - reach..=now).contains(&millis(own))
        }),
        other => panic!("{other}"),
    }
}

fn millis(time: &str) -> u64 {
    let time: jiff::Timestamp = time.parse().unwrap();
    time.as_millisecond() as u64
}

#[test]
fn a_search_finds_exactly_the_contacts_that_match() {
    let url = database::fresh().unwrap();
    let service = Service::on("segments", &url);
    let api = service.tenant("shop");
    database::execute(&url, RANDOM_CONTACTS).unwrap();
    let everyone = search(&api, &json!([]), 7);
    assert_eq!(everyone.len(), 30);
    let times = texts(&everyone, "createdAt");
    let mut dice = Dice(1);
    let mut found_some = 0;
    for _ in 0..80 {
        let conditions: Vec<Value> = (0..=dice.roll(2)).map(|_| dice.condition(&times)).collect();
        let conditions = json!(conditions);
        let found = search(&api, &conditions, 7);
        let ids: BTreeSet<String> = texts(&found, "id").into_iter().collect();
        assert_eq!(ids.len(), found.len(), "twice: {conditions}");
        found_some += usize::from(!ids.is_empty() && ids.len() < everyone.len());
        for contact in &everyone {
            let id = contact["id"].as_str().unwrap();
            let all = conditions.as_array().unwrap();
            let meant = all.iter().all(|one| holds(one, contact, now().0));
            assert_eq!(meant, ids.contains(id), "{contact} {conditions}");
            let path = format!("/contacts/{id}/match");
            let body = json!({"conditions": conditions});
            let answer = api.write("POST", &path, &body).unwrap();
            assert_eq!(answer["matches"], meant, "{contact} {conditions}");
        }
    }
    assert!(found_some > 20, "{found_some}");
}

#[test]
fn a_missing_value_is_equal_to_nothing() {
    let service = Service::start("segments-missing");
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    let at = "2026-01-31T09:30:00Z";
    for (operator, value, expected) in [
        ("equals", json!(at), 0),
        ("before", json!(at), 0),
        ("after", json!(at), 0),
        ("withinLast", json!("7d"), 0),
        ("exists", Value::Null, 0),
        ("notEquals", json!(at), 1),
        ("notExists", Value::Null, 1),
    ] {
        let property = "contact.lastEmailOpenedAt";
        let conditions = json!([{"property": property, "operator": operator, "value": value}]);
        assert_eq!(search(&api, &conditions, 10).len(), expected, "{operator}");
    }
}

#[test]
fn each_mistake_names_its_place() {
    let service = Service::start("segments-bad");
    let api = service.tenant("shop");
    let good = json!({"property": "contact.email", "operator": "exists"});
    for (property, operator, value, field, code) in [
        ("opens", "equals", json!(1), "property", "invalid_value"),
        (
            "contact.emailsSentCount",
            "like",
            json!(1),
            "operator",
            "invalid_value",
        ),
        (
            "contact.emailsSentCount",
            "before",
            json!(1),
            "operator",
            "invalid_value",
        ),
        (
            "contact.emailsSentCount",
            "equals",
            json!("1"),
            "value",
            "wrong_type",
        ),
        (
            "contact.emailsSentCount",
            "equals",
            Value::Null,
            "value",
            "missing_field",
        ),
        (
            "contact.createdAt",
            "after",
            json!("monday"),
            "value",
            "invalid_value",
        ),
        (
            "contact.createdAt",
            "withinLast",
            json!("7x"),
            "value",
            "invalid_value",
        ),
        (
            "contact.email",
            "equals",
            json!("ada"),
            "value",
            "invalid_email",
        ),
        (
            "contact.email",
            "exists",
            json!(true),
            "value",
            "invalid_value",
        ),
    ] {
        let bad = json!({"property": property, "operator": operator, "value": value});
        let body = json!({"conditions": [good, bad]});
        let answer = api.post("/contacts/search", &body).unwrap();
        assert_eq!(answer.status, 422, "{}", answer.text());
        let problem = answer.json();
        assert_eq!(
            problem["field"],
            format!("conditions[1].{field}"),
            "{problem}"
        );
        assert_eq!(problem["code"], code, "{problem}");
    }
    let many = vec![good; 21];
    for (body, field) in [
        (json!({"conditions": many}), "conditions"),
        (json!({"conditions": [], "limit": 0}), "limit"),
        (json!({"conditions": [], "limit": 1001}), "limit"),
        (json!({"conditions": [], "cursor": "x"}), "cursor"),
    ] {
        let answer = api.post("/contacts/search", &body).unwrap();
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (422, &json!(field))
        );
    }
}

/// That many contacts of the first tenant, with ids in the order of their numbers.
fn contacts_in_order(count: u32) -> String {
    format!(
        "insert into contacts (tenant_id, id, created_at, emails_opened_count)
         select 1, ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, now(), n
         from generate_series(1, {count}) as n"
    )
}

#[test]
fn pages_neither_repeat_nor_hide_a_contact_while_counts_move() {
    let url = database::fresh().unwrap();
    let service = Service::on("segments-moving", &url);
    let api = service.tenant("shop");
    database::execute(&url, &contacts_in_order(100)).unwrap();
    let conditions = json!([{"property": "contact.emailsOpenedCount", "operator": "greaterThan",
        "value": 50}]);
    let mut found = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let body = json!({"conditions": conditions, "limit": 7, "cursor": cursor});
        let mut page = api.write("POST", "/contacts/search", &body).unwrap();
        found.extend(texts(page["items"].as_array().unwrap(), "id"));
        cursor = page["nextCursor"].take();
        if cursor.is_null() {
            break;
        }
        // Whoever met the conditions goes on to meet them, at other counts.
        let move_on = "update contacts set emails_opened_count = 1000 - emails_opened_count
            where emails_opened_count > 50";
        database::execute(&url, move_on).unwrap();
    }
    assert_eq!(found.len(), 50);
    assert!(found.is_sorted());
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 50);
}

#[test]
fn a_page_may_end_before_anything_is_found_and_says_where_to_go_on() {
    let url = database::fresh().unwrap();
    let service = Service::on("segments-far", &url);
    let api = service.tenant("shop");
    let count = 260_000;
    database::execute(&url, &contacts_in_order(count)).unwrap();
    let opened = |operator: &str, value: u32| {
        json!({"property": "contact.emailsOpenedCount",
        "operator": operator, "value": value})
    };
    let last = json!({"conditions": [opened("equals", count)]});
    let mut page = api.write("POST", "/contacts/search", &last).unwrap();
    assert_eq!(page["items"], json!([]));
    let next =
        json!({"conditions": [opened("equals", count)], "cursor": page["nextCursor"].take()});
    let page = api.write("POST", "/contacts/search", &next).unwrap();
    assert_eq!(page["items"][0]["emailsOpenedCount"], count);
    assert_eq!(page["nextCursor"], Value::Null);
    // Across the chunks that one request reads, too, everything is found once and in order.
    let each = json!([opened("greaterThan", 24_990), opened("lessThan", 25_010)]);
    let found = search(&api, &each, 6);
    let counts: Vec<_> = found
        .iter()
        .map(|contact| &contact["emailsOpenedCount"])
        .collect();
    assert_eq!(counts, (24_991..25_010).collect::<Vec<u32>>());
}

#[test]
fn a_search_that_the_database_cannot_answer_says_so() {
    let url = database::fresh().unwrap();
    let service = Service::on("segments-slow", &url);
    let api = service.tenant("shop");
    let locked = std::thread::spawn(move || {
        let lock = "begin; lock table contacts; select pg_sleep(8); commit";
        database::execute(&url, lock).unwrap();
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    let answer = api
        .post("/contacts/search", &json!({"conditions": []}))
        .unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["code"], "query_too_slow");
    assert_eq!(answer.header("retry-after").as_deref(), Some("5"));
    locked.join().unwrap();
    api.write("POST", "/contacts/search", &json!({"conditions": []}))
        .unwrap();
}
