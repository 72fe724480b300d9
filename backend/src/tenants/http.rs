//! `GET` and `PATCH /settings`.

use actix_web::web::{Data, Json as Answer};
use actix_web::{get, patch};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::lines::LinesChange;
use super::{AddressMode, Days, PathPrefix, Settings, TrackingOrigin, store};
use crate::api_keys::{Admin, Caller};
use crate::audit::{self, Action, Entry};
use crate::backend::Backend;
use crate::clock;
use crate::database::connect;
use crate::http::{Body, Problem};

/// The fields to change; those left out stay as they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SettingsChange {
    #[schema(value_type = Option<String>)]
    tracking_origin: Option<TrackingOrigin>,
    #[schema(value_type = Option<String>)]
    tracking_path_prefix: Option<PathPrefix>,
    tracking_enabled: Option<bool>,
    address_mode: Option<AddressMode>,
    #[schema(value_type = Option<u16>)]
    retention_days: Option<Days>,
    /// `null` lifts the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u16>)]
    recording_max_age_days: Option<Option<Days>>,
    verdicts: Option<LinesChange>,
}

/// Tells `null` from a field that is not there.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl SettingsChange {
    fn apply(self, settings: &Settings) -> Settings {
        let old = settings.clone();
        Settings {
            tracking_origin: self.tracking_origin.unwrap_or(old.tracking_origin),
            tracking_path_prefix: self
                .tracking_path_prefix
                .unwrap_or(old.tracking_path_prefix),
            tracking_enabled: self.tracking_enabled.unwrap_or(old.tracking_enabled),
            address_mode: self.address_mode.unwrap_or(old.address_mode),
            retention_days: self.retention_days.unwrap_or(old.retention_days),
            recording_max_age_days: self
                .recording_max_age_days
                .unwrap_or(old.recording_max_age_days),
            verdicts: match self.verdicts {
                Some(change) => change.apply(old.verdicts),
                None => old.verdicts,
            },
        }
    }
}

/// The tenant's settings.
#[utoipa::path(
    operation_id = "getSettings",
    tag = "settings",
    security(("apiKey" = ["admin"])),
    responses(
        (status = 200, body = Settings),
    )
)]
#[get("/settings")]
pub(crate) async fn get_settings(
    backend: Data<Backend>,
    caller: Caller<Admin>,
) -> Result<Answer<Settings>, Problem> {
    Ok(Answer(
        backend.tenant(caller.tenant).await?.settings.clone(),
    ))
}

/// Changes some settings and answers with all of them.
#[utoipa::path(
    operation_id = "updateSettings",
    tag = "settings",
    security(("apiKey" = ["admin"])),
    request_body = SettingsChange,
    responses(
        (status = 200, body = Settings),
    )
)]
#[patch("/settings")]
pub(crate) async fn patch_settings(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    body: Body,
) -> Result<Answer<Settings>, Problem> {
    let change: SettingsChange = body.json().await?;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    // Locked, so that two who change different settings at once both have their way.
    let tenant = store::lock(&*tx, caller.tenant)
        .await?
        .ok_or_else(|| Problem::internal("an API key's tenant does not exist"))?;
    let settings = change.apply(&tenant.settings);
    if settings != tenant.settings {
        store::update_settings(&*tx, caller.tenant, &settings).await?;
        let entry = Entry::new(caller.tenant, caller.actor(), Action::SettingsChanged)
            .with(differences(&tenant.settings, &settings).map_err(Problem::internal)?);
        audit::store::write(&tx, &entry, clock::now()).await?;
    }
    tx.commit().await?;
    backend.tenants.forget(caller.tenant);
    Ok(Answer(settings))
}

/// The settings that changed, each with what it was and what it is.
fn differences(before: &Settings, after: &Settings) -> serde_json::Result<Value> {
    let (before, after) = (serde_json::to_value(before)?, serde_json::to_value(after)?);
    let fields = after.as_object().into_iter().flatten();
    let changed = fields.filter_map(|(name, after)| {
        let before = before.get(name)?;
        (before != after).then(|| (name.clone(), json!({"from": before, "to": after})))
    });
    Ok(Value::Object(changed.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_settings_that_changed_are_written_down() {
        let before = Settings {
            tracking_origin: "https://t.example".parse().unwrap(),
            tracking_path_prefix: "".parse().unwrap(),
            tracking_enabled: true,
            address_mode: AddressMode::Full,
            retention_days: 30.try_into().unwrap(),
            recording_max_age_days: None,
            verdicts: Default::default(),
        };
        let after = Settings {
            retention_days: 7.try_into().unwrap(),
            recording_max_age_days: Some(3.try_into().unwrap()),
            ..before.clone()
        };
        let expected = json!({"retentionDays": {"from": 30, "to": 7},
            "recordingMaxAgeDays": {"from": null, "to": 3}});
        assert_eq!(differences(&before, &after).unwrap(), expected);
    }
}
