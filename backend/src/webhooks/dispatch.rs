//! The dispatcher of a replica: makes deliveries of what is noted, and lets workers attempt those that are
//! due. Several replicas share the work by what they find unlocked and due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Transaction;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use super::attempt::Post;
use super::deliveries::{self, New};
use super::outbox::{self, Noted};
use super::{Client, DeliveryId, Endpoint, EndpointId, WebhookConfig, endpoints, upkeep};
use crate::clock::{self, Timestamp};
use crate::database::{DatabaseError, Pool, connect};
use crate::erasure;
use crate::events::EventType;
use crate::ingest::Load;
use crate::random;

/// How long nothing is looked for when there was nothing to do. Events of this time share a request.
const POLL: Duration = Duration::from_millis(500);
/// After a failure of the database.
const TROUBLE: Duration = Duration::from_secs(5);
/// Rows of the outbox that become deliveries in one transaction; each holds up to 100 events.
const ROWS: i64 = 200;
/// Transactions for one tenant before it is the next one's turn.
const TURNS: usize = 10;
/// Requests under way at a time, of this replica.
const MAX_WORKERS: usize = 32;
/// Of these to one endpoint; one that fails gets one.
const MAX_WORKERS_OF_ENDPOINT: usize = 4;
/// Failures in a row after which an endpoint counts as failing.
const FAILING: i32 = 3;
/// Deliveries that a worker attempts before another endpoint may have its place.
const DELIVERIES_OF_WORKER: usize = 50;
/// While events wait to be stored, webhooks rest nine times as long as they work.
const REST: u32 = 9;
const MAX_REST: Duration = Duration::from_secs(2);

/// Runs until it is told to stop.
pub(crate) struct Dispatcher {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    upkeep: JoinHandle<()>,
}

impl Dispatcher {
    pub(crate) fn start(pool: &Pool, client: Client, config: WebhookConfig, busy: Load) -> Self {
        let (stop, stopped) = watch::channel(false);
        let upkeep = tokio::spawn(upkeep::run(pool.clone(), config.log_kept));
        let post = Post {
            pool: pool.clone(),
            client,
            config,
        };
        let run = Run {
            post: Arc::new(post),
            busy,
            stopped,
            workers: JoinSet::new(),
            working: HashMap::new(),
        };
        let task = tokio::spawn(run.run());
        Self { stop, task, upkeep }
    }

    /// Claims nothing more and waits for the requests under way, which have a time-out.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(true);
        self.upkeep.abort();
        let _ = self.task.await;
    }
}

struct Run {
    post: Arc<Post>,
    busy: Load,
    stopped: watch::Receiver<bool>,
    workers: JoinSet<EndpointId>,
    /// How many workers an endpoint has.
    working: HashMap<EndpointId, usize>,
}

impl Run {
    async fn run(mut self) {
        while !*self.stopped.borrow() {
            let start = Instant::now();
            let rest = match self.round().await {
                Ok(()) if (self.busy)() => (start.elapsed() * REST).clamp(POLL, MAX_REST),
                Ok(()) => POLL,
                Err(error) if error.is_missing_table() => TROUBLE,
                Err(error) => {
                    tracing::warn!(%error, "webhooks cannot be looked after; it is tried again");
                    TROUBLE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = self.stopped.changed() => {}
            }
            while let Some(ended) = self.workers.try_join_next() {
                self.ended(ended);
            }
        }
        while let Some(ended) = self.workers.join_next().await {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<EndpointId, tokio::task::JoinError>) {
        match ended {
            Ok(endpoint) => {
                if let Some(count) = self.working.get_mut(&endpoint) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.working.remove(&endpoint);
                    }
                }
            }
            // None is aborted and none panics; if one did, nobody would know whose it was.
            Err(error) => {
                tracing::error!(%error, "a worker of webhooks failed");
                self.working.clear();
            }
        }
    }

    async fn round(&mut self) -> Result<(), DatabaseError> {
        let mut db = connect(&self.post.pool).await?;
        for tenant in outbox::tenants(&db).await? {
            for _ in 0..TURNS {
                let tx = db.transaction().await?;
                let taken = make_deliveries(tx, tenant, &self.post.config).await?;
                if taken < ROWS as usize || (self.busy)() {
                    break;
                }
            }
        }
        let mut due = deliveries::due(&db, clock::now()).await?;
        drop(db);
        // Replicas, and rounds, begin with different ones.
        let shift = usize::from_le_bytes(random::bytes());
        let shift = shift.checked_rem(due.len()).unwrap_or(0);
        due.rotate_left(shift);
        for (tenant, endpoint) in due {
            let limit = match endpoint.health.failures >= FAILING || (self.busy)() {
                true => 1,
                false => MAX_WORKERS_OF_ENDPOINT,
            };
            let working = self.working.entry(endpoint.id).or_default();
            if *working < limit && self.workers.len() < MAX_WORKERS {
                *working += 1;
                self.workers.spawn(work(
                    Arc::clone(&self.post),
                    Arc::clone(&self.busy),
                    self.stopped.clone(),
                    tenant,
                    endpoint,
                ));
            } else if *working == 0 {
                self.working.remove(&endpoint.id);
            }
        }
        Ok(())
    }
}

