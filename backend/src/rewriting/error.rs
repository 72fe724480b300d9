//! Why a mail as a whole cannot be rewritten. A link that cannot be wrapped is no error.

/// Data only; the sentence is made where a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    #[error("the mail has {got} bytes, more than {max}")]
    TooLarge { got: usize, max: usize },
    /// One tag with attributes without end: reading it would take more memory than `max` bytes.
    #[error("reading the mail takes more than {max} bytes of memory")]
    Memory { max: usize },
    /// The tokenizer contradicted itself; not known to happen.
    #[error("the mail could not be read: {0}")]
    Tokenizer(String),
}
