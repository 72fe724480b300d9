//! However often and from however many sides an event arrives, it is there once, in events and in
//! every count.

use std::collections::BTreeSet;
use std::thread;

use kraiter_tests::api::Api;
use kraiter_tests::database;
use serde_json::json;

use crate::edge::{Edge, Mint, stranger, tokens};
use crate::service::{Service, all, counts, rewrite, texts};

/// Posts all batches from each of the edges at once, each in an order of its own, and sums the
/// answers up: accepted, duplicates, rejected.
fn post_from_all(edges: &[Edge], batches: &[String]) -> [u64; 3] {
    let sums: Vec<[u64; 3]> = thread::scope(|scope| {
        let post = |(number, edge): (usize, &'_ Edge)| {
            let mut order: Vec<&String> = batches.iter().collect();
            order.rotate_left(number % batches.len());
            if number % 2 == 1 {
                order.reverse();
            }
            let mut sum = [0; 3];
            for batch in order {
                let answer = edge.post(batch.as_str());
                for (sum, name) in sum.iter_mut().zip(["accepted", "duplicates", "rejected"]) {
                    *sum += answer[name].as_u64().unwrap();
                }
            }
            sum
        };
        let threads: Vec<_> = edges
            .iter()
            .enumerate()
            .map(|edge| scope.spawn(move || post(edge)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    sums.into_iter()
        .fold([0; 3], |[a, b, c], [x, y, z]| [a + x, b + y, c + z])
}

/// Sends of a few contacts, and batches in which their events are mixed and partly repeated.
struct Traffic {
    contacts: Vec<String>,
    batches: Vec<String>,
    /// Different opens and clicks of each contact.
    expected: Vec<[u64; 3]>,
    distinct: u64,
    lines: u64,
}

fn traffic(api: &Api, edge: &mut Edge) -> Traffic {
    let contacts: Vec<String> = (0..5)
        .map(|number| format!("c{number}@example.com"))
        .collect();
    let mut batches = vec![String::new(); 10];
    let mut expected = Vec::new();
    for (number, contact) in contacts.iter().enumerate() {
        let mail = rewrite(api, &format!("snd-{number}"), contact);
        let (pixel, clicks, _) = tokens(&mail);
        let mut counted = [1, 0, 0];
        for (at, batch) in batches.iter_mut().enumerate() {
            let opens = at + number;
            *batch += &edge.lines("o", &pixel, opens);
            let click = edge.line("c", &clicks[0]);
            // Twice in the same batch.
            *batch += &click;
            *batch += &click;
            counted[1] += opens as u64;
            counted[2] += 1;
        }
        expected.push(counted);
    }
    let lines = batches
        .iter()
        .map(|batch| batch.lines().count() as u64)
        .sum();
    let distinct = expected
        .iter()
        .map(|[_, opens, clicks]| opens + clicks)
        .sum();
    Traffic {
        contacts,
        batches,
        expected,
        distinct,
        lines,
    }
}

fn assert_counted(api: &Api, traffic: &Traffic) {
    for (number, (contact, expected)) in traffic.contacts.iter().zip(&traffic.expected).enumerate()
    {
        assert_eq!(&counts(api, contact), expected, "{contact}");
        let send = api.sent(&format!("snd-{number}")).unwrap();
        let [_, opens, clicks] = *expected;
        assert_eq!(
            (&send["opensCount"], &send["clicksCount"]),
            (&json!(opens), &json!(clicks))
        );
    }
    let seen = all(api, "/events?type=email.opened,email.clicked");
    let ids: BTreeSet<String> = texts(&seen, "id").into_iter().collect();
    assert_eq!(
        (seen.len() as u64, ids.len() as u64),
        (traffic.distinct, traffic.distinct)
    );
}

#[test]
fn the_same_batches_over_several_connections_at_once_are_counted_once() {
    let service = Service::start("duplicates");
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    let traffic = traffic(&api, &mut edge);
    let edges = vec![edge.clone(); 6];
    let [accepted, duplicates, rejected] = post_from_all(&edges, &traffic.batches);
    assert_eq!((accepted, rejected), (traffic.distinct, 0));
    assert_eq!(accepted + duplicates, 6 * traffic.lines);
    assert_counted(&api, &traffic);
    let again = post_from_all(&[edge], &traffic.batches);
    assert_eq!(again, [0, traffic.lines, 0]);
    assert_counted(&api, &traffic);
}

#[test]
fn two_backends_on_one_database_count_as_one() {
    let url = database::fresh().unwrap();
    let first = Service::on("twins-1", &url);
    let second = first.twin("twins-2", &url);
    let api = first.tenant("shop");
    let there = second.backend.reach(&api);
    let mut edge = Edge::of(&first, 1);
    let traffic = traffic(&api, &mut edge);
    let mut other = edge.clone();
    other.address = second.backend.address();
    let edges = [edge.clone(), other.clone(), edge, other];
    let [accepted, duplicates, rejected] = post_from_all(&edges, &traffic.batches);
    assert_eq!((accepted, rejected), (traffic.distinct, 0));
    assert_eq!(accepted + duplicates, 4 * traffic.lines);
    assert_counted(&api, &traffic);
    assert_counted(&there, &traffic);
    // And registering the same send on both at once.
    let mails: BTreeSet<String> = thread::scope(|scope| {
        let both =
            [&api, &there].map(|api| scope.spawn(|| rewrite(api, "snd-new", "new@example.com")));
        both.into_iter()
            .map(|thread| thread.join().unwrap().to_string())
            .collect()
    });
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(counts(&api, "new@example.com"), [1, 0, 0]);
}

#[test]
fn events_and_reports_on_the_same_contacts_do_not_hinder_each_other() {
    let service = Service::start("mixed-load");
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    let traffic = traffic(&api, &mut edge);
    let reports = |offset: usize| {
        for round in 0..20 {
            let send = format!("snd-{}", (round + offset) % traffic.contacts.len());
            let change = json!({"status": "delivered"});
            api.write("PATCH", &format!("/sends/{send}"), &change)
                .unwrap();
            // New contacts, among them placeholders, come and go into the same tables.
            rewrite(
                &api,
                &format!("snd-{offset}-{round}"),
                &format!("n{offset}@example.com"),
            );
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| reports(0));
        scope.spawn(|| reports(2));
        scope.spawn(|| post_from_all(&vec![edge.clone(); 2], &traffic.batches));
        scope.spawn(|| {
            let mint = Mint::of(&service, 1);
            let mut edge = Edge::of(&service, 2);
            for number in 0..20 {
                let token = mint.open(&format!("snd-lost-{}", number % 3), &stranger(number % 3));
                let line = edge.line("o", &token);
                for _ in 0..2 {
                    edge.post(line.as_str());
                }
            }
        });
    });
    for (number, [sent, opens, clicks]) in traffic.expected.iter().enumerate() {
        let contact = &traffic.contacts[number];
        assert_eq!(counts(&api, contact), [*sent, *opens, *clicks]);
        assert_eq!(
            api.sent(&format!("snd-{number}")).unwrap()["status"],
            "delivered"
        );
    }
    for offset in [0, 2] {
        assert_eq!(counts(&api, &format!("n{offset}@example.com")), [20, 0, 0]);
    }
    let lost: u64 = (0..3)
        .map(|number| counts(&api, &stranger(number))[1])
        .sum();
    assert_eq!(lost, 20);
}
