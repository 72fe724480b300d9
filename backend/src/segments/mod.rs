//! Segments: conditions on a contact's metrics, all of which must hold.
//!
//! A [`Condition`] has a meaning for every contact, so nothing can go wrong once it is parsed; the
//! same meaning is given twice, here for one contact and in `store.rs` for Postgres. Knows neither
//! HTTP nor SQL.
//!
//! What is missing is equal to nothing and neither before nor after anything: a comparison with it
//! is false, and `notEquals` alone is true.

pub(crate) mod http;
mod parse;
mod store;
mod value;

use crate::clock::Timestamp;
use crate::contacts::{Consent, Contact, Email};

/// Something that a contact is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Count(Count, Comparison, i64),
    Time(Moment, TimeTest),
    Email(Equality, Email),
    Consent(Equality, Consent),
    Presence(Property, Presence),
}

/// Everything that a condition can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    Count(Count),
    Time(Moment),
    Email,
    Consent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Sent,
    Opened,
    Clicked,
    HumanOpened,
    HumanClicked,
    MachineOpened,
    MachineClicked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Created,
    LastSent,
    LastOpened,
    LastClicked,
    LastHumanOpened,
    LastHumanClicked,
    Unsubscribed,
    Suppressed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Equality {
    Equal,
    NotEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Exists,
    NotExists,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeTest {
    Is(Equality, Timestamp),
    Before(Timestamp),
    After(Timestamp),
    /// Both included. `withinLast` ends now: a time ahead of the clock is not in it.
    Within(Timestamp, Timestamp),
}

impl Condition {
    pub(crate) fn holds(&self, contact: &Contact) -> bool {
        match self {
            Self::Count(count, comparison, value) => comparison.holds(count.of(contact), *value),
            Self::Time(moment, test) => test.holds(moment.of(contact)),
            Self::Email(equality, email) => {
                let own = contact.email.as_deref().map(str::to_lowercase);
                equality.holds(own.as_deref(), email.key())
            }
            Self::Consent(equality, consent) => equality.holds(contact.consent, *consent),
            Self::Presence(property, presence) => {
                property.is_present(contact) == (*presence == Presence::Exists)
            }
        }
    }
}

impl Property {
    fn is_present(self, contact: &Contact) -> bool {
        match self {
            Self::Count(_) => true,
            Self::Time(moment) => moment.of(contact).is_some(),
            Self::Email => contact.email.is_some(),
            Self::Consent => contact.consent.is_some(),
        }
    }
}

impl Count {
    fn of(self, contact: &Contact) -> i64 {
        match self {
            Self::Sent => contact.emails_sent_count,
            Self::Opened => contact.emails_opened_count,
            Self::Clicked => contact.emails_clicked_count,
            Self::HumanOpened => contact.emails_human_opened_count,
            Self::HumanClicked => contact.emails_human_clicked_count,
            Self::MachineOpened => contact.emails_machine_opened_count,
            Self::MachineClicked => contact.emails_machine_clicked_count,
        }
    }
}

impl Moment {
    fn of(self, contact: &Contact) -> Option<Timestamp> {
        match self {
            Self::Created => Some(contact.created_at),
            Self::LastSent => contact.last_email_sent_at,
            Self::LastOpened => contact.last_email_opened_at,
            Self::LastClicked => contact.last_email_clicked_at,
            Self::LastHumanOpened => contact.last_email_human_opened_at,
            Self::LastHumanClicked => contact.last_email_human_clicked_at,
            Self::Unsubscribed => contact.unsubscribed_at,
            Self::Suppressed => contact.suppressed_at,
        }
    }
}

impl Comparison {
    fn holds(self, own: i64, value: i64) -> bool {
        match self {
            Self::Equal => own == value,
            Self::NotEqual => own != value,
            Self::Greater => own > value,
            Self::GreaterOrEqual => own >= value,
            Self::Less => own < value,
            Self::LessOrEqual => own <= value,
        }
    }
}

impl Equality {
    fn holds<T: PartialEq>(self, own: Option<T>, value: T) -> bool {
        (own == Some(value)) == (self == Self::Equal)
    }
}

impl TimeTest {
    fn holds(self, own: Option<Timestamp>) -> bool {
        match self {
            Self::Is(equality, time) => equality.holds(own, time),
            Self::Before(time) => own.is_some_and(|own| own < time),
            Self::After(time) => own.is_some_and(|own| own > time),
            Self::Within(from, to) => own.is_some_and(|own| from <= own && own <= to),
        }
    }
}
