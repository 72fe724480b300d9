//! `kraiter tenant create|list`, and finding the tenant that a command names.

use clap::Subcommand;
use serde::Serialize;

use super::failure::advised;
use super::output::{Output, table};
use crate::audit::{self, Action, Actor, Entry};
use crate::clock;
use crate::database::connect;
use crate::store::Store;
use crate::tenants::{self, Settings, Tenant, TenantName, TrackingOrigin};

#[derive(Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant.
    #[command(after_help = "\
Example:
  kraiter tenant create acme --tracking-origin https://click.acme.example")]
    Create {
        /// How operators call it: letters, digits and any of . - _
        #[arg(value_name = "NAME")]
        name: TenantName,
        /// Where recipients reach the edge, like https://click.example.com
        #[arg(long, value_name = "ORIGIN")]
        tracking_origin: TrackingOrigin,
    },
    /// List all tenants.
    List,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TenantView<'a> {
    id: u32,
    name: &'a TenantName,
    created_at: clock::Timestamp,
    #[serde(flatten)]
    settings: &'a Settings,
}

impl<'a> From<&'a Tenant> for TenantView<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        let Tenant {
            id,
            name,
            created_at,
            settings,
            kept_since: _,
        } = tenant;
        Self {
            id: id.get(),
            name,
            created_at: *created_at,
            settings,
        }
    }
}

pub(super) async fn run(
    command: TenantCommand,
    store: &Store,
    output: Output,
) -> anyhow::Result<()> {
    let mut client = connect(&store.pool).await?;
    match command {
        TenantCommand::Create {
            name,
            tracking_origin,
        } => {
            let now = clock::now();
            let mut tx = client.transaction().await?;
            match tenants::store::create(&mut *tx, &name, &tracking_origin, now).await? {
                Ok(tenant) => {
                    let entry = Entry::new(tenant.id, Actor::Operator, Action::TenantCreated);
                    audit::store::write(&tx, &entry, now).await?;
                    tx.commit().await?;
                    output.show(&TenantView::from(&tenant), || {
                    format!(
                        "Made tenant {name} with id {}. Make it an API key: kraiter api-key create \
                         --tenant {name} --scopes render,read",
                        tenant.id
                    )
                })
                }
                Err(taken) => Err(advised(
                    format!("there is a tenant {name} already, with id {}", taken.id),
                    "choose another name; kraiter tenant list shows those that are taken",
                )),
            }
        }
        TenantCommand::List => {
            let tenants = tenants::store::list(&**client).await?;
            let views: Vec<_> = tenants.iter().map(TenantView::from).collect();
            output.show(&views, || {
                let rows = tenants.iter().map(|tenant| {
                    [
                        tenant.id.to_string(),
                        tenant.name.to_string(),
                        tenant.settings.tracking_origin.as_str().to_owned(),
                        tenant.created_at.to_string(),
                    ]
                });
                table(["ID", "NAME", "TRACKING ORIGIN", "CREATED"], rows)
            })
        }
    }
}

/// The tenant of this name or id.
pub(super) async fn find(store: &Store, name_or_id: &str) -> anyhow::Result<Tenant> {
    let client = connect(&store.pool).await?;
    let tenants = tenants::store::list(&**client).await?;
    tenants
        .into_iter()
        .find(|tenant| tenant.name.as_str() == name_or_id || tenant.id.to_string() == name_or_id)
        .ok_or_else(|| {
            let problem = format!("there is no tenant {name_or_id:?}");
            advised(problem, "kraiter tenant list shows all, by name and id")
        })
}
