//! Monthly partitions of `events`, by the time inside the event's id.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use deadpool_postgres::GenericClient;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kraiter_wire::UnixMillis;
use uuid::Uuid;

use super::{DatabaseError, Pool, connect, locks};
use crate::clock::Timestamp;

/// How many months are ready before they begin.
const MONTHS_AHEAD: i32 = 3;

/// Knows which partitions are there and makes those that are missing. Call it before the
/// transaction that inserts. Retention of any replica may drop one again; who meets that forgets and
/// makes it anew.
#[derive(Default)]
pub(crate) struct Partitions {
    made: Mutex<BTreeSet<String>>,
}

impl Partitions {
    /// Makes sure that events at these times have a partition.
    pub(crate) async fn ensure(
        &self,
        pool: &Pool,
        times: impl IntoIterator<Item = Timestamp>,
    ) -> Result<(), DatabaseError> {
        let missing: Vec<PartitionRange> = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            let mut months: Vec<Date> = times
                .into_iter()
                .map(|time| first_of_month(time, 0))
                .collect();
            months.sort();
            months.dedup();
            months
                .into_iter()
                .map(range)
                .filter(|range| !made.contains(&range.name))
                .collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        create(pool, &missing).await?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.extend(missing.into_iter().map(|range| range.name));
        Ok(())
    }

    /// Makes this month's partition and the next ones before they are needed.
    pub(crate) async fn ensure_ahead(
        &self,
        pool: &Pool,
        now: Timestamp,
    ) -> Result<(), DatabaseError> {
        let months: Vec<_> = (0..=MONTHS_AHEAD)
            .map(|ahead| range(first_of_month(now, ahead)))
            .collect();
        create(pool, &months).await
    }

    /// Does what inserts events at these times, once more if one of their partitions was dropped
    /// since it was last seen.
    pub(crate) async fn with<T>(
        &self,
        pool: &Pool,
        times: impl IntoIterator<Item = Timestamp> + Clone,
        insert: impl AsyncFn() -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.ensure(pool, times.clone()).await?;
        match insert().await {
            Err(error) if error.is_missing_partition() => {
                self.forget();
                self.ensure(pool, times).await?;
                insert().await
            }
            done => done,
        }
    }

    /// Looks for every partition again.
    pub(crate) fn forget(&self) {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The partitions that end at this moment or before, oldest first.
    pub(crate) async fn before(
        client: &impl GenericClient,
        moment: Timestamp,
    ) -> Result<Vec<String>, DatabaseError> {
        let sql = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
                   where i.inhparent = 'events'::regclass order by 1";
        let rows = client.query(sql, &[]).await?;
        let ends = |name: &str| Some(range(month_of(name)?).to);
        Ok(rows
            .iter()
            .map(|row| row.get::<_, String>(0))
            .filter(|name| ends(name).is_some_and(|end| end <= lowest_id(moment)))
            .collect())
    }

    /// Drops a partition, or fails soon if it is in use: others wait while we do.
    pub(crate) async fn drop(
        &self,
        tx: &impl GenericClient,
        name: &str,
    ) -> Result<(), DatabaseError> {
        tx.batch_execute(&format!(
            "set local lock_timeout = '200ms'; select pg_advisory_xact_lock({}); drop table {name}",
            locks::PARTITIONS
        ))
        .await?;
        self.forget();
        Ok(())
    }
}

/// The half-open range of ids of one month, with its partition's name.
pub(crate) struct PartitionRange {
    pub(crate) name: String,
    from: Uuid,
    pub(crate) to: Uuid,
}

impl PartitionRange {
    /// Where an event of this time is, if that partition was made and not dropped again.
    pub(crate) fn at(time: Timestamp) -> Self {
        range(first_of_month(time, 0))
    }
}

fn range(first: Date) -> PartitionRange {
    PartitionRange {
        name: format!("events_{:04}_{:02}", first.year(), first.month()),
        from: lowest_id(midnight(first)),
        to: lowest_id(midnight(first.saturating_add(jiff::Span::new().months(1)))),
    }
}

fn first_of_month(time: Timestamp, ahead: i32) -> Date {
    let moment = jiff::Timestamp::from_millisecond(time.millis() as i64).unwrap_or_default();
    let first = moment
        .to_zoned_datetime(TimeZone::UTC)
        .date()
        .first_of_month();
    first.saturating_add(jiff::Span::new().months(ahead))
}

/// The month that a partition is for; `None` for a table of another name.
fn month_of(name: &str) -> Option<Date> {
    let (year, month) = name.strip_prefix("events_")?.split_once('_')?;
    Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
}

/// The smallest id that an event at `time` can have: its milliseconds and zeros. Version bits are left
/// out, so that every id of that moment, whatever its random part, sorts after it.
pub(crate) fn lowest_id(time: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(time.millis()) << 80)
}

fn midnight(date: Date) -> Timestamp {
    let millis = date
        .to_zoned_datetime(TimeZone::UTC)
        .map(|zoned| zoned.timestamp().as_millisecond())
        .unwrap_or_default();
    Timestamp(UnixMillis(millis.unsigned_abs()))
}

async fn create(pool: &Pool, ranges: &[PartitionRange]) -> Result<(), DatabaseError> {
    let mut client = connect(pool).await?;
    let tx = client.transaction().await?;
    tx.execute("select pg_advisory_xact_lock($1)", &[&locks::PARTITIONS])
        .await?;
    for PartitionRange { name, from, to } in ranges {
        let there = tx
            .query_one("select to_regclass($1) is not null", &[name])
            .await?;
        if there.get(0) {
            continue;
        }
        // Made by itself and attached: `create … partition of` would wait for every reader of the
        // table, and every writer for it.
        tx.batch_execute(&format!(
            "create table {name} (like events including all); \
             alter table events attach partition {name} for values from ('{from}') to ('{to}')"
        ))
        .await?;
    }
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraiter_wire::EventIdGenerator;

    #[test]
    fn an_events_id_lies_in_the_month_of_its_time() {
        let mut ids = EventIdGenerator::new([0xFF; 16]);
        for (text, name) in [
            ("2026-11-30T23:59:59.999Z", "events_2026_11"),
            ("2026-12-01T00:00:00Z", "events_2026_12"),
            ("2027-01-01T00:00:00Z", "events_2027_01"),
        ] {
            let time: Timestamp = text.parse().unwrap();
            let id = ids.next(UnixMillis(time.millis())).uuid();
            let range = range(first_of_month(time, 0));
            assert_eq!(range.name, name);
            assert!(range.from <= id && id < range.to, "{text}");
        }
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let time: Timestamp = "2026-12-31T12:00:00Z".parse().unwrap();
        let month = |ahead| range(first_of_month(time, ahead));
        assert_eq!(month(0).to, month(1).from);
        assert_eq!(month(1).name, "events_2027_01");
        assert_eq!(month_of("events_2027_01"), Some(first_of_month(time, 1)));
        assert_eq!(month_of("events_old"), None);
        assert_eq!(month_of("events_2027_13"), None);
    }
}
