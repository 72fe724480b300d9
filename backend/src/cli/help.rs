//! Parsing, and the help that people read: subcommands show what is theirs, `kraiter --help` the rest.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches};

use super::exit::{self, Exit};
use super::{Cli, OWN_SETTINGS};

const ELSEWHERE: &str =
    "Settings of all commands, such as --database-url and --data-dir: kraiter --help";

pub(super) fn command() -> Command {
    let mut command = Cli::command().after_help(exit::listed());
    // From here on subcommands have their copies of the global options.
    command.build();
    command.mut_subcommands(brief)
}

/// Without the settings that all commands have.
fn brief(command: Command) -> Command {
    if OWN_SETTINGS.contains(&command.get_name()) {
        return command;
    }
    let own = command.get_after_help().map(ToString::to_string);
    let after = [own, Some(ELSEWHERE.to_owned())];
    let after: Vec<_> = after.into_iter().flatten().collect();
    command
        .after_help(after.join("\n\n"))
        .mut_args(|arg| match arg.is_global_set() && arg.get_id() != "json" {
            true => arg.hide(true),
            false => arg,
        })
        .mut_subcommands(brief)
}

pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = command();
    let matches = command.try_get_matches_from_mut(&args);
    matches.and_then(|mut matches| {
        let cli = Cli::from_arg_matches_mut(&mut matches);
        cli.map_err(|error| error.format(&mut command))
    })
}

/// Shows what clap has to say: help or a version that was asked for, or a mistake.
pub(super) fn show(error: &clap::Error, args: impl IntoIterator<Item = OsString>) -> Exit {
    // clap takes settings in the environment for arguments and then only names what is missing.
    if error.kind() == ErrorKind::MissingSubcommand {
        let asked = args.into_iter().chain([OsString::from("--help")]);
        if let Err(help) = command().try_get_matches_from(asked) {
            eprint!("{}", help.render());
            return Exit::Usage;
        }
    }
    // Nobody is there to be told that they cannot be told.
    let _ = error.print();
    match error.use_stderr() {
        true => Exit::Usage,
        false => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command and all below it, by their full names.
    fn all() -> Vec<Command> {
        fn walk(command: &Command, found: &mut Vec<Command>) {
            found.push(command.clone());
            for below in command.get_subcommands() {
                if below.get_name() != "help" {
                    walk(below, found);
                }
            }
        }
        let mut found = Vec::new();
        walk(&command(), &mut found);
        found
    }

    fn name(command: &Command) -> &str {
        command.get_bin_name().unwrap_or_else(|| command.get_name())
    }

    #[test]
    fn no_line_of_any_help_is_longer_than_a_hundred_columns() {
        let commands = all();
        assert!(commands.len() > 20, "{}", commands.len());
        for mut command in commands {
            let texts = [command.render_help(), command.render_long_help()];
            for text in texts.map(|text| text.to_string()) {
                for line in text.lines() {
                    let columns = line.chars().count();
                    assert!(columns <= 100, "{}: {line:?}", name(&command));
                }
            }
        }
    }

    #[test]
    fn every_command_and_every_option_says_what_it_means() {
        for command in all() {
            assert!(command.get_about().is_some(), "{}", name(&command));
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let what = format!("{} {}", name(&command), arg.get_id());
                let help = arg.get_help().map(ToString::to_string);
                assert!(help.is_some_and(|help| help.len() > 5), "{what}");
                if arg.get_action().takes_values() {
                    let values = arg.get_value_names().unwrap_or_default();
                    let named = !values.is_empty() && values.iter().all(|v| !v.contains('_'));
                    assert!(named, "{what}: {values:?}");
                }
            }
        }
    }

    #[test]
    fn every_example_parses() {
        let mut examples = 0;
        for command in all() {
            let after = command.get_after_help().map(ToString::to_string);
            for line in after.unwrap_or_default().lines() {
                let Some(line) = line.strip_prefix("  kraiter ") else {
                    continue;
                };
                let example = line.split("  ").next().unwrap_or_default();
                let words = ["kraiter"].into_iter().chain(example.split(' '));
                let words = words.take_while(|word| !matches!(*word, ">" | "|"));
                let parsed = parse(words.map(OsString::from));
                assert!(parsed.is_ok(), "{line}: {}", parsed.err().unwrap());
                examples += 1;
            }
        }
        assert!(examples > 10, "{examples}");
    }

    #[test]
    fn subcommands_show_what_is_theirs_and_serve_shows_every_setting() {
        for mut command in all() {
            let help = command.render_long_help().to_string();
            let all_settings = ["kraiter", "kraiter serve"].contains(&name(&command));
            assert_eq!(help.contains("--data-dir <DIR>"), all_settings, "{help}");
            assert!(help.contains("--json"), "{help}");
        }
    }

    #[test]
    fn hidden_settings_are_taken_everywhere() {
        let words = "kraiter tenant --log warn list --data-dir /tmp/x --json";
        let parsed = parse(words.split(' ').map(OsString::from));
        assert!(parsed.is_ok_and(|cli| cli.json));
    }
}
