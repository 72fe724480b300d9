//! Settling: what an event's neighbours tell about it, once they are stored.
//!
//! Ingest notes each send whose events have to be judged together, and each click that is its send's
//! only one, in the transaction that stores them. Settling takes such sends, judges their events again and corrects verdicts, counters and
//! rollups in one transaction. What comes out is the same in whatever order and grouping events
//! arrived: whoever arrives last is noted, and with it everything is judged that it may change.
//!
//! `found` is pure, `store` and `lone_clicks` read, `correction` writes.

mod correction;
mod found;
mod lone_clicks;
mod pace;
mod store;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, Transaction};

use crate::database::{DatabaseError, Pool, connect, locks};
use crate::erasure;
use crate::ingest::Load;
use crate::verdicts::Rules;
use pace::Pace;

pub(crate) use correction::Corrected;
pub(crate) use found::{Extent, SendKey};
pub(crate) use store::{count_sends, sends_after};

/// Sends in one transaction: their contacts are locked meanwhile, and ingest may wait for that.
pub(crate) const MAX_SENDS: i64 = 500;

/// Settles what was noted, again and again. Of several replicas one works at a time. A burst of
/// events is stored first: `busy` says that there is one.
pub(crate) async fn settle_regularly(
    pool: Pool,
    rules: Arc<Rules>,
    interval: Duration,
    busy: Load,
) {
    loop {
        let pace = Pace::of_round(&busy);
        if let Err(error) = settle_all(&pool, &rules, &pace).await {
            tracing::warn!(%error, "verdicts were not settled; it is tried again");
        }
        tokio::time::sleep(interval).await;
    }
}

/// Settles what is noted now. A group that cannot be settled is left and does not keep the others.
async fn settle_all(pool: &Pool, rules: &Rules, pace: &Pace<'_>) -> Result<(), DatabaseError> {
    let lone_clicks = settle_lone_clicks(pool, rules, pace).await;
    settle_sends(pool, rules, pace).await.and(lone_clicks)
}

async fn settle_lone_clicks(
    pool: &Pool,
    rules: &Rules,
    pace: &Pace<'_>,
) -> Result<(), DatabaseError> {
    let mut after = None;
    let mut failed = None;
    loop {
        pace.give_way().await;
        let mut client = connect(pool).await?;
        let Some(note) = lone_clicks::next(&client, after).await? else {
            return failed.map_or(Ok(()), Err);
        };
        after = Some(note.key);
        match settle_note(&mut client, &note, rules).await {
            Ok(Turn::Mine) => {}
            Ok(Turn::Anothers) => return Ok(()),
            Err(error) => failed = Some(error),
        }
    }
}

/// Of several replicas one settles at a time.
enum Turn {
    Mine,
    Anothers,
}

async fn settle_note(
    client: &mut Client,
    note: &lone_clicks::Note,
    rules: &Rules,
) -> Result<Turn, DatabaseError> {
    let tx = client.transaction().await?;
    if !is_my_turn(&tx).await? {
        return Ok(Turn::Anothers);
    }
    let sends = lone_clicks::not_alone(&tx, note).await?;
    tx.commit().await?;
    for sends in sends.chunks(MAX_SENDS as usize) {
        match settle(client.transaction().await?, sends, rules).await? {
            Some(corrected) => corrected.record(),
            None => return Ok(Turn::Anothers),
        }
    }
    lone_clicks::strike_out(client, note.key).await?;
    Ok(Turn::Mine)
}

async fn settle_sends(pool: &Pool, rules: &Rules, pace: &Pace<'_>) -> Result<(), DatabaseError> {
    let mut after = None;
    let mut failed = None;
    loop {
        pace.give_way().await;
        let mut client = connect(pool).await?;
        let noted = store::noted(&client, after.as_ref(), MAX_SENDS).await?;
        let Some(last) = noted.last() else {
            return failed.map_or(Ok(()), Err);
        };
        after = Some(last.clone());
        let tx = client.transaction().await?;
        match settle(tx, &noted, rules).await {
            Ok(Some(corrected)) => corrected.record(),
            // Another replica is at it.
            Ok(None) => return Ok(()),
            Err(error) => failed = Some(error),
        }
    }
}

/// Holds the turn until the transaction ends.
async fn is_my_turn(tx: &Transaction<'_>) -> Result<bool, DatabaseError> {
    let sql = "select pg_try_advisory_xact_lock($1)";
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.query_one(&statement, &[&locks::SETTLING]).await?.get(0))
}

/// `None` if another one settles.
async fn settle(
    tx: Transaction<'_>,
    noted: &[SendKey],
    rules: &Rules,
) -> Result<Option<Corrected>, DatabaseError> {
    if !is_my_turn(&tx).await? {
        return Ok(None);
    }
    let lines = store::lines(&tx, &store::tenants_of(noted)).await?;
    let clicks = store::clicks_of(&tx, noted).await?;
    let neighbours = store::neighbours(&tx, &clicks, &lines).await?;
    let drawn_in = found::drawn_in(noted, &neighbours, &lines);
    let corrected = correct(&tx, noted, drawn_in, rules, Extent::Neighbours).await?;
    store::strike_out(&tx, noted).await?;
    tx.commit().await?;
    Ok(Some(corrected))
}

/// Judges the events of `sends` again and writes down what changes, of them and of those that were
/// drawn in, of which not all neighbours are known.
pub(crate) async fn correct(
    tx: &Transaction<'_>,
    sends: &[SendKey],
    drawn_in: Vec<SendKey>,
    rules: &Rules,
    extent: Extent,
) -> Result<Corrected, DatabaseError> {
    erasure::store::keep_erasures_out(tx).await?;
    let mut all = sends.to_vec();
    all.extend(drawn_in);
    store::lock_contacts(tx, &all).await?;
    // From here on no event comes to these contacts, and what came before is seen.
    let found = store::find(tx, &all, sends.len()).await?;
    let after = found.judge(rules, extent);
    correction::write(tx, &found, &after).await
}

/// What `correct` would change. Locks nothing.
pub(crate) async fn would_correct(
    tx: &Transaction<'_>,
    sends: &[SendKey],
    rules: &Rules,
) -> Result<Corrected, DatabaseError> {
    let found = store::find(tx, sends, sends.len()).await?;
    Ok(Corrected::of(&found, &found.judge(rules, Extent::All)))
}
