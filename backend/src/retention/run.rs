//! One run: tenant by tenant in small transactions, then partitions.

use std::time::{Duration, Instant};

use kraiter_wire::TenantId;
use tokio_postgres::error::SqlState;

use super::{Report, RetentionError, TenantReport, kept_since, store};
use crate::audit::{self, Action, Actor, Entry};
use crate::clock::Timestamp;
use crate::database::{Client, DatabaseError, Partitions, Pool, connect};
use crate::idempotency;
use crate::previews;
use crate::tenants::{self, Tenant};

/// How long a command waits for another run to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A partition in use is tried again this often; each try keeps ingest waiting for a fifth of a
/// second at most, and the pause between lets it through.
const DROP_ATTEMPTS: u32 = 10;
const DROP_PAUSE: Duration = Duration::from_millis(500);

/// Hears of a run's progress.
pub(crate) trait Steps {
    /// That many events are going to be removed.
    fn total(&mut self, _events: u64) {}
    /// That many more were.
    fn removed(&mut self, _events: u64) {}
    fn doing(&mut self, _what: &str) {}
    /// Whether it is worth counting what there is to do before it is done.
    fn wants_total(&self) -> bool {
        false
    }
}

impl Steps for () {}

/// What a run is to do.
pub(crate) struct Run<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) partitions: &'a Partitions,
    pub(crate) now: Timestamp,
    pub(crate) actor: Actor,
    /// Only this tenant; then no partition is dropped.
    pub(crate) only: Option<TenantId>,
    /// Sends age by days, and looking for old ones reads them all.
    pub(crate) with_sends: bool,
    pub(crate) dry_run: bool,
}

