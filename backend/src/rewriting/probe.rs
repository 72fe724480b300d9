//! A tag that is put in to learn what the tokenizer makes of a place.

use lol_html::TransformController;

use super::RewriteError;
use super::progress::{Progress, Stage};
use super::tokenizer::Tokenizer;

/// No tag of a mail is called like this: a mail is UTF-8, in which that byte does not occur.
pub(super) const PROBE_NAME: &[u8] = b"k\xFF";
pub(super) const PROBE: &[u8] = b"<k\xFF>";

/// Whether a tag in this place is one: asks the tokenizer by writing one. If it is, tells whether
/// it would stand inside an element with a no-track marker.
pub(super) fn probe(
    tokenizer: &mut Tokenizer<impl TransformController>,
    progress: &Progress<'_>,
) -> Result<Option<bool>, RewriteError> {
    progress.enter(Stage::Probing);
    tokenizer.write(PROBE)?;
    Ok(progress.take_probed())
}
