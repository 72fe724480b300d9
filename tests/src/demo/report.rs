//! What happened beside what was reported.

use std::collections::HashSet;
use std::fmt;

use serde_json::Value;

use super::count;
use crate::simulation::{Action, Campaign, Truth};

/// One number of the campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub what: &'static str,
    pub truth: u64,
    pub reported: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub campaign: String,
    pub lines: Vec<Line>,
    /// Events that went through Envoy.
    pub live: u64,
}

impl Report {
    pub(super) fn new(name: &str, campaign: &Campaign, reported: &Value, live: u64) -> Self {
        let is_open = |action| action == Action::Open;
        let events = |open: bool, by: Option<Truth>| {
            campaign.events.iter().filter(move |event| {
                is_open(event.action) == open && by.is_none_or(|by| event.truth == by)
            })
        };
        let happened = |open, by| events(open, by).count() as u64;
        let sends = |open, by| {
            let sends: HashSet<_> = events(open, by).map(|event| event.recipient).collect();
            sends.len() as u64
        };
        let (human, machine) = (Some(Truth::Human), Some(Truth::Machine));
        let lines = [
            ("mails sent", campaign.sent_at.len() as u64, "sent"),
            ("opens", happened(true, None), "opens"),
            ("  by people", happened(true, human), "humanOpens"),
            ("  by machines", happened(true, machine), "machineOpens"),
            ("mails opened", sends(true, None), "uniqueOpens"),
            ("  by people", sends(true, human), "uniqueHumanOpens"),
            ("clicks", happened(false, None), "clicks"),
            ("  by people", happened(false, human), "humanClicks"),
            ("  by machines", happened(false, machine), "machineClicks"),
            ("mails clicked", sends(false, None), "uniqueClicks"),
            ("  by people", sends(false, human), "uniqueHumanClicks"),
        ];
        let lines = lines.map(|(what, truth, name)| Line {
            what,
            truth,
            reported: count(reported, &[name]),
        });
        Self {
            campaign: name.to_owned(),
            lines: lines.into(),
            live,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "campaign {}", self.campaign)?;
        writeln!(out, "{:<16}{:>12}{:>12}", "", "happened", "reported")?;
        for Line {
            what,
            truth,
            reported,
        } in &self.lines
        {
            writeln!(out, "{what:<16}{truth:>12}{reported:>12}")?;
        }
        write!(
            out,
            "and {} events asked of Envoy, all of them counted",
            self.live
        )
    }
}
