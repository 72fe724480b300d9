//! Who listens: counts listeners, starts a tenant's poller with the first and ends it with the last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kraiter_wire::TenantId;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::Sent;
use super::poller::Poller;
use crate::database::Pool;

/// Streams of one tenant that one replica serves.
pub(super) const PER_TENANT: usize = 50;
/// Streams that one replica serves.
pub(super) const PER_REPLICA: usize = 1_000;
/// What a listener may be behind the poller before it misses some: a tenant's streams keep no more.
const BACKLOG: usize = 2_048;

pub(crate) struct Hub {
    pool: Pool,
    /// Pollers outlive the request that starts them.
    runtime: Handle,
    channels: Mutex<Channels>,
    /// True once the service stops.
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct Channels {
    open: usize,
    of_tenants: HashMap<TenantId, Channel>,
}

struct Channel {
    listeners: usize,
    sender: broadcast::Sender<Arc<Sent>>,
    ready: watch::Receiver<bool>,
    poller: JoinHandle<()>,
}

/// Why nobody else may listen now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    /// The tenant has as many streams as it may have.
    TenantFull,
    ReplicaFull,
    Closed,
}

/// One who listens. Ends with it.
pub(super) struct Listener {
    pub(super) events: broadcast::Receiver<Arc<Sent>>,
    pub(super) ready: watch::Receiver<bool>,
    pub(super) closed: watch::Receiver<bool>,
    _place: Place,
}

struct Place {
    hub: Arc<Hub>,
    tenant: TenantId,
}

impl Hub {
    /// Its pollers run where it is made.
    pub(crate) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self {
            pool,
            runtime: Handle::current(),
            channels: Mutex::default(),
            closed: watch::Sender::new(false),
        })
    }

    /// Ends all streams and lets no new one begin.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(super) fn listen(self: &Arc<Self>, tenant: TenantId) -> Result<Listener, Refused> {
        let mut channels = self.lock();
        if *self.closed.borrow() {
            return Err(Refused::Closed);
        }
        if channels.open >= PER_REPLICA {
            return Err(Refused::ReplicaFull);
        }
        let channel = channels
            .of_tenants
            .entry(tenant)
            .or_insert_with(|| self.start(tenant));
        if channel.listeners >= PER_TENANT {
            return Err(Refused::TenantFull);
        }
        channel.listeners += 1;
        let listener = Listener {
            events: channel.sender.subscribe(),
            ready: channel.ready.clone(),
            closed: self.closed.subscribe(),
            _place: Place {
                hub: Arc::clone(self),
                tenant,
            },
        };
        channels.open += 1;
        metrics::gauge!("kraiter_event_streams_open").set(channels.open as f64);
        Ok(listener)
    }

    fn start(&self, tenant: TenantId) -> Channel {
        let sender = broadcast::Sender::new(BACKLOG);
        let (is_ready, ready) = watch::channel(false);
        let poller = Poller {
            pool: self.pool.clone(),
            tenant,
            listeners: sender.clone(),
            ready: is_ready,
        };
        Channel {
            listeners: 0,
            sender,
            ready,
            poller: self.runtime.spawn(poller.run()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut channels = self.hub.lock();
        channels.open = channels.open.saturating_sub(1);
        metrics::gauge!("kraiter_event_streams_open").set(channels.open as f64);
        let Some(channel) = channels.of_tenants.get_mut(&self.tenant) else {
            return;
        };
        channel.listeners = channel.listeners.saturating_sub(1);
        if channel.listeners == 0 {
            channel.poller.abort();
            channels.of_tenants.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::RecvError;

    use super::*;
    use crate::database::{DatabaseUrl, Planner, pool};

    /// On a database that nobody asks.
    fn hub() -> Arc<Hub> {
        let url = DatabaseUrl::parse("postgres://nobody@127.0.0.1:1/none").unwrap();
        let timeout = std::time::Duration::from_secs(1);
        Hub::new(pool(&url, 1, timeout, Planner::Default).unwrap())
    }

    fn tenant(number: u32) -> TenantId {
        TenantId::new(number).unwrap()
    }

    fn speak(hub: &Hub, times: usize) {
        let sender = hub.lock().of_tenants[&tenant(1)].sender.clone();
        for _ in 0..times {
            sender
                .send(Arc::new(Sent::Skipped(Default::default())))
                .unwrap();
        }
    }

    #[tokio::test]
    async fn a_listener_that_falls_behind_misses_a_counted_number_and_keeps_nobody_waiting() {
        let hub = hub();
        let mut slow = hub.listen(tenant(1)).unwrap();
        let mut quick = hub.listen(tenant(1)).unwrap();
        for _ in 0..3 {
            speak(&hub, BACKLOG);
            for _ in 0..BACKLOG {
                quick.events.recv().await.unwrap();
            }
        }
        let missed = 2 * BACKLOG as u64;
        let Err(RecvError::Lagged(count)) = slow.events.recv().await else {
            panic!("nothing was missed");
        };
        assert_eq!(count, missed);
        for _ in 0..BACKLOG {
            slow.events.recv().await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_poller_ends_with_the_last_listener() {
        let hub = hub();
        let (one, two) = (
            hub.listen(tenant(1)).unwrap(),
            hub.listen(tenant(1)).unwrap(),
        );
        let poller = hub.lock().of_tenants[&tenant(1)].poller.abort_handle();
        drop(one);
        assert!(!poller.is_finished());
        drop(two);
        assert!(hub.lock().of_tenants.is_empty());
        while !poller.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn places_are_counted_and_given_back() {
        let hub = hub();
        let all: Vec<_> = (0..PER_TENANT)
            .map(|_| hub.listen(tenant(1)).unwrap())
            .collect();
        assert!(matches!(hub.listen(tenant(1)), Err(Refused::TenantFull)));
        assert!(hub.listen(tenant(2)).is_ok());
        assert_eq!(
            hub.lock().of_tenants.len(),
            1,
            "a refused or gone one leaves nothing"
        );
        drop(all);
        assert_eq!(hub.lock().open, 0);
        hub.close();
        assert!(matches!(hub.listen(tenant(1)), Err(Refused::Closed)));
    }
}
