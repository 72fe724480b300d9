//! `make demo`: the simulated campaign through the stack that has just been started.

use std::time::SystemTime;

use indicatif::{ProgressBar, ProgressStyle};
use kraiter_tests::api::Api;
use kraiter_tests::config;
use kraiter_tests::demo::Demo;
use kraiter_tests::stack::Stack;
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_wire::UnixMillis;

/// Mails that are opened and clicked through Envoy.
const LIVE: u32 = 50;

pub(crate) fn play(stack: &Stack, access: &Api) -> Outcome<()> {
    let bar = bar();
    let demo = Demo {
        recipients: config::demo_recipients()? as u32,
        live: LIVE,
        now: now()?,
        progress: &|what, done, all| {
            bar.set_message(what.to_owned());
            bar.set_length(all);
            bar.set_position(done);
            if done == all {
                bar.finish_and_clear();
                bar.reset();
            }
        },
    };
    let report = demo.play(stack, access)?;
    bar.finish_and_clear();
    println!();
    for line in report.to_string().lines() {
        println!("  {line}");
    }
    println!();
    println!(
        "What happened is known, since it is simulated: people, mail clients that load images"
    );
    println!("in advance, scanners that follow every link. Look at it in the dashboard:");
    println!(
        "  http://{}/dashboard#/campaigns/{}",
        access.address, report.campaign
    );
    println!("  signed in with {}", access.key);
    println!("or ask the API:");
    let key = format!("-H 'authorization: Bearer {}'", access.key);
    let campaign = &report.campaign;
    let api = access.address;
    for path in [
        format!("campaigns/{campaign}"),
        format!("stats/links?campaign={campaign}"),
        format!("sends/{campaign}-0"),
    ] {
        println!("  curl -s 'http://{api}/{path}' {key}");
    }
    println!();
    Ok(())
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("    {msg:<18} [{bar:40}] {pos}/{len}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

#[expect(
    clippy::disallowed_methods,
    reason = "the campaign ends at the time at which it is played"
)]
fn now() -> Outcome<UnixMillis> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since =
        since.map_err(|error| Trouble::io("reading the clock")(std::io::Error::other(error)))?;
    Ok(UnixMillis(since.as_millis() as u64))
}
