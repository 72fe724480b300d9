//! Suite `query`: look-ups among ten million events while others are ingested, beside `SELECT 1` at the
//! same time and beside the same look-ups among a hundredth of the events; the first page of a search;
//! and what an index on counters, which a search could use, would cost ingest.
//!
//! Look-ups are whole HTTP requests, their API key checked. `SELECT 1` comes twice: as a prepared
//! statement on an open connection, without HTTP around it, and as `GET /readyz`, a statement as small,
//! through the service and its pool. All are one at a time.

mod edges;
mod side;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kraiter_tests::config::BenchConfig;
use kraiter_tests::database::{Cluster, Durability};
use kraiter_tests::stack::test_folder;
use kraiter_tests::trouble::{Outcome, Trouble};

use crate::report::{Finding, Report, median};
use edges::Edges;
use side::{Side, failed};

/// How many times fewer events the small database has.
const SMALLER: usize = 100;
/// One page of a search, asked for this often.
const SEARCHES: usize = 15;
/// What a search finds one contact in.
const SELECTIVITY: f64 = 1000.0;

/// Microseconds of single requests.
#[derive(Default)]
struct Times {
    select: Vec<f64>,
    ready: Vec<f64>,
    contact: Vec<f64>,
    send: Vec<f64>,
}

impl Times {
    fn take_turn(&mut self, side: &mut Side) -> Outcome<()> {
        self.select.push(side.select_1()?);
        self.ready.push(side.ready()?);
        self.contact.push(side.contact()?);
        self.send.push(side.send()?);
        Ok(())
    }
}

pub(crate) fn measure(config: &BenchConfig) -> Outcome<Report> {
    let cluster = Cluster::start(Durability::Full)?;
    let folder = test_folder("bench-query")?;
    let mut small = Side::start(
        &cluster,
        &folder,
        "small",
        config.stored_events.div_ceil(SMALLER),
    )?;
    let mut large = Side::start(&cluster, &folder, "large", config.stored_events)?;
    // Every page that was just written goes to disk before anything is measured.
    large.settle()?;
    let turns = Duration::from_secs_f64(config.seconds * config.rounds as f64);
    let mut warm_up = Times::default();
    let (mut of_small, mut of_large) = (Times::default(), Times::default());
    let start = Instant::now();
    while start.elapsed() < turns / 4 {
        warm_up.take_turn(&mut small)?;
        warm_up.take_turn(&mut large)?;
    }
    eprintln!("  look-ups, nothing else going on");
    let start = Instant::now();
    while start.elapsed() < turns {
        of_small.take_turn(&mut small)?;
        of_large.take_turn(&mut large)?;
    }
    eprintln!("  look-ups while events are ingested");
    let mut edges = Edges::of(&mut large)?;
    let (under_load, ingested) = while_ingesting(&mut large, &mut edges, turns)?;
    eprintln!("  searching");
    let (threshold, share) = large.threshold(SELECTIVITY)?;
    let searching = search(&mut large, threshold)?;
    eprintln!("  ingesting with and without an index on a counter");
    let index = index_costs(&mut large, &mut edges, config)?;
    let looked_up_by_index = large.search_by_index(threshold, SEARCHES)?;
    large.run("drop index contacts_by_clicks")?;

    let Times {
        select,
        ready,
        contact,
        send,
    } = under_load;
    let findings = vec![
        Finding::new("contact/select_1", &contact, &select, "us"),
        Finding::new("send/select_1", &send, &select, "us"),
        Finding::new("contact/readyz", &contact, &ready, "us"),
        Finding::new("send/readyz", &send, &ready, "us"),
        Finding::new(
            "contact: all/hundredth",
            &of_large.contact,
            &of_small.contact,
            "us",
        ),
        Finding::new("send: all/hundredth", &of_large.send, &of_small.send, "us"),
        Finding::new("search: scan/index", &searching, &looked_up_by_index, "us"),
        Finding::new(
            "ingest: index/none",
            &index.with,
            &index.without,
            "events/s",
        ),
    ];
    let (select, asked) = (median(select.clone()), select.len());
    let notes = vec![
        format!(
            "{} events, {} sends, {} contacts, and a hundredth of each; medians of {asked} turns in \
             which one of each is asked",
            large.set.sends + large.set.edge_events,
            large.set.sends,
            large.set.contacts,
        ),
        format!(
            "SELECT 1: {select:.0} us while {ingested:.0} events/s are ingested, {:.0} us without",
            median(of_large.select)
        ),
        format!(
            "search: the first 100 of the contacts with {threshold} clicks or more, one in {share:.0}, \
             as a whole request; by an index: only the statement, with the index on clicks there",
        ),
        format!(
            "with that index {:.0} % of the updates of contacts are heap-only, without {:.0} %",
            index.heap_only_with * 100.0,
            index.heap_only_without * 100.0
        ),
    ];
    drop((small, large));
    let sweeping = format!("removing {}", folder.display());
    std::fs::remove_dir_all(&folder).map_err(Trouble::io(sweeping))?;
    Ok(Report {
        suite: "query",
        findings,
        notes,
    })
}

