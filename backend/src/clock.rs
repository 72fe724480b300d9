//! The one place that reads the clock, and times as the API shows them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kraiter_wire::UnixMillis;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};

/// Now, in UTC.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(UnixMillis(since.as_millis().try_into().unwrap_or(u64::MAX)))
}

/// A moment in UTC with millisecond precision. RFC 3339 in JSON, `timestamptz` in Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) UnixMillis);

/// The last moment that RFC 3339 can write: 9999-12-31T23:59:59.999Z.
const MAX_MILLIS: u64 = 253_402_300_799_999;

impl Timestamp {
    pub(crate) fn millis(self) -> u64 {
        self.0.0
    }

    pub(crate) fn plus(self, duration: Duration) -> Self {
        let millis = duration.as_millis().try_into().unwrap_or(u64::MAX);
        Self(UnixMillis(self.millis().saturating_add(millis)))
    }

    pub(crate) fn minus(self, duration: Duration) -> Self {
        let millis = duration.as_millis().try_into().unwrap_or(u64::MAX);
        Self(UnixMillis(self.millis().saturating_sub(millis)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.millis().min(MAX_MILLIS) as i64;
        let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{time:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid =
            || format!("{text:?} is not a time; write it like 2026-01-31T09:30:00Z (RFC 3339)");
        let time: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
        let millis = u64::try_from(time.as_millisecond()).map_err(|_| invalid())?;
        match millis {
            0..=MAX_MILLIS => Ok(Self(UnixMillis(millis))),
            _ => Err(invalid()),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl ToSql for Timestamp {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        (UNIX_EPOCH + Duration::from_millis(self.millis().min(MAX_MILLIS))).to_sql(ty, out)
    }

    tokio_postgres::types::accepts!(TIMESTAMPTZ);
    tokio_postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Timestamp {
    fn from_sql(
        ty: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let time = SystemTime::from_sql(ty, raw)?;
        let millis = time.duration_since(UNIX_EPOCH)?.as_millis();
        Ok(Self(UnixMillis(millis.try_into()?)))
    }

    tokio_postgres::types::accepts!(TIMESTAMPTZ);
}

impl utoipa::ToSchema for Timestamp {}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::DateTime,
            )))
            .description(Some("RFC 3339, UTC, milliseconds"))
            .examples([serde_json::json!("2026-01-31T09:30:00.000Z")])
            .build()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        let time: Timestamp = "2026-01-31T10:30:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T09:30:00.000Z");
        assert!("2026-01-31".parse::<Timestamp>().is_err());
        assert!("1969-12-31T23:59:59Z".parse::<Timestamp>().is_err());
    }
}
