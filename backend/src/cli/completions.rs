//! `kraiter completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, output};

/// Prints the script. Needs neither a database nor a configuration.
pub(super) fn run(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kraiter", &mut script);
    output::print(String::from_utf8(script)?.trim_end())
}