/// Turns of look-ups while one connection posts batch after batch; and how many events a second
/// those were.
fn while_ingesting(side: &mut Side, edges: &mut Edges, time: Duration) -> Outcome<(Times, f64)> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ingesting = scope.spawn(|| edges.post_until(|| done.load(Ordering::Relaxed)));
        let start = Instant::now();
        let mut times = Times::default();
        let mut result = Ok(());
        while start.elapsed() < time && result.is_ok() && !ingesting.is_finished() {
            result = times.take_turn(side);
        }
        done.store(true, Ordering::Relaxed);
        let rate = ingesting.join();
        let rate = rate.unwrap_or_else(|_| Err(failed("the thread of an edge failed")))?;
        result.map(|()| (times, rate))
    })
}

fn search(side: &mut Side, threshold: i64) -> Outcome<Vec<f64>> {
    (0..SEARCHES).map(|_| side.search(threshold)).collect()
}

struct IndexCosts {
    with: Vec<f64>,
    without: Vec<f64>,
    heap_only_with: f64,
    heap_only_without: f64,
}

/// Ingests as fast as one edge can, in rounds with an index on a counter and rounds without. The
/// index is there when this returns.
fn index_costs(side: &mut Side, edges: &mut Edges, config: &BenchConfig) -> Outcome<IndexCosts> {
    let time = Duration::from_secs_f64(config.seconds * 2.0);
    let ingest = |side: &mut Side, edges: &mut Edges| -> Outcome<(f64, f64)> {
        let before = side.updates()?;
        let start = Instant::now();
        let rate = edges.post_until(|| start.elapsed() >= time)?;
        let after = side.updates()?;
        Ok((rate, (after.1 - before.1) / (after.0 - before.0).max(1.0)))
    };
    let mut costs = IndexCosts {
        with: Vec::new(),
        without: Vec::new(),
        heap_only_with: 0.0,
        heap_only_without: 0.0,
    };
    side.run("create index contacts_by_clicks on contacts (tenant_id, emails_clicked_count)")?;
    for round in 1..=config.rounds {
        side.run("drop index contacts_by_clicks")?;
        let (rate, heap_only) = ingest(side, edges)?;
        costs.without.push(rate);
        costs.heap_only_without = heap_only;
        side.run("create index contacts_by_clicks on contacts (tenant_id, emails_clicked_count)")?;
        let (with, heap_only) = ingest(side, edges)?;
        costs.with.push(with);
        costs.heap_only_with = heap_only;
        eprintln!(
            "  round {round}/{}  {with:>7.0} with, {rate:>7.0} events/s without",
            config.rounds
        );
    }
    Ok(costs)
}
