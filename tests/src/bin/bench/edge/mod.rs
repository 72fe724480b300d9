//! Suite `edge`: requests a second that one Envoy worker answers with the filter, each recorded and
//! delivered, beside Envoy's own `direct_response` of the same bytes and beside a filter that only
//! answers.

mod sides;

use std::time::Duration;

use kraiter_tests::config::BenchConfig;
use kraiter_tests::load::{self, AnswerShape, Answered, Load};
use kraiter_tests::process::stay_on_core;
use kraiter_tests::trouble::{Outcome, Trouble};

use crate::report::{Finding, Report, median};
use sides::{Sides, Task};

/// Enough that the worker never waits for the load, few enough to stay in its caches.
const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_millis(700);

/// Envoy has core 0 to itself; this process, with its load and its collector, has core 1.
const ENVOY_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// What one side did in all rounds, for one kind of request.
struct Series {
    task: Task,
    side: usize,
    shape: AnswerShape,
    rounds: Vec<f64>,
    /// Of the edge's processor, for one request, delivery included.
    micros: Vec<f64>,
}

pub(crate) fn measure(config: &BenchConfig) -> Outcome<Report> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > LOAD_CORE {
        stay_on_core(LOAD_CORE)?;
    }
    let envoy_core = (cores > LOAD_CORE).then_some(ENVOY_CORE);
    let sides = Sides::start(envoy_core)?;
    let mut series = Vec::new();
    for task in Task::ALL {
        for side in 0..sides.envoys.len() {
            let shape = sides.shape(side, task)?;
            same_bytes(&sides, task, side, shape)?;
            series.push(Series {
                task,
                side,
                shape,
                rounds: Vec::new(),
                micros: Vec::new(),
            });
        }
    }
    for one in &series {
        run(&sides, one, WARM_UP)?;
    }
    for round in 1..=config.rounds {
        for one in &mut series {
            let before = sides.processor_time(one.side)?;
            let answered = run(&sides, one, Duration::from_secs_f64(config.seconds))?;
            if let (Some(before), Some(after)) = (before, sides.processor_time(one.side)?) {
                let used = after.saturating_sub(before).as_secs_f64();
                one.micros.push(used * 1e6 / answered.requests as f64);
            }
            let rate = answered.per_second();
            eprintln!(
                "  round {round}/{}  {:<5}  {:<15}  {rate:>7.0} req/s",
                config.rounds,
                one.task.name(),
                sides.name(one.side),
            );
            one.rounds.push(rate);
        }
    }
    let delivered = sides.all_delivered()?;
    let mut notes = vec![format!(
        "{cores} cores, one Envoy worker, {CONNECTIONS} connections, median of {} rounds of {} s; \
         {delivered} events delivered, none dropped; no access log but the journal's",
        config.rounds, config.seconds
    )];
    notes.extend(costs(&sides, &series));
    Ok(Report {
        suite: "edge",
        findings: findings(&sides, &series),
        notes,
    })
}

/// What a request costs the edge's processor on each side, to its delivered event where there is
/// one, and what the journal costs.
fn costs(sides: &Sides, series: &[Series]) -> Vec<String> {
    let mut notes = Vec::new();
    for task in Task::ALL {
        let side = |one: &Series| {
            let (rate, micros) = (median(one.rounds.clone()), median(one.micros.clone()));
            format!("{} {micros:.1} us ({rate:.0}/s)", sides.name(one.side))
        };
        let ours = series.iter().filter(|one| one.task == task);
        let sides: Vec<String> = ours.map(side).collect();
        notes.push(format!(
            "processor time for one {}, its delivered event included: {}",
            task.name(),
            sides.join(", ")
        ));
    }
    notes
}

/// A comparison of answers of different lengths would say nothing.
fn same_bytes(sides: &Sides, task: Task, side: usize, shape: AnswerShape) -> Outcome<()> {
    let ours = sides.shape(Sides::OURS, task)?;
    if shape == ours {
        return Ok(());
    }
    let problem = format!(
        "{} answers a {} with {} bytes, the filter with {}",
        sides.name(side),
        task.name(),
        shape.bytes,
        ours.bytes
    );
    Err(Trouble::io("comparing answers")(std::io::Error::other(
        problem,
    )))
}

/// Loads one side; of our own, all that was answered must also have been delivered.
fn run(sides: &Sides, series: &Series, duration: Duration) -> Outcome<Answered> {
    let answered = load::run(&Load {
        target: sides.address(series.side)?,
        connections: CONNECTIONS,
        requests: sides.requests(series.task),
        answer: series.shape,
        duration,
    })?;
    sides.note_answers(series.side, answered.requests);
    sides.all_delivered()?;
    Ok(answered)
}

fn findings(sides: &Sides, series: &[Series]) -> Vec<Finding> {
    let rate = |task: Task, side: usize| {
        let mut found = series
            .iter()
            .filter(|one| one.task == task && one.side == side);
        found
            .next()
            .map_or(f64::NAN, |one| median(one.rounds.clone()))
    };
    let mut findings = Vec::new();
    for task in Task::ALL {
        for limit in (0..sides.envoys.len()).filter(|side| !sides.records(*side)) {
            findings.push(Finding {
                name: format!("{}/{}", task.name(), sides.name(limit)),
                ours: rate(task, Sides::OURS),
                limit: rate(task, limit),
                unit: "req/s",
            });
        }
    }
    findings
}

/// A side that is not there.
fn no_side(side: usize) -> Trouble {
    Trouble::io(format!("measuring side {side}"))(std::io::Error::other("there is none"))
}