/// Makes deliveries of some of a tenant's noted events. How many rows of the outbox that took.
async fn make_deliveries(
    tx: Transaction<'_>,
    tenant: i32,
    config: &WebhookConfig,
) -> Result<usize, DatabaseError> {
    // An erasure then finds the ids of its events in the outbox or in deliveries, and not in between.
    erasure::store::keep_erasures_out(&tx).await?;
    let endpoints = endpoints::keep(&tx, tenant).await?;
    let noted = outbox::take(&tx, tenant, ROWS).await?;
    let now = clock::now();
    let new: Vec<New> = endpoints
        .iter()
        .flat_map(|endpoint| deliveries_of(endpoint, &noted, now, config.settling_delay))
        .collect();
    deliveries::insert(&tx, tenant, &new).await?;
    tx.commit().await?;
    Ok(noted.len())
}

/// Batches of those events that the endpoint wants.
fn deliveries_of(
    endpoint: &Endpoint,
    noted: &[Noted],
    now: Timestamp,
    settling_delay: Duration,
) -> Vec<New> {
    let mut at_once: Vec<Uuid> = Vec::new();
    let mut later: Vec<Uuid> = Vec::new();
    for Noted { kind, events } in noted {
        // A kind of a newer version is left out, as it is of all that this version shows.
        let Some(kind) = EventType::from_number(*kind) else {
            continue;
        };
        match endpoint.filter.wants(kind) {
            true if endpoint.filter.waits_for_verdict(kind) => later.extend(events),
            true => at_once.extend(events),
            false => {}
        }
    }
    let mut new = Vec::new();
    for (events, due) in [(&mut at_once, now), (&mut later, now.plus(settling_delay))] {
        events.sort_unstable();
        for batch in events.chunks(endpoint.batch_size.max(1).into()) {
            new.push(New {
                endpoint: endpoint.id,
                id: DeliveryId(random::uuid_v7(now)),
                events: batch.to_vec(),
                due,
            });
        }
    }
    new
}

/// Attempts deliveries of one endpoint while some are due.
async fn work(
    post: Arc<Post>,
    busy: Load,
    mut stopped: watch::Receiver<bool>,
    tenant: i32,
    endpoint: Endpoint,
) -> EndpointId {
    for _ in 0..DELIVERIES_OF_WORKER {
        let start = Instant::now();
        match attempt_one(&post, tenant, &endpoint).await {
            Ok(Next::Goes) if !*stopped.borrow() => {}
            Ok(_) => break,
            Err(error) => {
                tracing::warn!(%error, endpoint = %endpoint.id, "a delivery is tried again later");
                break;
            }
        }
        if busy() {
            tokio::select! {
                () = tokio::time::sleep((start.elapsed() * REST).min(MAX_REST)) => {}
                _ = stopped.changed() => break,
            }
        }
    }
    endpoint.id
}

/// Whether a worker goes on.
enum Next {
    Goes,
    /// Nothing is due, or the endpoint fails: what is known of it is read again first.
    Ends,
}

async fn attempt_one(
    post: &Post,
    tenant: i32,
    endpoint: &Endpoint,
) -> Result<Next, super::attempt::AttemptError> {
    let now = clock::now();
    let until = now.plus(post.claim_time());
    let db = connect(&post.pool).await?;
    let claimed = deliveries::claim(&db, tenant, endpoint.id, now, until, 1).await?;
    drop(db);
    let Some(claimed) = claimed.into_iter().next() else {
        return Ok(Next::Ends);
    };
    match post.attempt(tenant, endpoint, claimed).await? {
        true => Ok(Next::Goes),
        false => Ok(Next::Ends),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::Verdict;
    use crate::webhooks::{Filter, Health, Secret, Secrets};
    use kraiter_wire::UnixMillis;

    fn endpoint(filter: Filter) -> Endpoint {
        Endpoint {
            id: EndpointId(Uuid::from_bytes([1; 16])),
            url: "https://hooks.example/".parse().unwrap(),
            description: None,
            filter,
            batch_size: 3,
            created_at: Timestamp(UnixMillis(0)),
            secrets: Secrets {
                current: Secret::random(),
                previous: None,
            },
            pause: None,
            health: Health::default(),
        }
    }

    fn noted(kind: EventType, count: u8) -> Noted {
        let ids = (0..count)
            .map(|id| Uuid::from_bytes([kind.number() as u8, id].repeat(8).try_into().unwrap()));
        Noted {
            kind: kind.number(),
            events: ids.collect(),
        }
    }

    fn batches(filter: Filter, noted: &[Noted]) -> Vec<(usize, u64)> {
        let now = Timestamp(UnixMillis(1000));
        let new = deliveries_of(&endpoint(filter), noted, now, Duration::from_secs(10));
        let due = |new: &New| new.due.millis() - now.millis();
        new.iter().map(|new| (new.events.len(), due(new))).collect()
    }

    #[test]
    fn events_are_batched_and_wait_only_where_their_verdict_decides() {
        let all = [
            noted(EventType::Opened, 4),
            noted(EventType::Clicked, 1),
            noted(EventType::Sent, 2),
        ];
        assert_eq!(batches(Filter::default(), &all), [(3, 0), (3, 0), (1, 0)]);
        let filter = Filter {
            types: Some(vec![EventType::Opened, EventType::Sent]),
            verdicts: Some(vec![Verdict::Human]),
        };
        assert_eq!(batches(filter, &all), [(2, 0), (3, 10_000), (1, 10_000)]);
        let other = Filter {
            types: Some(vec![EventType::Bounced]),
            verdicts: None,
        };
        assert_eq!(batches(other, &all), []);
    }
}
