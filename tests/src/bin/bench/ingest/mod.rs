//! Suite `ingest`: events a second from `POST /ingest` to their commit, beside a plain `COPY` of the
//! same rows into a copy of the same table on the same Postgres.
//!
//! A million contacts, one send each, one event a send, in random order: no two events of a round
//! share a row, and no page is likely to be in a processor's cache. Then, on the same sends again and by turns,
//! half as much with a webhook that takes every event and without any, and judged and not judged.

mod judging;
mod postgres;
mod webhook;
mod writers;

use kraiter_tests::backend::{Backend, BackendOptions};
use kraiter_tests::config::BenchConfig;
use kraiter_tests::data_set::DataSet;
use kraiter_tests::database::{Cluster, Durability};
use kraiter_tests::stack::{ANY_PORT, test_folder};
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_wire::Day;

use crate::report::{Finding, Report, median};
use judging::Judging;
use postgres::Postgres;
use webhook::{Turns, Webhook};
use writers::Pen;

const DATABASE: &str = "kraiter";
/// Where in the suite's folder the first service keeps its keys.
const DATA: &str = "data";
/// Before the first round, so that caches are warm and statements prepared.
const WARM_UP_EVENTS: usize = 20_000;

#[derive(Default)]
struct Rounds {
    ours: Vec<f64>,
    copied: Vec<f64>,
    /// Microseconds of processor time for one event.
    backend: Vec<f64>,
    postgres: Vec<f64>,
    copying: Vec<f64>,
}

pub(crate) fn measure(config: &BenchConfig) -> Outcome<Report> {
    let cluster = Cluster::start(Durability::Full)?;
    cluster.migrated(DATABASE)?;
    let url = cluster.url(DATABASE)?;
    let folder = test_folder("bench-ingest")?;
    let backend = Backend::start(BackendOptions {
        data_dir: folder.join(DATA),
        listen: ANY_PORT,
        database_url: Some(url.clone()),
        env: vec![
            // Where the suite's own receiver is.
            ("KRAITER_WEBHOOK_ALLOW_PRIVATE".into(), "127.0.0.0/8".into()),
            // Once an hour it reads all there is; it would start amid the first rounds.
            ("KRAITER_RETENTION_INTERVAL".into(), "0".into()),
        ],
        log: folder.join("backend.log"),
    })?;
    backend.tenant("bench", "https://t.example")?;
    let (contacts, events) = (config.contacts, config.events);
    let now = writers::now();
    let set = DataSet {
        seed: 1,
        contacts: contacts as u64,
        sends: contacts as u64,
        edge_events: contacts as u64,
        campaigns: 20,
        from: now.0 - 20 * Day::MILLIS,
        until: now.0 - Day::MILLIS,
    };
    set.load(&url, 1)?;
    let mut postgres = Postgres::connect(&url)?;
    postgres.prepare_copy()?;
    let sends = postgres.sends(WARM_UP_EVENTS + config.rounds * events)?;
    let mut pen = Pen::new(&backend, sends)?;
    let mut rounds = Rounds::default();
    round(&backend, &mut postgres, &mut pen, WARM_UP_EVENTS, None)?;
    for number in 1..=config.rounds {
        round(&backend, &mut postgres, &mut pen, events, Some(&mut rounds))?;
        let last = |series: &[f64]| series.last().copied().unwrap_or_default();
        eprintln!(
            "  round {number}/{}  {:>7.0} of {:>7.0} events/s",
            config.rounds,
            last(&rounds.ours),
            last(&rounds.copied)
        );
    }
    let (turns, half) = (Turns::default(), events / 2);
    let turns = with_and_without_webhook(&backend, &mut postgres, config.rounds, half, turns)?;
    let mut pen = Pen::aside(&backend, postgres.sends(2 * config.rounds * half + 1)?)?;
    // It is idle from now on and would settle what another one is busy with.
    drop(backend);
    let mut judging = Judging::start(&folder, &url)?;
    for number in 1..=config.rounds {
        judging.round(&mut postgres, &mut pen, number, half)?;
    }
    let report = judging.verified()?;
    if report.get("differences") != Some(&0.into()) {
        return Err(Trouble::content(&folder, format!("verify: {report}")));
    }
    let mut notes = notes(config, &rounds, &mut postgres)?;
    notes.push(turns.note());
    let judged = judging.finding();
    drop(judging);
    let sweeping = format!("removing {}", folder.display());
    std::fs::remove_dir_all(&folder).map_err(Trouble::io(sweeping))?;
    Ok(Report {
        suite: "ingest",
        findings: vec![
            Finding::new("ingest/copy", &rounds.ours, &rounds.copied, "events/s"),
            judged,
            turns.finding(),
        ],
        notes,
    })
}

fn with_and_without_webhook(
    backend: &Backend,
    postgres: &mut Postgres,
    rounds: usize,
    events: usize,
    mut turns: Turns,
) -> Outcome<Turns> {
    let webhook = Webhook::new(backend, events)?;
    let mut pen = Pen::again(backend, postgres.sends(2 * rounds * events)?)?;
    for number in 1..=rounds {
        webhook.round(&mut pen, number, &mut turns)?;
    }
    Ok(turns)
}

/// The same events through the service and as a copy. Which goes first makes no difference: they
/// write to different tables.
fn round(
    backend: &Backend,
    postgres: &mut Postgres,
    pen: &mut Pen,
    events: usize,
    rounds: Option<&mut Rounds>,
) -> Outcome<()> {
    let first = pen.next_id();
    let requests = pen.write(events)?;
    let (of_backend, of_postgres) = (backend.processor_time(), postgres.processor_time());
    let ours = writers::post(backend.address(), &requests)?;
    let used_backend = backend.processor_time().saturating_sub(of_backend);
    let after = postgres.processor_time();
    let used_postgres = after.saturating_sub(of_postgres);
    let (copied, rows) = postgres.copy_since(first)?;
    let copying = postgres.processor_time().saturating_sub(after);
    if rows != events as u64 {
        let problem = format!("{rows} rows of {events} events were stored");
        return Err(Trouble::io("copying a round")(std::io::Error::other(
            problem,
        )));
    }
    if let Some(rounds) = rounds {
        let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6 / events as f64;
        rounds.ours.push(events as f64 / ours.as_secs_f64());
        rounds.copied.push(events as f64 / copied.as_secs_f64());
        rounds.backend.push(micros(used_backend));
        rounds.postgres.push(micros(used_postgres));
        rounds.copying.push(micros(copying));
    }
    Ok(())
}

fn notes(config: &BenchConfig, rounds: &Rounds, postgres: &mut Postgres) -> Outcome<Vec<String>> {
    let bytes = postgres.bytes_per_event()?;
    let micros = |series: &[f64]| median(series.to_vec());
    Ok(vec![
        format!(
            "{} contacts, a send each, {} events stored before; {} events a round, {} events a \
             request, {} connections; synchronous_commit and fsync on; median of {} rounds",
            config.contacts,
            2 * config.contacts,
            config.events,
            writers::BATCH,
            writers::CONNECTIONS,
            config.rounds
        ),
        format!(
            "processor time for one event: backend {:.1} us, Postgres {:.1} us; a copied row {:.1} us \
             (reading it out again included); an event takes {bytes:.0} bytes on disk, indexes \
             included",
            micros(&rounds.backend),
            micros(&rounds.postgres),
            micros(&rounds.copying),
        ),
        "kraiter verify: 0 differences".to_owned(),
    ])
}