impl Run<'_> {
    /// Fails if another run does not end soon.
    pub(crate) async fn apply(&self, steps: &mut impl Steps) -> Result<Report, RetentionError> {
        let mut client = connect(self.pool).await?;
        let start = Instant::now();
        while !store::try_lock(&client).await? {
            if start.elapsed() >= PATIENCE {
                return Err(RetentionError::UnderWay);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let report = self.with_lock(&mut client, steps).await;
        if store::unlock(&client).await.is_err() {
            // The lock goes with the connection.
            drop(deadpool_postgres::Object::take(client));
        }
        report
    }

    async fn with_lock(
        &self,
        client: &mut Client,
        steps: &mut impl Steps,
    ) -> Result<Report, RetentionError> {
        let mut tenants = tenants::store::list(&***client).await?;
        tenants.retain(|tenant| self.only.is_none_or(|only| tenant.id == only));
        let mut limits = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            let wanted = kept_since(tenant.settings.retention_days, self.now);
            let since = match self.dry_run {
                true => tenant.kept_since.map_or(wanted, |old| old.max(wanted)),
                // Said first: from now on nobody relies on what is older.
                false => store::advance(client, tenant.id, wanted).await?,
            };
            limits.push((tenant, since));
        }
        let mut report = Report {
            dry_run: self.dry_run,
            tenants: Vec::new(),
            partitions: Vec::new(),
            busy_partitions: Vec::new(),
        };
        if self.only.is_none() {
            steps.doing("dropping partitions");
            self.drop_partitions(client, &limits, &mut report).await?;
        }
        if steps.wants_total() && !self.dry_run {
            let mut total = 0;
            for (tenant, since) in &limits {
                total += store::count_events(client, tenant.id, *since).await?;
            }
            steps.total(total);
        }
        for (tenant, since) in limits {
            report
                .tenants
                .push(self.one_tenant(client, tenant, since, steps).await?);
        }
        Ok(report)
    }

    async fn one_tenant(
        &self,
        client: &mut Client,
        tenant: Tenant,
        since: Timestamp,
        steps: &mut impl Steps,
    ) -> Result<TenantReport, DatabaseError> {
        let mut report = TenantReport {
            id: tenant.id.get(),
            name: tenant.name,
            kept_since: since,
            events: 0,
            sends: 0,
            previews: 0,
        };
        if self.dry_run {
            report.events = store::count_events(client, tenant.id, since).await?;
            report.sends = store::count_sends(client, tenant.id, since).await?;
            report.previews = previews::store::count_older(client, tenant.id, since).await?;
            return Ok(report);
        }
        self.remove_idempotency_keys(client, tenant.id).await?;
        steps.doing(&format!("events of {}", report.name));
        loop {
            let batch = Instant::now();
            let removed = store::remove_events(client, tenant.id, since).await?;
            if removed == 0 {
                break;
            }
            report.events += removed;
            steps.removed(removed);
            // Half of the time belongs to others.
            tokio::time::sleep(batch.elapsed()).await;
        }
        store::remove_webhooks(client, tenant.id, since).await?;
        if self.with_sends {
            steps.doing(&format!("sends of {}", report.name));
            let mut after = Some(String::new());
            while let Some(from) = after {
                let batch = Instant::now();
                let page = store::remove_sends(client, tenant.id, since, &from).await?;
                report.sends += page.removed;
                after = page.last;
                tokio::time::sleep(batch.elapsed()).await;
            }
        }
        report.previews = previews::store::remove_older(client, tenant.id, since).await?;
        if report.events + report.sends + report.previews > 0 {
            let detail = serde_json::json!({"events": report.events, "sends": report.sends,
                "previews": report.previews, "keptSince": since});
            let entry = Entry::new(tenant.id, self.actor, Action::RetentionApplied).with(detail);
            audit::store::write(client, &entry, self.now).await?;
        }
        Ok(report)
    }

    async fn remove_idempotency_keys(
        &self,
        client: &Client,
        tenant: TenantId,
    ) -> Result<(), DatabaseError> {
        let oldest = self.now.minus(idempotency::KEPT);
        loop {
            let batch = Instant::now();
            if idempotency::remove_old(client, tenant, oldest).await? == 0 {
                return Ok(());
            }
            tokio::time::sleep(batch.elapsed()).await;
        }
    }

    /// Drops what lies before every tenant's limit: much cheaper than row by row.
    async fn drop_partitions(
        &self,
        client: &mut Client,
        limits: &[(Tenant, Timestamp)],
        report: &mut Report,
    ) -> Result<(), DatabaseError> {
        if self.dry_run {
            if let Some(oldest) = limits.iter().map(|(_, since)| *since).min() {
                report.partitions = Partitions::before(client, oldest).await?;
            }
            return Ok(());
        }
        let mut attempts = 0;
        loop {
            match self.drop_one(client).await {
                Ok(Some(name)) => report.partitions.push(name),
                Ok(None) => return Ok(()),
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    attempts += 1;
                    if attempts == DROP_ATTEMPTS {
                        if let Some(oldest) = limits.iter().map(|(_, since)| *since).min() {
                            report.busy_partitions = Partitions::before(client, oldest).await?;
                        }
                        tracing::warn!(
                            partitions = ?report.busy_partitions,
                            "old partitions are in use; they are dropped by a later run"
                        );
                        return Ok(());
                    }
                    tokio::time::sleep(DROP_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn drop_one(&self, client: &mut Client) -> Result<Option<String>, DatabaseError> {
        let tx = client.transaction().await?;
        // A tenant that is being made, which has no limit yet, is waited for.
        let Some(oldest) = store::oldest_limit(&tx).await? else {
            return Ok(None);
        };
        let Some(name) = Partitions::before(&tx, oldest).await?.into_iter().next() else {
            return Ok(None);
        };
        self.partitions.drop(&tx, &name).await?;
        let entry = Entry::new(None, self.actor, Action::PartitionDropped).about(&name);
        audit::store::write(&tx, &entry, self.now).await?;
        tx.commit().await?;
        Ok(Some(name))
    }
}
