//! The command line: one file a command.

mod api_key;
mod block;
mod completions;
mod exit;
mod failure;
mod help;
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
use clap_complete::Shell;

use crate::config::{ReplayArgs, ServeArgs, StoreArgs, StoreConfig};
use crate::database::{Fault, check};
use crate::store::{Migrate, Store};
use crate::telemetry::{self, LogArgs};
use exit::Exit;
use failure::advised;

/// Heading of what every command takes.
const GLOBAL: &str = "Global options";

/// Commands whose help shows the global options, too.
const OWN_SETTINGS: [&str; 1] = ["serve"];

/// Open and click tracking that a mail platform runs on its own gateways.
#[derive(Parser)]
#[command(name = "kraiter", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten, next_help_heading = GLOBAL)]
    store: StoreArgs,

    #[command(flatten, next_help_heading = GLOBAL)]
    log: LogArgs,

    /// Answer in JSON on one line, for programs.
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service.
    Serve(ServeArgs),
    /// Bring the database to this version's schema. Older backends serve on meanwhile.
    Migrate,
    /// Make and list tenants.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    ApiKey(api_key::ApiKeyCommand),
    /// Block a tenant, a send or a destination host at the edge, and unblock it.
    #[command(
        subcommand,
        after_help = "\
Examples:
  kraiter block host evil.example --reason phishing
  kraiter block send --tenant acme snd_1
  kraiter block host evil.example --remove"
    )]
    Block(block::BlockCommand),
    /// Post event lines from journals and Envoy's logs to a running service.
    ///
    /// Safe at any time: an event that is known is not counted again. Where a run stopped, the next
    /// goes on; how far it came stands in FILE.replayed. Exits with 0 if everything was taken or
    /// known, with 3 if all was read and some lines were damaged or rejected, with 1 if it could
    /// not finish.
    #[command(after_help = "\
Examples:
  kraiter replay /var/log/envoy/events.ndjson
  kraiter replay events.ndjson.2.gz events.ndjson.1 events.ndjson --to http://10.0.0.5:8080
  kraiter replay events.ndjson --follow")]
    Replay(ReplayArgs),
    /// Recount everything from the events and report what differs. Changes nothing.
    ///
    /// Safe beside a running service: all is read as it was at one moment. Exits with 0 if nothing
    /// differs, with 3 if anything does.
    #[command(after_help = "\
Examples:
  kraiter verify
  kraiter verify --tenant acme --json")]
    Verify {
        /// Only this tenant, by name or id.
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
    },
    /// Judge stored opens and clicks anew, with the rules and settings of now.
    ///
    /// Corrects verdicts, counters and rollups in many small transactions. Safe beside a running
    /// service, and at any time: what is as the rules say already is left alone.
    #[command(after_help = "\
Examples:
  kraiter reclassify --dry-run
  kraiter reclassify --since 2026-11-01T00:00:00Z --tenant acme")]
    Reclassify(reclassify::ReclassifyArgs),
    /// Remove events and sends that are older than their tenant keeps them.
    ///
    /// The service does the same every hour by itself. Counters of contacts and statistics stay. It
    /// works in small steps beside a running service and can be stopped at any time.
    #[command(after_help = "\
Examples:
  kraiter retention --dry-run
  kraiter retention --tenant acme")]
    Retention(retention::RetentionArgs),
    /// Show and rotate the keys that sign links.
    #[command(
        subcommand,
        after_help = "\
Examples, in the order of a rotation:
  kraiter keyring add
  kraiter keyring show --expose    the keyring, for every edge
  kraiter keyring sign 2
  kraiter keyring retire 1         once mail of the old key may stop working"
    )]
    Keyring(keyring::KeyringCommand),
    /// Print the OpenAPI document, as the service answers it at /openapi.json.
    Openapi,
    /// Print a script that completes commands and options in your shell.
    #[command(after_help = "\
Examples:
  kraiter completions bash > ~/.local/share/bash-completion/completions/kraiter
  kraiter completions zsh > ~/.zfunc/_kraiter
  kraiter completions fish > ~/.config/fish/completions/kraiter.fish")]
    Completions {
        /// The shell that reads it.
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

/// Runs the command line of this process; `exit.rs` lists its exit codes.
pub fn run() -> ExitCode {
    let exit = match help::parse(std::env::args_os()) {
        Ok(cli) => execute(cli).unwrap_or_else(|error| failure::tell(&error)),
        Err(error) => help::show(&error, std::env::args_os()),
    };
    exit.into()
}

fn execute(cli: Cli) -> anyhow::Result<Exit> {
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
                let mut exit = Exit::Done;
                with_store(cli.store.read()?, async |store| {
                    exit = verify::run(tenant.as_deref(), store, output).await?;
                    Ok(())
                })
                .await?;
                return Ok(exit);
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
            Command::Completions { shell } => completions::run(shell),
        };
        done.map(|()| Exit::Done)
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
        Ok(Some(Fault::Unmigrated)) => Err(advised(
            "the database is not migrated to this version",
            "run kraiter migrate first",
        )),
        Err(error) => Err(error.into()),
    };
    store.close().await?;
    result
}
