//! How a failure is told to a person: a line that says what is wrong, and one that says what to do.

use std::fmt;

use super::exit::Exit;
use crate::config::ConfigErrors;
use crate::database::DatabaseError;
use crate::replay::{ReplayError, SenderError};
use crate::signing::KeyringFileError;

/// A failure that knows what to do about it.
#[derive(Debug)]
struct Advised {
    problem: String,
    tip: String,
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Advised {}

pub(super) fn advised(problem: impl Into<String>, tip: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Advised {
        problem: problem.into(),
        tip: tip.into(),
    })
}

/// Tells it on standard error.
pub(super) fn tell(error: &anyhow::Error) -> Exit {
    eprintln!("error: {}", story(error));
    if let Some(tip) = tip(error) {
        eprintln!("  tip: {tip}");
    }
    match error.is::<ConfigErrors>() {
        true => Exit::Usage,
        false => Exit::Failed,
    }
}

/// With its causes, until the first of them all was told.
fn story(error: &anyhow::Error) -> String {
    let mut story = error.to_string();
    let root = error.root_cause().to_string();
    for cause in error.chain().skip(1) {
        if story.contains(&root) {
            break;
        }
        story += &format!(": {cause}");
    }
    story
}

fn tip(error: &anyhow::Error) -> Option<&str> {
    if let Some(advised) = error.downcast_ref::<Advised>() {
        return Some(&advised.tip);
    }
    if let Some(DatabaseError::Pool(_)) = error.downcast_ref() {
        return Some("check DATABASE_URL or --database-url, and that the server answers from here");
    }
    if let Some(ReplayError::Send(SenderError::GaveUp { .. })) = error.downcast_ref() {
        return Some("check --to or KRAITER_API; the same command goes on from here");
    }
    error.downcast_ref().and_then(KeyringFileError::tip)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let refused = || std::io::Error::other("refused");
        let told: anyhow::Result<()> = Err(refused()).context("no answer: refused");
        assert_eq!(story(&told.unwrap_err()), "no answer: refused");
        let told = Err::<(), _>(refused()).context("dialling");
        assert_eq!(story(&told.unwrap_err()), "dialling: refused");
        assert_eq!(story(&refused().into()), "refused");
    }
}
