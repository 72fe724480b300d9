//! The audit log: who changed settings and keys, and who did what to a person's data. Knows neither
//! HTTP nor SQL.
//!
//! It holds no personal data itself: a contact stands in it as a keyed hash, and free text is left
//! out. An entry is written in the transaction of what it tells of.

pub(crate) mod http;
pub(crate) mod store;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use kraiter_wire::TenantId;
use serde_json::Value;
use uuid::Uuid;

use crate::api_keys::KeyName;

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A caller of the API.
    ApiKey(KeyName),
    /// Whoever runs the command line.
    Operator,
    /// The service by itself.
    Service,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(key) => key.fmt(f),
            Self::Operator => f.write_str("operator"),
            Self::Service => f.write_str("service"),
        }
    }
}

/// What was done. Names are public API and keep their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    TenantCreated,
    SettingsChanged,
    ApiKeyCreated,
    ApiKeyRevoked,
    ConsentGiven,
    ConsentWithdrawn,
    ContactErased,
    ContactExported,
    BlockSet,
    BlockLifted,
    RetentionApplied,
    PartitionDropped,
    WebhookCreated,
    WebhookChanged,
    WebhookDeleted,
    WebhookSecretRotated,
    WebhookPaused,
    WebhookResumed,
    WebhookReplayed,
}

impl Action {
    pub(crate) const ALL: [Self; 19] = [
        Self::TenantCreated,
        Self::SettingsChanged,
        Self::ApiKeyCreated,
        Self::ApiKeyRevoked,
        Self::ConsentGiven,
        Self::ConsentWithdrawn,
        Self::ContactErased,
        Self::ContactExported,
        Self::BlockSet,
        Self::BlockLifted,
        Self::RetentionApplied,
        Self::PartitionDropped,
        Self::WebhookCreated,
        Self::WebhookChanged,
        Self::WebhookDeleted,
        Self::WebhookSecretRotated,
        Self::WebhookPaused,
        Self::WebhookResumed,
        Self::WebhookReplayed,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TenantCreated => "tenant.created",
            Self::SettingsChanged => "settings.changed",
            Self::ApiKeyCreated => "api_key.created",
            Self::ApiKeyRevoked => "api_key.revoked",
            Self::ConsentGiven => "consent.given",
            Self::ConsentWithdrawn => "consent.withdrawn",
            Self::ContactErased => "contact.erased",
            Self::ContactExported => "contact.exported",
            Self::BlockSet => "block.set",
            Self::BlockLifted => "block.lifted",
            Self::RetentionApplied => "retention.applied",
            Self::PartitionDropped => "partition.dropped",
            Self::WebhookCreated => "webhook.created",
            Self::WebhookChanged => "webhook.changed",
            Self::WebhookDeleted => "webhook.deleted",
            Self::WebhookSecretRotated => "webhook.secret_rotated",
            Self::WebhookPaused => "webhook.paused",
            Self::WebhookResumed => "webhook.resumed",
            Self::WebhookReplayed => "webhook.replayed",
        }
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|action| action.as_str() == text);
        known.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|action| action.as_str()).collect();
            format!(
                "{text:?} is not an action; actions are {}",
                names.join(", ")
            )
        })
    }
}

impl utoipa::ToSchema for Action {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("AuditAction")
    }
}

impl utoipa::PartialSchema for Action {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("What was done."))
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .build()
            .into()
    }
}

/// What is written down.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `None`: it concerns all tenants.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) actor: Actor,
    pub(crate) action: Action,
    pub(crate) subject: Option<String>,
    pub(crate) detail: Option<Value>,
}

impl Entry {
    pub(crate) fn new(tenant: impl Into<Option<TenantId>>, actor: Actor, action: Action) -> Self {
        Self {
            tenant: tenant.into(),
            actor,
            action,
            subject: None,
            detail: None,
        }
    }

    /// What it was done to; never an address or another word of a person.
    pub(crate) fn about(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    pub(crate) fn with(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// What was written down, as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) id: Uuid,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) subject: Option<String>,
    pub(crate) detail: Option<Value>,
}
