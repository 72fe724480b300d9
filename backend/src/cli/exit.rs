//! What a command tells its caller by its exit code. All codes are here.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    Done = 0,
    Failed = 1,
    /// The code of clap and of most shells.
    Usage = 2,
    Findings = 3,
}

impl Exit {
    const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::Usage, Self::Findings];

    const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, all is well",
            Self::Failed => "it could not be done, or not to its end",
            Self::Usage => "the command line or a setting is wrong; nothing was done",
            Self::Findings => {
                "done, and found something: differences (verify), damaged or rejected lines (replay)"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The codes and their meaning, as help shows them.
pub(super) fn listed() -> String {
    let lines = Exit::ALL.map(|exit| format!("  {}  {}", exit as u8, exit.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_each_code_with_its_meaning() {
        let document = include_str!("../../../docs/commands.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit as u8, exit.meaning());
            assert!(document.contains(&row), "docs/commands.md lacks {row}");
        }
    }
}
