//! The simulated campaign played through a running stack: what people and machines did, beside what
//! the system says they did.
//!
//! Its mails are rewritten by the API. Its events are put into a journal with the times at which they
//! happened, so that two weeks pass in seconds, and `kraiter replay` posts them; a sample is
//! asked of Envoy itself.

mod mails;
mod report;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kraiter_wire::UnixMillis;
use serde_json::Value;

use crate::api::Api;
use crate::simulation::{Action, Campaign, Parameters};
use crate::stack::Stack;
use crate::trouble::{Outcome, Trouble};
use crate::wait;
use mails::{Mail, Mails};
pub use report::{Line, Report};

/// What is played, and who is told how far it is.
#[derive(Clone, Copy)]
pub struct Demo<'p> {
    /// 100,000 in the campaign as it is written down.
    pub recipients: u32,
    /// Recipients whose mail is opened and clicked through Envoy.
    pub live: u32,
    pub now: UnixMillis,
    /// What is done, how much of it, of how much.
    pub progress: &'p dyn Fn(&str, u64, u64),
}

/// How long the numbers have to stay the same to be taken for settled: verdicts that need
/// neighbours are corrected every few seconds.
const STILL: Duration = Duration::from_secs(12);
const LOOK: Duration = Duration::from_secs(2);

impl Demo<'_> {
    /// Plays everything and waits until it has arrived and is settled.
    pub fn play(&self, stack: &Stack, api: &Api) -> Outcome<Report> {
        let name = format!("demo-{}", self.now.0 / 1000);
        let campaign = self.campaign()?;
        let wanted: HashSet<_> = campaign
            .events
            .iter()
            .map(|event| (event.recipient, event.action))
            .collect();
        let mails = Mails {
            api,
            campaign: &name,
            links: campaign.parameters.links,
            progress: self.progress,
        };
        let tokens = mails.tokens(&campaign.sent_at, &wanted)?;
        let journal = self.journal(stack.folder(), &name, &campaign, |recipient, action| {
            tokens
                .get(&(recipient, action))
                .cloned()
                .unwrap_or_default()
        })?;
        replay(stack, &journal)?;
        let live = self.live(stack, &mails, &format!("{name}-live"))?;
        let reported = self.settled(api, &name, campaign.events.len() as u64)?;
        Ok(Report::new(&name, &campaign, &reported, live))
    }

    /// Two weeks that end now.
    fn campaign(&self) -> Outcome<Campaign> {
        let mut parameters = Parameters::made_with()?;
        parameters.recipients = self.recipients;
        let start = self.now.0 - parameters.days * 86_400_000;
        Campaign::play(parameters, UnixMillis(start))
    }

    fn journal(
        &self,
        folder: &Path,
        name: &str,
        campaign: &Campaign,
        token: impl FnMut(u32, Action) -> String,
    ) -> Outcome<PathBuf> {
        let path = folder.join(format!("{name}.ndjson"));
        let lines = campaign.lines(token).concat();
        std::fs::write(&path, lines).map_err(Trouble::io(format!("writing {}", path.display())))?;
        Ok(path)
    }

    /// Opens and clicks some mails through Envoy; how many events that are.
    fn live(&self, stack: &Stack, mails: &Mails<'_>, name: &str) -> Outcome<u64> {
        let mails = Mails {
            campaign: name,
            ..*mails
        };
        let sent = vec![self.now; self.live as usize];
        let mut asked = 0;
        mails.each(&sent, |_, mail: &Mail| {
            let urls = [&mail.pixel].into_iter().chain(mail.links.first());
            for url in urls {
                let answer = stack.envoy.get(stack.path_of(url)?)?;
                if !matches!(answer.status, 200 | 302) {
                    return Err(Trouble::Answer {
                        method: "GET".to_owned(),
                        path: url.clone(),
                        status: answer.status,
                        body: answer.text(),
                    });
                }
                asked += 1;
            }
            Ok(())
        })?;
        wait::until_or("the live events to be counted", || {
            let counted = count(&totals(mails.api, name)?, &["opens", "clicks"]);
            Ok(match counted {
                counted if counted == asked => Ok(()),
                counted => Err(format!("{counted} of {asked}")),
            })
        })?;
        Ok(asked)
    }

    /// The campaign's numbers once all events are there and none changes any more.
    fn settled(&self, api: &Api, name: &str, events: u64) -> Outcome<Value> {
        let (mut last, mut still) = (Value::Null, Duration::ZERO);
        while still < STILL {
            let now = totals(api, name)?;
            let counted = count(&now, &["opens", "clicks"]);
            if counted != events {
                let problem = format!("{counted} of {events} events of {name} were counted");
                return Err(Trouble::content(Path::new("/campaigns"), problem));
            }
            still = if now == last {
                still + LOOK
            } else {
                Duration::ZERO
            };
            last = now;
            (self.progress)("settling verdicts", still.as_secs(), STILL.as_secs());
            std::thread::sleep(LOOK);
        }
        Ok(last)
    }
}

fn totals(api: &Api, campaign: &str) -> Outcome<Value> {
    let answer = api.read(&format!("/campaigns/{campaign}"))?;
    Ok(answer.get("totals").cloned().unwrap_or_default())
}

fn count(totals: &Value, names: &[&str]) -> u64 {
    let number = |name: &&str| totals.get(name).and_then(Value::as_u64);
    names.iter().filter_map(number).sum()
}

/// With its own progress bar.
fn replay(stack: &Stack, journal: &Path) -> Outcome<()> {
    let to = format!("http://{}", stack.backend.address());
    let journal = journal.display().to_string();
    stack.backend.run_shown(&["replay", &journal, "--to", &to])
}
