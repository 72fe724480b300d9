//! Ingest: from a batch of event lines to rows and counters, exactly once.
//!
//! `batch` verifies lines, `judging` says who made an event, `queue` groups the events of many requests, `store` writes a group in
//! one transaction. Nothing that an edge says about identity is taken on trust: tenant, send,
//! contact and URL come out of the signed token.

pub(crate) mod batch;
mod deltas;
mod group;
pub(crate) mod http;
mod insertion;
mod judging;
mod lone_clicks;
mod policy;
mod queue;
mod rollup_changes;
mod store;
mod strangers;

use std::net::IpAddr;

use kraiter_wire::{ContactId, Day, EventId, TenantId};

use crate::events::EventType;
use crate::verdicts::{Reasons, Verdict};

pub(crate) use queue::{IngestQueue, Load, Writing};

/// One event that an edge saw, verified.
#[derive(Clone, Debug)]
pub(crate) struct EdgeEvent {
    pub(crate) tenant: TenantId,
    pub(crate) id: EventId,
    pub(crate) kind: EventType,
    pub(crate) contact: ContactId,
    pub(crate) send: String,
    /// The day on which the send was registered.
    pub(crate) day: Day,
    pub(crate) click: Option<Click>,
    pub(crate) signals: Signals,
    /// What the event says by itself about who made it; of opens and clicks.
    pub(crate) reasons: Option<Reasons>,
}

impl EdgeEvent {
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.reasons.map(Reasons::verdict)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Click {
    pub(crate) index: u32,
    pub(crate) url: String,
}

/// What verdicts are made from, as far as edge and tenant keep it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    pub(crate) ip: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
    pub(crate) accept_language: Option<String>,
    pub(crate) sec_purpose: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) x_purpose: Option<String>,
    pub(crate) x_moz: Option<String>,
}

/// Why a line is not stored. Counted by name in answers and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rejection {
    /// Not an event line.
    Malformed,
    /// The token does not verify.
    BadToken,
    /// The line says one kind and its token another.
    KindMismatch,
    /// More than an hour ahead of this clock.
    ClockSkew,
    /// The event or its send is older than the tenant's retention.
    TooOld,
    /// The mail is older than the tenant records events on.
    PastRecordingAge,
    /// The tenant does not exist here.
    UnknownTenant,
    /// The tenant has switched tracking off.
    TrackingOff,
    /// The contact has withdrawn its consent to being tracked.
    NoConsent,
    /// The contact was erased.
    Erased,
}

impl Rejection {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadToken => "bad_token",
            Self::KindMismatch => "kind_mismatch",
            Self::ClockSkew => "clock_skew",
            Self::TooOld => "too_old",
            Self::PastRecordingAge => "past_recording_age",
            Self::UnknownTenant => "unknown_tenant",
            Self::TrackingOff => "tracking_off",
            Self::NoConsent => "no_consent",
            Self::Erased => "erased",
        }
    }
}
