//! The whole call: HTTP, JSON, the registration in Postgres, signing. Beside a server of the same
//! kind that answers with the request's body, and a batch beside one call a mail.

use std::time::{Duration, Instant};

use kraiter_tests::api::Api;
use kraiter_tests::backend::{Backend, BackendOptions};
use kraiter_tests::config::BenchConfig;
use kraiter_tests::corpus::Mail;
use kraiter_tests::http::Request;
use kraiter_tests::load::{self, AnswerShape, Load};
use kraiter_tests::stack::{ANY_PORT, test_folder};
use kraiter_tests::trouble::{Outcome, Trouble};
use serde_json::json;

use super::echo;
use crate::report::Finding;

/// What a newsletter weighs; the mail that comes closest is sent.
const USUAL_BYTES: usize = 30_000;
const CONNECTIONS: usize = 8;
const CONTACTS: usize = 256;
/// Recipients of one batch call.
const RECIPIENTS: usize = 1000;
const WARM_UP: Duration = Duration::from_millis(500);

pub(super) fn measure(
    config: &BenchConfig,
    mails: &[Mail],
    notes: &mut Vec<String>,
) -> Outcome<Vec<Finding>> {
    let usual = mails
        .iter()
        .min_by_key(|mail| mail.html.len().abs_diff(USUAL_BYTES));
    let Some(mail) = usual else {
        return Ok(Vec::new());
    };
    let folder = test_folder("bench-rewrite")?;
    let mut backend = Backend::start(BackendOptions {
        data_dir: folder.join("data"),
        listen: ANY_PORT,
        database_url: None,
        env: Vec::new(),
        log: folder.join("backend.log"),
    })?;
    let api = backend.tenant("bench", "https://t.example.com")?;
    let result = rounds(config, mail, &api);
    backend.stop();
    let (ours, echoed, batched) = result?;
    // Only what succeeded is swept up: a failure's log is wanted.
    let sweeping = format!("removing {}", folder.display());
    std::fs::remove_dir_all(&folder).map_err(Trouble::io(sweeping))?;
    notes.push(format!(
        "whole calls: {} ({} kB), {CONNECTIONS} connections, every mail registered in the service's \
         own Postgres; batches of {RECIPIENTS} recipients on one connection",
        mail.name,
        mail.html.len() / 1000
    ));
    Ok(vec![
        Finding::new("rewrite_call/echo", &ours, &echoed, "req/s"),
        Finding::new("batch_call/rewrite_call", &batched, &ours, "mails/s"),
    ])
}

type Rates = (Vec<f64>, Vec<f64>, Vec<f64>);

/// Mails a second: one by one, echoed, in batches.
fn rounds(config: &BenchConfig, mail: &Mail, api: &Api) -> Outcome<Rates> {
    let echo = echo::start()?;
    let requests: Vec<_> = (0..CONTACTS)
        .map(|number| {
            let contact = contact(number);
            let body = json!({"contact": contact, "html": mail.html});
            Request::new("POST", "/rewrite")
                .header("authorization", format!("Bearer {}", api.key))
                .body("application/json", body.to_string())
        })
        .collect();
    let Some(first) = requests.first() else {
        return Ok(Rates::default());
    };
    let bytes: Vec<_> = requests.iter().map(|one| one.to_bytes(true)).collect();
    let load = |target, duration| -> Outcome<f64> {
        let trouble = Trouble::io(format!("calling {target}"));
        let mut answer = first.send(target).map_err(trouble)?;
        // Said only to those who send one request.
        answer.headers.retain(|(name, _)| name != "connection");
        let shape = AnswerShape::of(&answer);
        let answered = load::run(&Load {
            target,
            connections: CONNECTIONS,
            requests: &bytes,
            answer: shape,
            duration,
        })?;
        Ok(answered.per_second())
    };
    load(api.address, WARM_UP)?;
    load(echo, WARM_UP)?;
    let batch = batch_body(mail);
    let time = Duration::from_secs_f64(config.seconds);
    let mut rates = Rates::default();
    for round in 1..=config.rounds {
        let one_by_one = load(api.address, time)?;
        let echoed = load(echo, time)?;
        let batched = batches(api, &batch, time)?;
        eprintln!(
            "  round {round}/{}  whole call  {one_by_one:>6.0} of {echoed:>6.0} req/s, batch {batched:>6.0} mails/s",
            config.rounds
        );
        rates.0.push(one_by_one);
        rates.1.push(echoed);
        rates.2.push(batched);
    }
    Ok(rates)
}

/// Addresses of one length, so that all answers have one as well.
fn contact(number: usize) -> String {
    format!("reader{number:06}@example.com")
}

fn batch_body(mail: &Mail) -> String {
    let mut body = json!({"html": mail.html}).to_string();
    for number in 0..RECIPIENTS {
        body.push('\n');
        body.push_str(&json!({"contact": contact(number)}).to_string());
    }
    body
}

fn batches(api: &Api, body: &str, time: Duration) -> Outcome<f64> {
    let start = Instant::now();
    let mut mails = 0;
    loop {
        let request =
            Request::new("POST", "/rewrite/batch").body("application/x-ndjson", body.to_owned());
        let answer = api.send(request)?;
        let lines = answer.body.split(|byte| *byte == b'\n');
        let rewritten = lines
            .filter(|line| line.starts_with(b"{\"sendId\""))
            .count();
        if answer.status != 200 || rewritten != RECIPIENTS {
            return Err(Trouble::Answer {
                method: "POST".to_owned(),
                path: "/rewrite/batch".to_owned(),
                status: answer.status,
                body: answer.text().chars().take(500).collect(),
            });
        }
        mails += rewritten;
        let elapsed = start.elapsed();
        if elapsed >= time {
            return Ok(mails as f64 / elapsed.as_secs_f64());
        }
    }
}
