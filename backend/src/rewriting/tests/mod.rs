//! What rewriting does to whole mails.
