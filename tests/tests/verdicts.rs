//! How well rules about machines do on simulated campaigns, whose truth is known.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, HashMap};

use kraiter_backend::verdicts::{
    self, Action, Lines, Lists, OfSend, OfSource, Reason, Reasons, Rules, Seen, Verdict,
};
use kraiter_tests::simulation::{self, Campaign, Parameters, SimulatedEvent, Truth};
use kraiter_wire::UnixMillis;

const START: UnixMillis = UnixMillis(1_790_000_000_000);

fn rules() -> Rules {
    Rules::new(Lists::built_in().unwrap()).unwrap()
}

fn action(event: &SimulatedEvent) -> Action {
    match event.action {
        simulation::Action::Open => Action::Open,
        simulation::Action::Click(_) => Action::Click,
    }
}

fn alone(rules: &Rules, campaign: &Campaign, event: &SimulatedEvent) -> Reasons {
    let seen = Seen {
        action: action(event),
        at: event.at,
        sent_at: Some(campaign.sent_at[event.recipient as usize]),
        ip: Some(event.ip),
        user_agent: event.user_agent.as_deref(),
        purposes: [event.sec_purpose, None, None, None],
    };
    rules.judge(&seen, &Lines::default())
}

/// By what is given, for each event.
type Marks = Vec<Reasons>;

/// Judges the events at these positions among all that are known by their neighbours.
fn settle(events: &[&SimulatedEvent], marks: &mut Marks, lines: &Lines) {
    let mut sends: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut sources: HashMap<_, Vec<usize>> = HashMap::new();
    for (position, event) in events.iter().enumerate() {
        sends.entry(event.recipient).or_default().push(position);
        let one_address = verdicts::of_one_address(Some(event.ip));
        if let (Action::Click, Some(ip)) = (action(event), one_address) {
            let source = (ip, event.user_agent.clone());
            sources.entry(source).or_default().push(position);
        }
    }
    for positions in sends.values() {
        let of_send: Vec<_> = positions
            .iter()
            .map(|position| {
                let event = events[*position];
                OfSend {
                    action: action(event),
                    at: event.at,
                    link: match event.action {
                        simulation::Action::Open => -1,
                        simulation::Action::Click(link) => link.into(),
                    },
                    ip: Some(event.ip),
                    user_agent: event.user_agent.as_deref(),
                }
            })
            .collect();
        for (position, burst) in positions.iter().zip(verdicts::bursts(&of_send, lines)) {
            marks[*position] = marks[*position].with(Reason::Burst, burst);
        }
    }
    for positions in sources.values() {
        let of_source: Vec<_> = positions
            .iter()
            .map(|position| OfSource {
                at: events[*position].at,
                contact: u128::from(events[*position].recipient).to_be_bytes(),
            })
            .collect();
        let many = verdicts::many_recipients(&of_source, lines);
        for (position, many) in positions.iter().zip(many) {
            marks[*position] = marks[*position].with(Reason::ManyRecipients, many);
        }
    }
}

#[derive(Default)]
struct Score {
    found: f64,
    wrongly: f64,
    missed: f64,
    people: f64,
    suspected: f64,
}

impl Score {
    fn precision(&self) -> f64 {
        self.found / (self.found + self.wrongly)
    }

    fn recall(&self) -> f64 {
        self.found / (self.found + self.missed)
    }

    /// The share of people's events that were taken from them.
    fn people_lost(&self) -> f64 {
        self.wrongly / self.people
    }
}

/// Scores of opens and clicks, printed with what was missed by cause.
fn measure(parameters: Parameters) -> (Score, Score) {
    let campaign = Campaign::play(parameters, START).unwrap();
    let rules = rules();
    let events: Vec<_> = campaign.events.iter().collect();
    let mut marks: Marks = events
        .iter()
        .map(|event| alone(&rules, &campaign, event))
        .collect();
    settle(&events, &mut marks, &Lines::default());
    let mut scores = [Score::default(), Score::default()];
    let mut by_cause: BTreeMap<_, [u32; 3]> = BTreeMap::new();
    for (event, reasons) in events.iter().zip(&marks) {
        let verdict = reasons.verdict();
        let is_click = action(event) == Action::Click;
        let score = &mut scores[usize::from(is_click)];
        let slot = match (verdict, event.truth) {
            (Verdict::Machine, Truth::Machine) => &mut score.found,
            (Verdict::Machine, Truth::Human) => &mut score.wrongly,
            (_, Truth::Machine) => &mut score.missed,
            (Verdict::Suspect, Truth::Human) => &mut score.suspected,
            (Verdict::Human, Truth::Human) => &mut 0.0,
        };
        *slot += 1.0;
        score.people += f64::from(u8::from(event.truth == Truth::Human));
        let key = (is_click, event.truth, event.cause.to_string());
        by_cause.entry(key).or_default()[verdict.number() as usize - 1] += 1;
    }
    println!(
        "{}, seed {}",
        campaign.parameters.name, campaign.parameters.seed
    );
    let [opens, clicks] = scores;
    for (name, score) in [("opens", &opens), ("clicks", &clicks)] {
        println!(
            "  {name}: precision {:.4}, recall {:.4}; of people's {}: {:.2} % called a machine's, {} suspected",
            score.precision(),
            score.recall(),
            score.people,
            100.0 * score.people_lost(),
            score.suspected,
        );
    }
    for ((is_click, truth, cause), [human, machine, suspect]) in by_cause {
        let kind = if is_click { "clicks" } else { "opens" };
        println!(
            "    {kind} {truth:?} {cause}: human {human}, machine {machine}, suspect {suspect}"
        );
    }
    (opens, clicks)
}

