//! Looks for new events of one tenant while somebody listens.

use std::sync::Arc;
use std::time::Duration;

use kraiter_wire::TenantId;
use tokio::sync::{broadcast, watch};

use super::{Arrivals, COUNTED_BACK, Sent, WINDOW, hour, store};
use crate::clock::{self, Timestamp};
use crate::database::{DatabaseError, Pool, connect};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two tries while the database is away.
const TROUBLED_PAUSE: Duration = Duration::from_secs(5);
/// Looks from one count of the hours to the next.
const COUNT_EVERY: u32 = 5;

pub(super) struct Poller {
    pub(super) pool: Pool,
    pub(super) tenant: TenantId,
    pub(super) listeners: broadcast::Sender<Arc<Sent>>,
    /// Becomes true once everything that arrives from then on will be sent.
    pub(super) ready: watch::Sender<bool>,
}

impl Poller {
    /// For ever; whoever started it ends it.
    pub(super) async fn run(self) {
        let mut arrivals = Arrivals::default();
        let mut last = clock::now();
        let mut looks = 0u32;
        loop {
            let now = clock::now();
            // After a pause that was longer than meant, all of it is looked at.
            let since = last.min(now).minus(WINDOW);
            let count = looks.is_multiple_of(COUNT_EVERY);
            let pause = match self.look(&mut arrivals, since, count.then_some(now)).await {
                Ok(()) => {
                    last = now;
                    looks = looks.wrapping_add(1);
                    self.ready.send_replace(true);
                    PAUSE
                }
                Err(error) => {
                    tracing::warn!(%error, "new events cannot be looked for; trying again");
                    TROUBLED_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn look(
        &self,
        arrivals: &mut Arrivals,
        since: Timestamp,
        counted_at: Option<Timestamp>,
    ) -> Result<(), DatabaseError> {
        let mut client = connect(&self.pool).await?;
        let hours = counted_at.map(|now| hour(now.minus(COUNTED_BACK)));
        let look = store::look(&mut client, self.tenant, since, hours).await?;
        let (fresh, skipped) = arrivals.take(look);
        let events = store::events(&client, self.tenant, &fresh).await;
        if events.is_err() {
            // They are found again with the next look.
            arrivals.forget(&fresh);
        }
        // Without a listener nothing is kept: it is about to be stopped.
        if let Some(skipped) = skipped {
            metrics::counter!("kraiter_event_stream_skipped_total", "reason" => "late")
                .increment(skipped.count.unwrap_or_default());
            let _ = self
                .listeners
                .send(Arc::new(Sent::Skipped(skipped.frame())));
        }
        for event in events? {
            let _ = self.listeners.send(Arc::new(Sent::event(event)));
        }
        Ok(())
    }
}
