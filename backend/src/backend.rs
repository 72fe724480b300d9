//! What every request handler shares.

use std::sync::Arc;

use actix_web::HttpRequest;
use kraiter_wire::TenantId;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::api_keys::bearer;
use crate::api_keys::directory::KeyDirectory;
use crate::api_keys::rate_limit::RateLimits;
use crate::blocks::feed::PolicyFeed;
use crate::config::IngestSecret;
use crate::database::{Partitions, Pool};
use crate::events::stream::Hub;
use crate::http::{ErrorCode, Problem};
use crate::ingest::IngestQueue;
use crate::signing::SharedKeyring;
use crate::tenants::{Tenant, TenantDirectory};
use crate::verdicts::Rules;
use crate::webhooks;

pub(crate) struct Backend {
    pub(crate) pool: Pool,
    pub(crate) keyring: Arc<SharedKeyring>,
    pub(crate) tenants: Arc<TenantDirectory>,
    pub(crate) keys: KeyDirectory,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) ingest: IngestQueue,
    /// `None`: nothing is judged as it comes.
    pub(crate) rules: Option<Arc<Rules>>,
    pub(crate) ingest_secret: IngestSecret,
    pub(crate) policy: PolicyFeed,
    pub(crate) streams: Arc<Hub>,
    /// `None`: nobody is limited.
    pub(crate) rate_limits: Option<Arc<RateLimits>>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) webhooks: webhooks::Client,
}

impl Backend {
    /// Lets edges in, by the ingest secret, and nobody else.
    pub(crate) fn require_edge(&self, request: &HttpRequest) -> Result<(), Problem> {
        match bearer(request) {
            Some(secret) if self.ingest_secret.matches(secret) => Ok(()),
            _ => Err(Problem::new(
                ErrorCode::InvalidIngestSecret,
                "Edges send the header authorization: Bearer and the ingest secret, not an API key.",
            )),
        }
    }

    /// The tenant of an authorised caller.
    pub(crate) async fn tenant(&self, id: TenantId) -> Result<Arc<Tenant>, Problem> {
        let mut found = self.tenants.find(&self.pool, [id]).await?;
        found
            .remove(&id)
            .ok_or_else(|| Problem::internal("an API key's tenant does not exist"))
    }
}
