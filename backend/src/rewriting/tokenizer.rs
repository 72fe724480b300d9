//! The one place that sets lol_html up.
//!
//! It is driven through its `TransformController`, one level below selectors: those keep a stack
//! of open elements with a hash map, which costs as much again as the tokenizing (measured over
//! MJML mail: 0.5 of a pass-through with one selector, 0.95 like this). lol_html exports that
//! level under a feature without a stability promise, so its version is pinned exactly; what is
//! used of it is this file, `walk` and `end_of_markup`.

use lol_html::errors::RewritingError;
use lol_html::{
    AsciiCompatibleEncoding, LocalName, SharedMemoryLimiter, Tag, TransformController,
    TransformStream, TransformStreamSettings,
};

use super::RewriteError;

pub(super) const HTML_NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// What the tokenizer may take on top of the size of its input, which it copies at worst once.
const MEMORY_BASE: usize = 512 * 1024;

pub(super) struct Tokenizer<C: TransformController> {
    stream: TransformStream<C, fn(&[u8])>,
    max_memory: usize,
}

impl<C: TransformController> Tokenizer<C> {
    /// A tokenizer for at most `bytes` of input that tells `controller` what it sees.
    pub(super) fn new(controller: C, bytes: usize) -> Self {
        let max_memory = MEMORY_BASE + bytes;
        let stream = TransformStream::new(TransformStreamSettings {
            transform_controller: controller,
            output_sink: ignore_output as fn(&[u8]),
            preallocated_parsing_buffer_size: 0,
            memory_limiter: SharedMemoryLimiter::new(max_memory),
            encoding: AsciiCompatibleEncoding::utf_8(),
            next_encoding: Default::default(),
            // The strict mode gives up on some real mail.
            strict: false,
            graceful_bail_out_on_memory_limit_exceeded: false,
            graceful_bail_out_on_content_handler_error: false,
        });
        Self { stream, max_memory }
    }

    pub(super) fn write(&mut self, html: &[u8]) -> Result<(), RewriteError> {
        let result = self.stream.write(html);
        result.map_err(|error| self.failed(error))
    }

    pub(super) fn end(mut self) -> Result<(), RewriteError> {
        let result = self.stream.end();
        result.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: RewritingError) -> RewriteError {
        match error {
            RewritingError::MemoryLimitExceeded(_) => RewriteError::Memory {
                max: self.max_memory,
            },
            other => RewriteError::Tokenizer(other.to_string()),
        }
    }
}

/// Whether what follows such a tag is no markup until it is closed. Where its last attribute has an
/// `=` and no value (`<textarea c=>`), lol_html goes on reading markup, unless the tag is lexed and
/// what follows is scanned.
pub(super) fn starts_raw_text(name: &LocalName<'_>) -> bool {
    let LocalName::Hash(hash) = name else {
        return false;
    };
    RAW_TEXT.iter().any(|raw| *hash == *raw)
}

const RAW_TEXT: [Tag; 10] = [
    Tag::Iframe,
    Tag::Noembed,
    Tag::Noframes,
    Tag::Noscript,
    Tag::Plaintext,
    Tag::Script,
    Tag::Style,
    Tag::Textarea,
    Tag::Title,
    Tag::Xmp,
];

/// Where things are is all that is wanted; the tokenizer's own output is not.
fn ignore_output(_: &[u8]) {}
