//! Groups the events of many requests into few transactions.
//!
//! A request waits until its events are committed. While a writer commits, requests gather; the
//! next writer takes all that gathered. Light load commits at once, heavy load in large groups,
//! and nobody waits for a timer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::group::Group;
use super::insertion::Way;
use super::store::Written;
use super::{EdgeEvent, store};
use crate::clock;
use crate::database::{DatabaseError, Partitions, Pool, leave_server};

/// Events that may wait in memory. At some 600 bytes each this bounds what a burst can take; who
/// comes later is told to come again.
const MAX_WAITING_EVENTS: usize = 100_000;

/// Events in one transaction: beyond this, a commit is no longer what costs.
const MAX_GROUP_EVENTS: usize = 5_000;

/// How often a group is tried while the database is away before its senders are told to keep it.
const ATTEMPTS: u32 = 5;

/// What became of one request's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) accepted: usize,
    pub(crate) duplicates: usize,
    /// Opens and clicks of contacts that have withdrawn their consent.
    pub(crate) without_consent: usize,
    /// Events of contacts that were erased.
    pub(crate) erased: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubmitError {
    /// Too many events wait already.
    Saturated,
    /// The database did not take them.
    Unavailable,
}

/// Whether a full group waits or is being written: more comes than is written at once, and what can
/// wait had better.
pub(crate) type Load = Arc<dyn Fn() -> bool + Send + Sync>;

struct Job {
    events: Vec<EdgeEvent>,
    answer: oneshot::Sender<Option<Outcome>>,
    room: tokio::sync::OwnedSemaphorePermit,
}

/// Where and how groups are written.
#[derive(Clone)]
pub(crate) struct Writing {
    pub(crate) pool: Pool,
    pub(crate) partitions: Arc<Partitions>,
    /// Events that are to be judged by their neighbours are noted for that.
    pub(crate) notes_neighbours: bool,
}

/// Where requests leave their events.
#[derive(Clone)]
pub(crate) struct IngestQueue {
    jobs: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
}

/// The tasks that empty the queue.
pub(crate) struct Writers(JoinSet<()>);

impl IngestQueue {
    /// Starts `writers` tasks on the current runtime. They end when every clone of the queue is
    /// gone and what it held is written.
    pub(crate) fn start(writing: &Writing, writers: usize) -> (Self, Writers) {
        // Unbounded in jobs; bounded in events by the semaphore.
        let (jobs, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(write_groups(Arc::clone(&receiver), writing.clone()));
        }
        let room = Arc::new(Semaphore::new(MAX_WAITING_EVENTS));
        (Self { jobs, room }, Writers(tasks))
    }

    /// Returns once the events are committed.
    pub(crate) async fn submit(&self, events: Vec<EdgeEvent>) -> Result<Outcome, SubmitError> {
        let size = u32::try_from(events.len().min(MAX_WAITING_EVENTS)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(size);
        let room = room.map_err(|_| SubmitError::Saturated)?;
        let (answer, outcome) = oneshot::channel();
        self.jobs
            .send(Job {
                events,
                answer,
                room,
            })
            .map_err(|_| SubmitError::Unavailable)?;
        outcome.await.ok().flatten().ok_or(SubmitError::Unavailable)
    }
}

impl IngestQueue {
    /// Events that are not committed yet.
    pub(crate) fn waiting(&self) -> usize {
        waiting(&self.room)
    }

    /// Tells from now on what the load is, without keeping the queue open.
    pub(crate) fn load(&self) -> Load {
        let room = Arc::clone(&self.room);
        Arc::new(move || waiting(&room) >= MAX_GROUP_EVENTS)
    }

    /// Whether a batch of a common size would be turned away.
    pub(crate) fn is_full(&self) -> bool {
        self.room.available_permits() < MAX_GROUP_EVENTS
    }
}

fn waiting(room: &Semaphore) -> usize {
    MAX_WAITING_EVENTS.saturating_sub(room.available_permits())
}

impl Writers {
    /// Waits until the queue is closed and empty.
    pub(crate) async fn finish(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

async fn write_groups(receiver: Arc<Mutex<mpsc::UnboundedReceiver<Job>>>, writing: Writing) {
    let mut way = Way::Plain;
    loop {
        let group = {
            let mut receiver = receiver.lock().await;
            let Some(first) = receiver.recv().await else {
                return;
            };
            let mut size = first.events.len();
            let mut group = vec![first];
            while size < MAX_GROUP_EVENTS
                && let Ok(job) = receiver.try_recv()
            {
                size += job.events.len();
                group.push(job);
            }
            group
        };
        way = write_group(group, way, &writing).await;
    }
}

/// Returns the way in which the next group is best written.
async fn write_group(mut jobs: Vec<Job>, way: Way, writing: &Writing) -> Way {
    let batches = jobs
        .iter_mut()
        .map(|job| std::mem::take(&mut job.events))
        .collect();
    let group = Group::new(batches);
    metrics::histogram!("kraiter_ingest_group_events").record(group.len() as f64);
    let start = std::time::Instant::now();
    match write_with_retries(&group, way, writing).await {
        Ok((outcomes, next)) => {
            metrics::histogram!("kraiter_ingest_commit_seconds")
                .record(start.elapsed().as_secs_f64());
            record_lags(&group);
            for (job, outcome) in jobs.into_iter().zip(outcomes) {
                job.answer(Some(outcome));
            }
            return next;
        }
        // Something in it cannot be stored: the batches it came with are tried one by one, so that
        // only the one at fault stays behind.
        Err(error) if !error.is_transient() && jobs.len() > 1 => {
            tracing::error!(%error, events = group.len(), "a group of events cannot be stored together");
            for (job, batch) in jobs.into_iter().zip(group.into_batches()) {
                match write_with_retries(&batch, Way::Careful, writing).await {
                    Ok((outcomes, _)) => job.answer(outcomes.first().copied()),
                    Err(error) => job.answer_failure(&error, batch.len()),
                }
            }
        }
        Err(error) => {
            for job in jobs {
                job.answer_failure(&error, group.len());
            }
        }
    }
    way
}

/// How long each event took from the edge to its commit, waiting and outages included.
fn record_lags(group: &Group) {
    let now = clock::now();
    let lags = metrics::histogram!("kraiter_ingest_lag_seconds");
    for (_, event) in &group.events {
        let lag = now.millis().saturating_sub(event.id.time().0);
        lags.record(lag as f64 / 1000.0);
    }
}

impl Job {
    fn answer(self, outcome: Option<Outcome>) {
        // First, so that whoever hears the answer sees that nothing waits any more.
        drop(self.room);
        // A client that hung up sends its batch again and gets duplicates.
        let _ = self.answer.send(outcome);
    }

    fn answer_failure(self, error: &DatabaseError, events: usize) {
        tracing::warn!(%error, events, "events were not stored; their sender keeps them");
        self.answer(None);
    }
}

async fn write_with_retries(
    group: &Group,
    mut way: Way,
    writing: &Writing,
) -> Result<(Vec<Outcome>, Way), DatabaseError> {
    let mut attempt = 1;
    loop {
        match store::write(group, way, writing).await {
            Ok(Written::Done(outcomes, next)) => return Ok((outcomes, next)),
            Ok(Written::NotPlain) => way = Way::Careful,
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                if error.is_read_only() {
                    leave_server(&writing.pool);
                }
                metrics::counter!("kraiter_ingest_retries_total").increment(1);
                if error.is_missing_partition() {
                    writing.partitions.forget();
                }
                tracing::debug!(%error, attempt, "a group of events is tried again");
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}
