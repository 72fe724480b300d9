//! `kraiter api-key create|list|revoke`.

use clap::Subcommand;
use serde::Serialize;

use super::failure::advised;
use super::output::{Output, table};
use super::tenant;
use crate::api_keys::{ApiKey, Credential, KeyName, Scope, store};
use crate::audit::{self, Action, Actor, Entry};
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::random;
use crate::store::Store;

#[derive(Subcommand)]
pub(super) enum ApiKeyCommand {
    /// Make a key. It is shown once and stored hashed.
    #[command(after_help = "\
Example:
  kraiter api-key create --tenant acme --scopes render,read --name renderer")]
    Create {
        /// Name or id of the tenant.
        #[arg(long)]
        tenant: String,
        /// What the key may do: render, read, admin, with commas between them.
        #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', required = true)]
        scopes: Vec<Scope>,
        /// What the key is for, shown in lists.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List a tenant's keys.
    List {
        /// Name or id of the tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Make a key invalid from now on.
    Revoke {
        /// Name or id of the tenant.
        #[arg(long)]
        tenant: String,
        /// The key's id (key_…), as the list shows it.
        id: KeyName,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyView<'a> {
    id: String,
    name: &'a str,
    scopes: &'a [Scope],
    created_at: Timestamp,
    revoked_at: Option<Timestamp>,
    /// Only when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl<'a> KeyView<'a> {
    fn new(key: &'a ApiKey, exposed: Option<String>) -> Self {
        Self {
            id: key.id.to_string(),
            name: &key.name,
            scopes: &key.scopes,
            created_at: key.created_at,
            revoked_at: key.revoked_at,
            key: exposed,
        }
    }
}

pub(super) async fn run(
    command: ApiKeyCommand,
    store: &Store,
    output: Output,
) -> anyhow::Result<()> {
    let now = clock::now();
    match command {
        ApiKeyCommand::Create {
            tenant,
            mut scopes,
            name,
        } => {
            let tenant = tenant::find(store, &tenant).await?;
            scopes.sort();
            scopes.dedup();
            let credential = Credential::new(tenant.id, KeyName(random::uuid_v7(now)));
            let mut client = connect(&store.pool).await?;
            let tx = client.transaction().await?;
            store::create(&*tx, &credential, &name, &scopes, now).await?;
            let entry = Entry::new(tenant.id, Actor::Operator, Action::ApiKeyCreated)
                .about(credential.id)
                .with(serde_json::json!({"scopes": scopes}));
            audit::store::write(&tx, &entry, now).await?;
            tx.commit().await?;
            let key = ApiKey {
                id: credential.id,
                name,
                scopes,
                created_at: now,
                revoked_at: None,
            };
            let exposed = credential.expose();
            output.show(&KeyView::new(&key, Some(exposed.clone())), || exposed)
        }
        ApiKeyCommand::List { tenant } => {
            let tenant = tenant::find(store, &tenant).await?;
            let client = connect(&store.pool).await?;
            let keys = store::list(&**client, tenant.id).await?;
            let views: Vec<_> = keys.iter().map(|key| KeyView::new(key, None)).collect();
            output.show(&views, || {
                let rows = keys.iter().map(|key| {
                    let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
                    let revoked = key.revoked_at.map_or("-".to_owned(), |at| at.to_string());
                    [
                        key.id.to_string(),
                        key.name.clone(),
                        scopes.join(","),
                        key.created_at.to_string(),
                        revoked,
                    ]
                });
                table(["ID", "NAME", "SCOPES", "CREATED", "REVOKED"], rows)
            })
        }
        ApiKeyCommand::Revoke { tenant, id } => {
            let tenant = tenant::find(store, &tenant).await?;
            let mut client = connect(&store.pool).await?;
            let tx = client.transaction().await?;
            let key = store::revoke(&*tx, tenant.id, id, now)
                .await?
                .ok_or_else(|| {
                    let name = &tenant.name;
                    advised(
                        format!("tenant {name} has no key {id}"),
                        format!("kraiter api-key list --tenant {name} shows all"),
                    )
                })?;
            // Revoking twice changes nothing.
            if key.revoked_at == Some(now) {
                let entry = Entry::new(tenant.id, Actor::Operator, Action::ApiKeyRevoked).about(id);
                audit::store::write(&tx, &entry, now).await?;
            }
            tx.commit().await?;
            output.show(&KeyView::new(&key, None), || format!("Revoked {id}."))
        }
    }
}
