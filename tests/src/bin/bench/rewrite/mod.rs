//! Suite `rewrite`: one mail read and signed beside `lol_html` passing the same bytes through, a
//! batch beside one mail after the other, and the whole HTTP call beside a server that echoes.

mod echo;
mod engine;
mod http;

use std::time::{Duration, Instant};

use kraiter_tests::config::BenchConfig;
use kraiter_tests::corpus::{self, Mail};
use kraiter_tests::trouble::Outcome;

use crate::report::{Finding, Report, median};
use engine::{Engine, pass_through};

/// A batch is measured over mails that are worth one.
const BATCH_BYTES: usize = 20_000;

pub(crate) fn measure(config: &BenchConfig) -> Outcome<Report> {
    let foreign = corpus::foreign()?;
    let whose = match foreign.is_empty() {
        true => "tests/corpus",
        false => "the folder KRAITER_CORPUS names",
    };
    let mails = match foreign.is_empty() {
        true => corpus::own()?,
        false => foreign,
    };
    let bytes: usize = mails.iter().map(|mail| mail.html.len()).sum();
    let mut notes = vec![format!(
        "{} mails, {} kB, of {whose}; one thread; median of {} interleaved rounds of {} s",
        mails.len(),
        bytes / 1000,
        config.rounds,
        config.seconds
    )];
    let mut findings = one_mail(config, &mails, &mut notes)?;
    findings.extend(batch(config, &mails, &mut notes)?);
    findings.extend(http::measure(config, &mails, &mut notes)?);
    Ok(Report {
        suite: "rewrite",
        findings,
        notes,
    })
}

/// MB/s over all mails, and in the notes over each folder of them.
fn one_mail(
    config: &BenchConfig,
    mails: &[Mail],
    notes: &mut Vec<String>,
) -> Outcome<Vec<Finding>> {
    let mut engine = Engine::new()?;
    let mut output = Vec::new();
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    let mut groups: Vec<Group<'_>> = Vec::new();
    for mail in mails {
        let name = mail.name.split_once('/').map_or("", |(folder, _)| folder);
        match groups.last_mut() {
            Some(group) if group.name == name => group.mails.push(mail),
            _ => groups.push(Group::new(name, mail)),
        }
    }
    let bytes: usize = groups.iter().map(Group::bytes).sum();
    let time = Duration::from_secs_f64(config.seconds);
    for round in 1..=config.rounds {
        let (mut our_time, mut limit_time) = (0.0, 0.0);
        let share = time.div_f64(groups.len() as f64);
        for group in &mut groups {
            let (rewriting, passing) = in_turns(
                share,
                || engine.rewrite_each(&group.mails),
                || pass_through(&group.mails, &mut output),
            )?;
            our_time += rewriting;
            limit_time += passing;
            group.ratios.push(passing / rewriting);
        }
        let megabytes = bytes as f64 / 1e6;
        let (our_rate, limit_rate) = (megabytes / our_time, megabytes / limit_time);
        eprintln!(
            "  round {round}/{}  one mail  {our_rate:>6.0} of {limit_rate:>6.0} MB/s",
            config.rounds
        );
        ours.push(our_rate);
        limit.push(limit_rate);
    }
    let shares = groups.into_iter().map(|group| {
        let name = if group.name.is_empty() {
            "."
        } else {
            group.name
        };
        format!("{name} {:.2}", median(group.ratios))
    });
    let shares: Vec<_> = shares.collect();
    notes.push(format!(
        "rewrite/passthrough by folder: {}",
        shares.join(", ")
    ));
    Ok(vec![Finding::new(
        "rewrite/passthrough",
        &ours,
        &limit,
        "MB/s",
    )])
}

/// The mails of one folder.
struct Group<'m> {
    name: &'m str,
    mails: Vec<&'m Mail>,
    ratios: Vec<f64>,
}

impl<'m> Group<'m> {
    fn new(name: &'m str, first: &'m Mail) -> Self {
        Self {
            name,
            mails: vec![first],
            ratios: Vec::new(),
        }
    }

    fn bytes(&self) -> usize {
        self.mails.iter().map(|mail| mail.html.len()).sum()
    }
}

fn batch(config: &BenchConfig, mails: &[Mail], notes: &mut Vec<String>) -> Outcome<Vec<Finding>> {
    let mails: Vec<_> = mails
        .iter()
        .filter(|mail| mail.html.len() >= BATCH_BYTES)
        .collect();
    if mails.is_empty() {
        notes.push(format!("no batch: no mail has {BATCH_BYTES} bytes"));
        return Ok(Vec::new());
    }
    let mut engine = Engine::new()?;
    let mut rounds: Vec<Vec<(f64, f64)>> = mails.iter().map(|_| Vec::new()).collect();
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    let time = Duration::from_secs_f64(config.seconds);
    let share = time.div_f64(mails.len() as f64);
    for round in 1..=config.rounds {
        // Seconds for one copy of each mail.
        let (mut our_time, mut limit_time) = (0.0, 0.0);
        for (mail, rounds) in mails.iter().zip(&mut rounds) {
            let (batched, single) = engine::batched_and_single(&mut engine, mail, share)?;
            our_time += batched;
            limit_time += single;
            rounds.push((batched, single));
        }
        let count = mails.len() as f64;
        eprintln!(
            "  round {round}/{}  batch  {:>6.0} beside {:>6.0} mails/s",
            config.rounds,
            count / our_time,
            count / limit_time
        );
        ours.push(count / our_time);
        limit.push(count / limit_time);
    }
    let ratios = mails.iter().zip(rounds).map(|(mail, rounds)| {
        let ratios = rounds.iter().map(|(batched, single)| single / batched);
        format!("{} {:.1}", mail.name, median(ratios.collect()))
    });
    let ratios: Vec<_> = ratios.collect();
    notes.push(format!("batch/one_by_one by mail: {}", ratios.join(", ")));
    Ok(vec![Finding::new(
        "batch/one_by_one",
        &ours,
        &limit,
        "mails/s",
    )])
}

/// Does one and the other over and over until each had about `time`; the seconds each took once.
/// What else the machine does meets both alike.
fn in_turns(
    time: Duration,
    mut one: impl FnMut() -> Outcome<()>,
    mut other: impl FnMut() -> Outcome<()>,
) -> Outcome<(f64, f64)> {
    let start = Instant::now();
    let (mut of_one, mut of_other, mut turns) = (Duration::ZERO, Duration::ZERO, 0);
    while turns < 3 || start.elapsed() < time * 2 {
        let began = Instant::now();
        one()?;
        let middle = Instant::now();
        other()?;
        of_one += middle - began;
        of_other += middle.elapsed();
        turns += 1;
    }
    let turns = f64::from(turns);
    Ok((of_one.as_secs_f64() / turns, of_other.as_secs_f64() / turns))
}
