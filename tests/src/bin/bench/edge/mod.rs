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

/// Then all sides are started anew. Where the loader happened to put a process makes it up to a
/// tenth faster or slower for as long as it lives, so rounds of one start alone say little.
const ROUNDS_A_START: usize = 3;

/// Envoy has core 0 to itself; this process, with its load and its collector, has core 1.
const ENVOY_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// What one side did in all rounds, for one kind of request.
struct Series {
    task: Task,
    side: usize,
    name: &'static str,
    /// It stands beside ours in the report.
    limit: bool,
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
    let mut series: Vec<Series> = Vec::new();
    let mut delivered = 0;
    let rounds: Vec<usize> = (1..=config.rounds).collect();
    let starts = rounds.chunks(ROUNDS_A_START);
    let started = starts.len();
    for rounds in starts {
        let sides = Sides::start(envoy_core)?;
        if series.is_empty() {
            series = all_series(&sides)?;
        }
        for one in &mut series {
            one.shape = sides.shape(one.side, one.task)?;
            same_bytes(&sides, one)?;
            run(&sides, one, WARM_UP)?;
        }
        for round in rounds {
            for one in &mut series {
                let rate = measure_round(&sides, one, Duration::from_secs_f64(config.seconds))?;
                eprintln!(
                    "  round {round}/{}  {:<5}  {:<15}  {rate:>7.0} req/s",
                    config.rounds,
                    one.task.name(),
                    one.name,
                );
            }
        }
        delivered += sides.all_delivered()?;
    }
    let mut notes = vec![format!(
        "{cores} cores, one Envoy worker, {CONNECTIONS} connections, median of {} rounds of {} s \
         over {started} starts; {delivered} events delivered, none dropped; no access log but the \
         journal's",
        config.rounds, config.seconds
    )];
    notes.extend(costs(&series));
    Ok(Report {
        suite: "edge",
        findings: findings(&series),
        notes,
    })
}

/// Each side with each task, nothing measured yet.
fn all_series(sides: &Sides) -> Outcome<Vec<Series>> {
    let mut series = Vec::new();
    for task in Task::ALL {
        for side in 0..sides.envoys.len() {
            series.push(Series {
                task,
                side,
                name: sides.name(side),
                limit: !sides.records(side),
                shape: sides.shape(side, task)?,
                rounds: Vec::new(),
                micros: Vec::new(),
            });
        }
    }
    Ok(series)
}

/// Requests a second of one round; notes it, with what it cost the processor.
fn measure_round(sides: &Sides, one: &mut Series, duration: Duration) -> Outcome<f64> {
    let before = sides.processor_time(one.side)?;
    let answered = run(sides, one, duration)?;
    if let (Some(before), Some(after)) = (before, sides.processor_time(one.side)?) {
        let used = after.saturating_sub(before).as_secs_f64();
        one.micros.push(used * 1e6 / answered.requests as f64);
    }
    let rate = answered.per_second();
    one.rounds.push(rate);
    Ok(rate)
}

/// What a request costs the edge's processor on each side, to its delivered event where there is
/// one, and what the journal costs.
fn costs(series: &[Series]) -> Vec<String> {
    let mut notes = Vec::new();
    for task in Task::ALL {
        let side = |one: &Series| {
            let (rate, micros) = (median(one.rounds.clone()), median(one.micros.clone()));
            format!("{} {micros:.1} us ({rate:.0}/s)", one.name)
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
fn same_bytes(sides: &Sides, series: &Series) -> Outcome<()> {
    let ours = sides.shape(Sides::OURS, series.task)?;
    let shape = series.shape;
    if shape == ours {
        return Ok(());
    }
    let problem = format!(
        "{} answers a {} with {} bytes, the filter with {}",
        series.name,
        series.task.name(),
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

fn findings(series: &[Series]) -> Vec<Finding> {
    let ours = |task: Task| {
        let ours = |one: &&Series| one.task == task && one.side == Sides::OURS;
        let found = series.iter().find(ours);
        found.map_or(f64::NAN, |one| median(one.rounds.clone()))
    };
    let limits = series.iter().filter(|one| one.limit);
    limits
        .map(|limit| Finding {
            name: format!("{}/{}", limit.task.name(), limit.name),
            ours: ours(limit.task),
            limit: median(limit.rounds.clone()),
            unit: "req/s",
        })
        .collect()
}

/// A side that is not there.
fn no_side(side: usize) -> Trouble {
    Trouble::io(format!("measuring side {side}"))(std::io::Error::other("there is none"))
}
