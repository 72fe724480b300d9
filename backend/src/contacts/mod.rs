//! Contacts: recipients with their counters. Knows neither HTTP nor SQL.

pub(crate) mod http;
pub(crate) mod store;

use std::str::FromStr;

use kraiter_wire::ContactId;
use serde::Serialize;

use crate::clock::Timestamp;

/// RFC 5321 allows 254 characters between the angle brackets.
const MAX_EMAIL_BYTES: usize = 254;

/// A well-formed address. Two that differ in letter case only are the same contact: no mail
/// provider of weight tells them apart.
#[derive(Clone, Debug)]
pub(crate) struct Email {
    text: String,
    key: String,
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Email {}

impl std::hash::Hash for Email {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl Email {
    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What contacts are looked up by.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

impl FromStr for Email {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let options = email_address::Options::default()
            .without_display_text()
            .without_domain_literal()
            .with_required_tld();
        let parsed = email_address::EmailAddress::parse_with_options(text, options);
        match parsed {
            Ok(_) if text.len() <= MAX_EMAIL_BYTES && !text.contains(char::is_control) => {
                Ok(Self {
                    text: text.to_owned(),
                    key: text.to_lowercase(),
                })
            }
            Ok(_) => Err(format!("{text:?} is not an email address: it is too long")),
            Err(error) => {
                let why = error.to_string();
                Err(format!(
                    "{text:?} is not an email address: {}",
                    why.trim_end_matches('.')
                ))
            }
        }
    }
}

/// How a request names a contact: by address, or by the id that answers show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ContactRef {
    Email(Email),
    Id(ContactId),
}

impl FromStr for ContactRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains('@') && text.starts_with(ContactId::PREFIX) {
            return text
                .parse()
                .map(Self::Id)
                .map_err(|error| error.to_string());
        }
        text.parse().map(Self::Email)
    }
}

/// A recipient and what was counted.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) id: ContactId,
    /// `None` for a placeholder that an event made before the contact was known.
    pub(crate) email: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) emails_sent_count: i64,
    pub(crate) emails_opened_count: i64,
    pub(crate) emails_clicked_count: i64,
    pub(crate) emails_human_opened_count: i64,
    pub(crate) emails_human_clicked_count: i64,
    pub(crate) emails_machine_opened_count: i64,
    pub(crate) emails_machine_clicked_count: i64,
    pub(crate) last_email_sent_at: Option<Timestamp>,
    pub(crate) last_email_opened_at: Option<Timestamp>,
    pub(crate) last_email_clicked_at: Option<Timestamp>,
    pub(crate) last_email_human_opened_at: Option<Timestamp>,
    pub(crate) last_email_human_clicked_at: Option<Timestamp>,
    pub(crate) unsubscribed_at: Option<Timestamp>,
    /// When a mail to the contact first bounced or was complained about.
    pub(crate) suppressed_at: Option<Timestamp>,
    /// `None`: the contact was never asked, or never answered.
    pub(crate) consent: Option<Consent>,
}

/// Whether a contact agreed to being tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Consent {
    Given,
    Withdrawn,
}

impl Contact {
    /// One that nothing is known of.
    pub(crate) fn unknown(id: ContactId, now: Timestamp) -> Self {
        Self {
            id,
            email: None,
            created_at: now,
            emails_sent_count: 0,
            emails_opened_count: 0,
            emails_clicked_count: 0,
            emails_human_opened_count: 0,
            emails_human_clicked_count: 0,
            emails_machine_opened_count: 0,
            emails_machine_clicked_count: 0,
            last_email_sent_at: None,
            last_email_opened_at: None,
            last_email_clicked_at: None,
            last_email_human_opened_at: None,
            last_email_human_clicked_at: None,
            unsubscribed_at: None,
            suppressed_at: None,
            consent: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_compared_without_letter_case() {
        let key = |text: &str| text.parse::<Email>().map(|email| email.key);
        assert_eq!(key("Ada@Example.COM").unwrap(), "ada@example.com");
        assert!(key("ada+news@mail.example.co.uk").is_ok());
        assert!(key("jürgen@bücher.example").is_ok());
        for wrong in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "Ada <ada@example.com>",
            "ada@localhost",
        ] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
        assert!(key(&format!("{}@example.com", "a".repeat(64))).is_ok());
        assert!(key(&format!("a@{}.com", "b".repeat(260))).is_err());
    }

    #[test]
    fn a_contact_is_named_by_address_or_id() {
        let id = ContactId::from_bytes([1; 16]);
        assert_eq!(id.to_string().parse(), Ok(ContactRef::Id(id)));
        assert!(matches!(
            "con_x@example.com".parse(),
            Ok(ContactRef::Email(_))
        ));
        assert!("con_x".parse::<ContactRef>().is_err());
    }
}
