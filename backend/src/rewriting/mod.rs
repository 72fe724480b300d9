//! Rewriting a mail: links and pixel are signed for one recipient, every other byte is kept.
//!
//! The mail is read once into a [`Plan`]: fixed bytes, and the places where a signed URL or the
//! pixel goes. Rendering the plan for a recipient copies and signs and does nothing else.
//!
//! ```text
//! cuts      -> what looks like a link or a conditional comment
//! document  -> where links, bodies and the end of the markup are   (the tokenizer's view)
//! regions   -> the same for what mail programs show and browsers do not
//! href      -> what a browser makes of an attribute's value
//! judgement -> wrap it, or leave it and say why
//! pixel     -> where the pixel goes and what it looks like
//! plan      -> all of that for one mail, kept
//! render    -> the plan for one recipient
//! stencil   -> the plan written once for many recipients
//! preview   -> the plan for nobody: to look at
//! ```
//!
//! Pure: no I/O, no clock, no randomness, no knowledge of HTTP or of the database.

mod ancestors;
mod any_case;
mod attributes;
mod base;
mod characters;
mod conditional_comment;
mod cuts;
mod document;
mod end_of_markup;
mod error;
mod href;
mod judgement;
mod link_tag;
mod markers;
mod options;
mod pixel;
mod placeholder;
mod plain_text;
mod plan;
mod preview;
mod probe;
mod progress;
mod regions;
mod render;
mod report;
mod span;
mod stencil;
#[cfg(test)]
mod tests;
mod tokenizer;
mod unsubscribe;
mod walk;

pub use base::{BaseError, PathPrefix, TrackingBase, TrackingOrigin};
pub use error::RewriteError;
pub use judgement::SkipReason;
pub use options::{Options, PixelPosition};
pub use plan::{MAX_MAIL_BYTES, Plan, Rules};
pub use preview::{LINK_MARK, Preview};
pub use render::{GMAIL_CLIP_BYTES, Recipient, Rewritten, Scratch};
pub use report::LinkReport;
pub use stencil::Stencil;
