//! The command line: one file a command.

mod api_key;
mod block;
mod keyring;
mod migrate;
mod openapi;
mod output;
mod reclassify;
mod replay;
mod retention;
mod serve;
mod tenant;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{ReplayArgs, ServeArgs, StoreArgs, StoreConfig};
use crate::database::{Fault, check};
use crate::store::{Migrate, Store};
use crate::telemetry::{self, LogArgs};

/// Open and click tracking that a mail platform runs on its own gateways.
#[derive(Parser)]
#[command(name = "kraiter", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    log: LogArgs,

    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service.
    Serve(ServeArgs),
    /// Bring the database to this version's schema.
    Migrate,
    /// Make and list tenants.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    ApiKey(api_key::ApiKeyCommand),
    /// Block a tenant, a send or a destination host at the edge, and unblock it.
    #[command(subcommand)]
    Block(block::BlockCommand),
    /// Post event lines from journals and Envoy's logs to a running service.
    ///
    /// Safe at any time: an event that is known is not counted again. Where a run stopped, the next
    /// goes on; how far it came stands in FILE.replayed. Exits with 0 if everything was taken or
    /// known, with 3 if all was read and some lines were damaged or rejected, with 1 if it could
    /// not finish.
    Replay(ReplayArgs),
    /// Recount everything from the events and report what differs. Changes nothing.
    ///
    /// Safe beside a running service: all is read as it was at one moment. Exits with 0 if nothing
    /// differs, with 1 if anything does.
    Verify {
        /// Only this tenant, by name or id.
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
    },
    /// Judge stored opens and clicks anew, with the rules and settings of now.
    ///
    /// Corrects verdicts, counters and rollups in many small transactions. Safe beside a running
    /// service, and at any time: what is as the rules say already is left alone.
    Reclassify(reclassify::ReclassifyArgs),
    /// Remove events and sends that are older than their tenant keeps them.
    ///
    /// The service does the same every hour by itself. Counters of contacts and statistics stay. It
    /// works in small steps beside a running service and can be stopped at any time.
    Retention(retention::RetentionArgs),
    /// Show and rotate the keys that sign links.
    #[command(subcommand)]
    Keyring(keyring::KeyringCommand),
    /// Print the OpenAPI document of this version, as the service answers it at /openapi.json.
    Openapi,
}

/// Runs the command line of this process. Exits with 0 on success, 1 on failure, 2 on wrong usage;
/// a command may have codes of its own.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    telemetry::log(&cli.log)?;
    let output = output::Output { json: cli.json };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // On this thread: a private Postgres lives as long as the thread that starts it.
    runtime.block_on(async {
        let done = match cli.command {
            Command::Replay(args) => return replay::run(&args, &cli.store, output).await,
            Command::Serve(args) => serve::run(&args, &cli.store).await,
            Command::Migrate => migrate::run(cli.store.read()?, output).await,
            Command::Tenant(command) => {
                with_store(cli.store.read()?, async |store| {
                    tenant::run(command, store, output).await
                })
                .await
            }
            Command::ApiKey(command) => {
                with_store(cli.store.read()?, async |store| {
                    api_key::run(command, store, output).await
                })
                .await
            }
            Command::Block(command) => {
                with_store(cli.store.read()?, async |store| {
                    block::run(command, store, output).await
                })
                .await
            }
            Command::Verify { tenant } => {
                let mut code = ExitCode::SUCCESS;
                with_store(cli.store.read()?, async |store| {
                    code = verify::run(tenant.as_deref(), store, output).await?;
                    Ok(())
                })
                .await?;
                return Ok(code);
            }
            Command::Reclassify(args) => {
                with_store(cli.store.read()?, async |store| {
                    reclassify::run(&args, store, output).await
                })
                .await
            }
            Command::Retention(args) => {
                with_store(cli.store.read()?, async |store| {
                    retention::run(&args, store, output).await
                })
                .await
            }
            Command::Keyring(command) => keyring::run(command, &cli.store.read()?, output),
            Command::Openapi => openapi::run(),
        };
        done.map(|()| ExitCode::SUCCESS)
    })
}

/// Opens the database for one command and closes it again, whatever the command's outcome.
async fn with_store(
    config: StoreConfig,
    command: impl AsyncFnOnce(&Store) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let store = Store::open(&config, 2, Migrate::No).await?;
    let result = match check(&store.pool).await {
        // Reading works on a standby, too.
        Ok(None | Some(Fault::ReadOnly)) => command(&store).await,
        Ok(Some(Fault::Unmigrated)) => Err(anyhow::anyhow!(
            "the database is not migrated; run kraiter migrate first"
        )),
        Err(error) => Err(error.into()),
    };
    store.close().await?;
    result
}
