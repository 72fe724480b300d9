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

/// A round of a side is made of so many turns, the other sides' turns in between: this machine's
/// speed changes from one second to the next.
const TURNS: u32 = 5;

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
            measure_round(&sides, &mut series, Duration::from_secs_f64(config.seconds))?;
            for one in &series {
                let rate = one.rounds.last().copied().unwrap_or_default();
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
         each, in {TURNS} turns a round, over {started} starts; {delivered} events delivered, none dropped; no access log but the \
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

/// What one side did in the turns of one round.
#[derive(Clone, Copy, Default)]
struct Turns {
    requests: u64,
    elapsed: Duration,
    /// Of the edge's processor.
    used: Option<Duration>,
}

/// One round of all sides, turn by turn.
fn measure_round(sides: &Sides, series: &mut [Series], duration: Duration) -> Outcome<()> {
    let mut round = vec![Turns::default(); series.len()];
    for _ in 0..TURNS {
        for (one, turns) in series.iter().zip(&mut round) {
            let before = sides.processor_time(one.side)?;
            let answered = run(sides, one, duration / TURNS)?;
            turns.requests += answered.requests;
            turns.elapsed += answered.elapsed;
            if let (Some(before), Some(after)) = (before, sides.processor_time(one.side)?) {
                *turns.used.get_or_insert_default() += after.saturating_sub(before);
            }
        }
    }
    for (one, turns) in series.iter_mut().zip(round) {
        let requests = turns.requests as f64;
        one.rounds.push(requests / turns.elapsed.as_secs_f64());
        let micros = turns.used.map(|used| used.as_secs_f64() * 1e6 / requests);
        one.micros.extend(micros);
    }
    Ok(())
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
    let limits = series.iter().filter(|one| one.limit);
    let beside = |limit: &Series| {
        let ours = |one: &&Series| one.task == limit.task && one.side == Sides::OURS;
        let ours = series.iter().find(ours)?;
        let name = format!("{}/{}", limit.task.name(), limit.name);
        Some(Finding::new(name, &ours.rounds, &limit.rounds, "req/s"))
    };
    limits.filter_map(beside).collect()
}

/// A side that is not there.
fn no_side(side: usize) -> Trouble {
    Trouble::io(format!("measuring side {side}"))(std::io::Error::other("there is none"))
}