#[test]
fn machines_are_found_in_the_campaign_the_rules_were_made_with() {
    let (opens, clicks) = measure(Parameters::made_with().unwrap());
    assert!(clicks.precision() >= 0.97 && clicks.recall() >= 0.95);
    assert!(opens.precision() >= 0.95 && opens.recall() >= 0.90);
}

#[test]
fn machines_are_found_in_a_second_different_campaign() {
    let (opens, clicks) = measure(Parameters::held_out().unwrap());
    assert!(clicks.precision() >= 0.95 && clicks.recall() >= 0.90);
    assert!(opens.precision() >= 0.85 && opens.recall() >= 0.85);
}

/// One row of `tests/user-agents/table.toml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    who: String,
    documented: String,
    action: String,
    verdict: String,
    reasons: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    ip: Option<std::net::IpAddr>,
    #[serde(default = "an_hour")]
    after_ms: u64,
    user_agents: Vec<String>,
}

fn an_hour() -> u64 {
    3_600_000
}

#[derive(serde::Deserialize)]
struct Table {
    group: Vec<Group>,
}

#[test]
fn user_agents_are_judged_as_the_table_says() {
    let table: Table = toml::from_str(include_str!("../user-agents/table.toml")).unwrap();
    let rules = rules();
    let mut wrong = Vec::new();
    let mut judged = 0;
    for group in &table.group {
        assert!(!group.documented.is_empty(), "{}", group.who);
        let header = |name: &str| group.headers.get(name).map(String::as_str);
        let known = ["sec-purpose", "purpose", "x-purpose", "x-moz"];
        assert!(
            group
                .headers
                .keys()
                .all(|name| known.contains(&name.as_str()))
        );
        for user_agent in &group.user_agents {
            let seen = Seen {
                action: match group.action.as_str() {
                    "open" => Action::Open,
                    "click" => Action::Click,
                    other => panic!("{}: action {other}", group.who),
                },
                at: UnixMillis(START.0 + group.after_ms),
                sent_at: Some(START),
                ip: group.ip,
                user_agent: (!user_agent.is_empty()).then_some(user_agent),
                purposes: known.map(header),
            };
            let reasons = rules.judge(&seen, &Lines::default());
            let names: Vec<_> = reasons.iter().map(Reason::as_str).collect();
            let verdict = reasons.verdict().as_str();
            if verdict != group.verdict || names != group.reasons {
                wrong.push(format!(
                    "{}: {user_agent:?} is {verdict} by {names:?}",
                    group.who
                ));
            }
            judged += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(judged >= 150, "{judged}");
    println!("{judged} User-Agents in {} groups", table.group.len());
}

/// Judges in pieces: after each piece only what it touches is judged anew, its sends and its
/// sources, from everything that has arrived so far.
fn settle_in_pieces(events: &[&SimulatedEvent], arrival: &[usize], piece: usize) -> Marks {
    let lines = Lines::default();
    let mut marks = vec![Reasons::default(); events.len()];
    let mut arrived: Vec<usize> = Vec::new();
    for piece in arrival.chunks(piece) {
        arrived.extend(piece);
        let touched = |event: &SimulatedEvent| {
            piece.iter().any(|new| {
                let new = events[*new];
                let same_source = (new.ip, &new.user_agent) == (event.ip, &event.user_agent);
                new.recipient == event.recipient || same_source
            })
        };
        // The neighbours of what is touched are needed to judge it, and keep their own marks.
        let judged: Vec<usize> = arrived
            .iter()
            .copied()
            .filter(|at| touched(events[*at]))
            .collect();
        let known: Vec<_> = arrived.iter().map(|at| events[*at]).collect();
        let mut anew: Marks = arrived.iter().map(|at| marks[*at]).collect();
        settle(&known, &mut anew, &lines);
        for (at, reasons) in arrived.iter().zip(anew) {
            match judged.contains(at) {
                true => marks[*at] = reasons,
                false => assert_eq!(marks[*at], reasons, "a mark changed without being touched"),
            }
        }
    }
    marks
}

#[test]
fn verdicts_do_not_depend_on_order_or_grouping() {
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};
    let mut parameters = Parameters::made_with().unwrap();
    parameters.recipients = 600;
    // Enough of one vendor that its addresses serve many recipients.
    parameters.sending_minutes = 2;
    let campaign = Campaign::play(parameters, START).unwrap();
    let events: Vec<_> = campaign.events.iter().collect();
    let mut at_once = vec![Reasons::default(); events.len()];
    settle(&events, &mut at_once, &Lines::default());
    assert!(at_once.iter().any(|reasons| reasons.has(Reason::Burst)));
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    for _ in 0..12 {
        let mut arrival: Vec<usize> = (0..events.len()).collect();
        arrival.shuffle(&mut rng);
        let piece = rng.random_range(20..400);
        assert_eq!(
            settle_in_pieces(&events, &arrival, piece),
            at_once,
            "pieces of {piece}"
        );
    }
}
