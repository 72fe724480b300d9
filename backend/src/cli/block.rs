//! `kraiter block tenant|send|host|list`.

use clap::{Args, Subcommand};
use kraiter_wire::SendId;
use serde::Serialize;

use super::failure::advised;
use super::output::{Output, table};
use super::tenant;
use crate::audit::{self, Actor};
use crate::blocks::store::{self, Put, Scope};
use crate::blocks::{Block, HostName, Reason, SetBy, Target};
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::store::Store;
use crate::tenants::{self, Tenant};

#[derive(Subcommand)]
pub(super) enum BlockCommand {
    /// Block all mail of a tenant: its pixels and links answer 410 Gone and record nothing.
    Tenant {
        /// Name or id of the tenant.
        tenant: String,
        #[command(flatten)]
        how: How,
    },
    /// Block one send.
    Send {
        /// Name or id of the tenant.
        #[arg(long)]
        tenant: String,
        /// The send's id.
        #[arg(value_parser = send_id)]
        id: SendId<'static>,
        #[command(flatten)]
        how: How,
    },
    /// Block a destination host and its subdomains.
    Host {
        /// Like evil.example, without scheme, port and path.
        #[arg(value_name = "HOST")]
        host: HostName,
        /// Only in this tenant's mail [default: in everybody's].
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// List what is blocked, by the operator and by tenants.
    List {
        /// Only in this tenant's mail.
        #[arg(long)]
        tenant: Option<String>,
    },
}

#[derive(Args)]
pub(super) struct How {
    /// Unblock.
    #[arg(long, conflicts_with = "reason")]
    remove: bool,
    /// Why; the tenant can read it.
    #[arg(long)]
    reason: Option<Reason>,
}

fn send_id(text: &str) -> Result<SendId<'static>, String> {
    SendId::parse(text.to_owned()).map_err(|error| error.to_string())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockView<'a> {
    /// `null`: blocked for all tenants.
    tenant: Option<u32>,
    kind: &'static str,
    /// `null` for a tenant as a whole.
    value: Option<&'a str>,
    reason: Option<&'a str>,
    created_at: Timestamp,
    set_by: SetBy,
}

impl<'a> BlockView<'a> {
    fn new(tenant: i32, block: &'a Block) -> Self {
        Self {
            tenant: u32::try_from(tenant).ok().filter(|tenant| *tenant > 0),
            kind: block.target.kind(),
            value: Some(block.target.value()).filter(|value| !value.is_empty()),
            reason: block.reason.as_deref(),
            created_at: block.created_at,
            set_by: block.set_by,
        }
    }
}

pub(super) async fn run(
    command: BlockCommand,
    store: &Store,
    output: Output,
) -> anyhow::Result<()> {
    let (tenant, target, how) = match command {
        BlockCommand::Tenant { tenant, how } => (Some(tenant), Target::Tenant, how),
        BlockCommand::Send { tenant, id, how } => (Some(tenant), Target::Send(id), how),
        BlockCommand::Host { host, tenant, how } => (tenant, Target::Host(host), how),
        BlockCommand::List { tenant } => return list(tenant.as_deref(), store, output).await,
    };
    let tenant = match tenant {
        Some(name_or_id) => Some(tenant::find(store, &name_or_id).await?),
        None => None,
    };
    change(tenant.as_ref(), &target, &how, store, output).await
}

async fn change(
    tenant: Option<&Tenant>,
    target: &Target,
    how: &How,
    store: &Store,
    output: Output,
) -> anyhow::Result<()> {
    let scope = tenant.map_or(Scope::All, |tenant| Scope::One(tenant.id));
    let whose = tenant.map_or_else(
        || "all tenants".to_owned(),
        |tenant| format!("tenant {}", tenant.name),
    );
    let what = match target {
        Target::Tenant => whose.clone(),
        Target::Send(id) => format!("send {id} of {whose}"),
        Target::Host(host) => format!("host {host} for {whose}"),
    };
    let mut client = connect(&store.pool).await?;
    let tx = client.transaction().await?;
    let now = clock::now();
    let whom = tenant.map(|tenant| tenant.id);
    if how.remove {
        if !store::remove(&tx, scope, SetBy::Operator, target).await? {
            return Err(advised(
                format!("the operator has not blocked {what}"),
                "kraiter block list shows all blocks",
            ));
        }
        let entry = target.audited(whom, Actor::Operator, false);
        audit::store::write(&tx, &entry, now).await?;
        tx.commit().await?;
        let removed = serde_json::json!({"removed": true});
        return output.show(&removed, || format!("Unblocked {what}."));
    }
    let reason = how.reason.as_ref();
    let put = store::put(&tx, scope, SetBy::Operator, target, reason, now).await??;
    if matches!(put, Put::Made(_)) {
        let entry = target.audited(whom, Actor::Operator, true);
        audit::store::write(&tx, &entry, now).await?;
    }
    tx.commit().await?;
    let (block, message) = match &put {
        Put::Made(block) => (block, format!("Blocked {what}.")),
        Put::Kept(block) => (block, format!("{what} was blocked already.")),
    };
    let tenant = tenant.map_or(0, |tenant| tenants::store::key(tenant.id));
    output.show(&BlockView::new(tenant, block), || message)
}

async fn list(tenant: Option<&str>, store: &Store, output: Output) -> anyhow::Result<()> {
    let tenant = match tenant {
        Some(name_or_id) => Some(tenant::find(store, name_or_id).await?.id),
        None => None,
    };
    let client = connect(&store.pool).await?;
    let blocks = store::list_all(&client, tenant).await?;
    let views: Vec<_> = blocks
        .iter()
        .map(|(tenant, block)| BlockView::new(*tenant, block))
        .collect();
    output.show(&views, || {
        let rows = views.iter().map(|view| {
            [
                view.tenant.map_or("all".to_owned(), |id| id.to_string()),
                view.kind.to_owned(),
                view.value.unwrap_or("-").to_owned(),
                view.set_by.as_str().to_owned(),
                view.created_at.to_string(),
                view.reason.unwrap_or("-").to_owned(),
            ]
        });
        table(
            ["TENANT", "KIND", "VALUE", "SET BY", "CREATED", "REASON"],
            rows,
        )
    })
}
