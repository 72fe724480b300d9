//! `kraiter keyring show|add|sign|retire`.

use clap::Subcommand;
use kraiter_wire::KeyId;
use serde::Serialize;

use super::output::{Output, table};
use crate::clock::{self, Timestamp};
use crate::config::StoreConfig;
use crate::signing::{KeyState, KeyringFile};

#[derive(Subcommand)]
pub(super) enum KeyringCommand {
    /// List the keys.
    Show {
        /// Print the keyring with its secrets, as the edge takes it in KRAITER_KEYRING.
        #[arg(long)]
        expose: bool,
    },
    /// Add a key that verifies but does not sign yet. Give it to every edge, then let it sign.
    Add,
    /// Sign new mail with this key from now on.
    Sign {
        /// The key's id, as kraiter keyring show lists it.
        id: KeyId,
    },
    /// Forget a key: mail signed with it no longer verifies.
    Retire {
        /// The key's id, as kraiter keyring show lists it.
        id: KeyId,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyView {
    id: u8,
    state: KeyState,
    created_at: Timestamp,
}

pub(super) fn run(
    command: KeyringCommand,
    config: &StoreConfig,
    output: Output,
) -> anyhow::Result<()> {
    let now = clock::now();
    let _lock = KeyringFile::lock(&config.keyring_file)?;
    let file = KeyringFile::open(&config.keyring_file, now)?;
    let file = match command {
        KeyringCommand::Show { expose: false } => file,
        KeyringCommand::Show { expose: true } => {
            let text = file.keyring().expose();
            return output.show(&text, || text.clone());
        }
        KeyringCommand::Add => file.add(now)?.1,
        KeyringCommand::Sign { id } => file.sign_with(id)?,
        KeyringCommand::Retire { id } => file.retire(id)?,
    };
    let views: Vec<_> = file
        .keys()
        .map(|(id, state, created_at)| KeyView {
            id: id.get(),
            state,
            created_at,
        })
        .collect();
    output.show(&views, || {
        let rows = file.keys().map(|(id, state, created_at)| {
            let state = match state {
                KeyState::Signs => "signs and verifies",
                KeyState::Verifies => "verifies",
            };
            [id.to_string(), state.to_owned(), created_at.to_string()]
        });
        table(["ID", "STATE", "CREATED"], rows)
    })
}
