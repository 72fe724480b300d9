//! Where markup can still be put into a mail that ends in the middle of something.
//!
//! An unclosed comment, tag, `<style>` or `<noscript>` swallows whatever follows it, so the pixel
//! has to stand before it. Few mails are like that; they are lexed once more, whole.

use std::cell::Cell;

use lol_html::errors::RewritingError;
use lol_html::html_content::{DocumentEnd, TextType};
use lol_html::{
    LocalName, Namespace, StartTagHandlingResult, Token, TokenCaptureFlags as Capture,
    TransformController,
};

use super::RewriteError;
use super::tokenizer::{HTML_NAMESPACE, Tokenizer, starts_raw_text};

/// The last offset of `html` at which a tag written there is one.
pub(super) fn last_markup_offset(html: &str) -> Result<usize, RewriteError> {
    let bytes = html.as_bytes();
    let mut seen = LastTokens::default();
    let mut tokenizer = Tokenizer::new(
        Recorder {
            html: bytes,
            seen: &mut seen,
        },
        bytes.len(),
    );
    tokenizer.write(bytes)?;
    tokenizer.end()?;
    for offset in [seen.end, seen.start, seen.foreign] {
        if is_html_at(html, offset)? {
            return Ok(offset);
        }
    }
    Ok(0)
}

/// Asks the tokenizer itself: is a tag written at `offset` seen as one, and as one of HTML? An
/// image within SVG ends the SVG, and what follows is read in another way than before.
pub(super) fn is_html_at(html: &str, offset: usize) -> Result<bool, RewriteError> {
    let start = html.as_bytes().get(..offset).unwrap_or_default();
    let asked = Cell::new(false);
    let mut answer = false;
    let probe = Probe {
        offset: start.len(),
        asked: &asked,
        answer: &mut answer,
    };
    let mut tokenizer = Tokenizer::new(probe, start.len());
    tokenizer.write(start)?;
    asked.set(true);
    tokenizer.write(b"<wbr>")?;
    tokenizer.end()?;
    Ok(answer)
}

#[derive(Default)]
struct LastTokens {
    /// Where the last complete token ends that leaves the tokenizer in markup.
    end: usize,
    /// Where the last start tag or run of text began.
    start: usize,
    /// Where the outermost SVG or MathML began, if the last start tag was within one.
    foreign: usize,
    in_foreign: bool,
    /// What follows the start tag that is read is no markup.
    starts_raw_text: bool,
}

struct Recorder<'r> {
    html: &'r [u8],
    seen: &'r mut LastTokens,
}

impl TransformController for Recorder<'_> {
    fn initial_capture_flags(&self) -> Capture {
        Capture::all()
    }

    fn handle_start_tag(
        &mut self,
        name: LocalName<'_>,
        _: Namespace,
    ) -> StartTagHandlingResult<Self> {
        self.seen.starts_raw_text = starts_raw_text(&name);
        Ok(match self.seen.starts_raw_text {
            true => Capture::NEXT_START_TAG,
            false => Capture::all(),
        })
    }

    fn handle_end_tag(&mut self, _: LocalName<'_>) -> Capture {
        Capture::all()
    }

    fn handle_token(&mut self, token: &mut Token<'_>) -> Result<(), RewritingError> {
        let seen = &mut self.seen;
        match token {
            Token::StartTag(tag) => {
                let at = tag.source_location().bytes();
                (seen.start, seen.end) = (at.start, at.end);
                if seen.starts_raw_text {
                    seen.end = at.start;
                }
                let foreign = tag.namespace_uri() != HTML_NAMESPACE;
                if foreign && !seen.in_foreign {
                    seen.foreign = at.start;
                }
                seen.in_foreign = foreign;
            }
            Token::EndTag(tag) => seen.end = tag.source_location().bytes().end,
            Token::Comment(comment) => {
                let at = comment.source_location().bytes();
                let whole = self.html.get(at.clone()).unwrap_or_default();
                if is_closed_comment(whole) {
                    seen.end = at.end;
                }
            }
            Token::TextChunk(text) if text.text_type() == TextType::Data => {
                let at = text.source_location().bytes();
                if !at.is_empty() {
                    (seen.start, seen.end) = (at.start, at.end);
                }
            }
            // Raw text: back to before the element it stands in.
            Token::TextChunk(_) => seen.end = seen.start,
            Token::Doctype(doctype) => seen.end = doctype.source_location().bytes().end,
        }
        Ok(())
    }

    fn handle_end(&mut self, _: &mut DocumentEnd<'_>) -> Result<(), RewritingError> {
        Ok(())
    }

    fn should_emit_content(&self) -> bool {
        false
    }
}

/// At the end of a mail an unclosed comment is a comment as well.
fn is_closed_comment(comment: &[u8]) -> bool {
    match comment.starts_with(b"<!--") {
        true => comment.ends_with(b"-->") || comment.ends_with(b"--!>"),
        // Other things that are read as comments, such as `<?xml … >`.
        false => comment.ends_with(b">"),
    }
}

struct Probe<'p> {
    offset: usize,
    asked: &'p Cell<bool>,
    answer: &'p mut bool,
}

impl TransformController for Probe<'_> {
    fn initial_capture_flags(&self) -> Capture {
        Capture::empty()
    }

    fn handle_start_tag(
        &mut self,
        name: LocalName<'_>,
        _: Namespace,
    ) -> StartTagHandlingResult<Self> {
        Ok(match self.asked.get() || starts_raw_text(&name) {
            true => Capture::NEXT_START_TAG,
            false => Capture::empty(),
        })
    }

    fn handle_end_tag(&mut self, _: LocalName<'_>) -> Capture {
        Capture::empty()
    }

    fn handle_token(&mut self, token: &mut Token<'_>) -> Result<(), RewritingError> {
        if let Token::StartTag(tag) = token {
            let is_probe = tag.source_location().bytes().start == self.offset;
            *self.answer |= is_probe && tag.namespace_uri() == HTML_NAMESPACE;
        }
        Ok(())
    }

    fn handle_end(&mut self, _: &mut DocumentEnd<'_>) -> Result<(), RewritingError> {
        Ok(())
    }

    fn should_emit_content(&self) -> bool {
        false
    }
}
