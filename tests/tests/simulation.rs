//! The simulated campaign is what its description says.

use std::collections::{BTreeMap, HashSet};

use kraiter_tests::simulation::{Action, Campaign, Parameters, Truth};
use kraiter_wire::{EventLine, UnixMillis};

const START: UnixMillis = UnixMillis(1_790_000_000_000);

fn small(mut parameters: Parameters) -> Parameters {
    parameters.recipients = 10_000;
    parameters
}

#[test]
fn the_same_parameters_give_the_same_events() {
    let play = |seed| {
        let mut parameters = small(Parameters::made_with().unwrap());
        parameters.seed = seed;
        Campaign::play(parameters, START).unwrap().events
    };
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
}

#[test]
fn lines_carry_the_time_and_the_signals_of_their_events_and_ids_of_their_own() {
    let campaign = Campaign::play(small(Parameters::held_out().unwrap()), START).unwrap();
    let lines = campaign.lines(|recipient, _| format!("token-{recipient}"));
    assert_eq!(lines.len(), campaign.events.len());
    let mut ids = HashSet::new();
    for (line, event) in lines.iter().zip(&campaign.events) {
        let read = EventLine::parse(line.trim_ascii_end()).unwrap();
        assert_eq!(read.id.time(), event.at);
        assert_eq!(
            read.signals.user_agent.as_deref(),
            event.user_agent.as_deref()
        );
        assert_eq!(read.signals.ip.unwrap(), event.ip.to_string());
        assert_eq!(read.token, format!("token-{}", event.recipient));
        assert!(ids.insert(read.id));
    }
}

#[test]
fn both_campaigns_hold_people_and_every_kind_of_machine() {
    for parameters in [
        Parameters::made_with().unwrap(),
        Parameters::held_out().unwrap(),
    ] {
        let campaign = Campaign::play(parameters, START).unwrap();
        let mut opens: BTreeMap<(Truth, &str), usize> = BTreeMap::new();
        let mut clicks = opens.clone();
        for event in &campaign.events {
            let counts = match event.action {
                Action::Open => &mut opens,
                Action::Click(_) => &mut clicks,
            };
            *counts.entry((event.truth, &event.cause)).or_default() += 1;
        }
        println!(
            "{}: {} events",
            campaign.parameters.name,
            campaign.events.len()
        );
        println!("  opens  {opens:?}\n  clicks {clicks:?}");
        assert!(opens[&(Truth::Human, "person")] > 10_000);
        assert!(clicks[&(Truth::Human, "person")] > 2_000);
        let machines = clicks.keys().filter(|(truth, _)| *truth == Truth::Machine);
        assert_eq!(machines.count(), 9, "seven scanners, previews, browsers");
        assert!(campaign.events.is_sorted_by_key(|event| event.at));
    }
}
