//! Clicks that are their send's only one, or its second long after the first: noted for settling at
//! next to no cost, since nearly all clicks are of this kind and hardly any of them is ever judged
//! anew.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use super::deltas::SendDelta;
use super::group::Group;
use super::insertion::Fate;
use super::store::new_ones;
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::tenants::store::key;
use crate::verdicts::of_one_address;

/// New clicks that are alone in their send, as far as their address may tell more about them; in the
/// order of tenants and ids.
pub(super) fn of(
    group: &Group,
    fates: &[Fate],
    sends: &[SendDelta<'_>],
    rows: &[Row],
) -> Vec<(i32, Uuid)> {
    let lone: HashSet<(i32, &str)> = rows
        .iter()
        .filter(|row| row.get::<_, bool>(10))
        .filter_map(|row| sends.get(usize::try_from(row.get::<_, i64>(0)).ok()?))
        .map(|send| (send.tenant, send.id))
        .collect();
    new_ones(group, fates)
        .filter(|event| event.kind == EventType::Clicked)
        .filter(|event| of_one_address(event.signals.ip).is_some())
        .filter(|event| lone.contains(&(key(event.tenant), event.send.as_str())))
        .map(|event| (key(event.tenant), event.id.uuid()))
        .collect()
}

/// Notes them for settling, a row for each tenant.
pub(super) async fn note(
    tx: &Transaction<'_>,
    clicks: &[(i32, Uuid)],
) -> Result<(), DatabaseError> {
    if clicks.is_empty() {
        return Ok(());
    }
    let (tenants, ids): (Vec<i32>, Vec<Uuid>) = clicks.iter().copied().unzip();
    let sql = "insert into unsettled_clicks (tenant_id, id, click_ids) \
               select tenant_id, click_ids[1], click_ids from ( \
                 select tenant_id, array_agg(id order by id) as click_ids \
                 from unnest($1::int[], $2::uuid[]) as d (tenant_id, id) group by tenant_id) as d";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&tenants, &ids]).await?;
    Ok(())
}
