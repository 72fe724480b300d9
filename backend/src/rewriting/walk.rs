//! What is noted while the tokenizer goes over a mail or a fragment of it.

use std::cell::Cell;
use std::ops::Range;

use lol_html::errors::RewritingError;
use lol_html::html_content::{Attribute, DocumentEnd, StartTag};
use lol_html::{
    LocalName, Namespace, StartTagHandlingResult, Tag, Token, TokenCaptureFlags as Capture,
    TransformController,
};

use super::ancestors::Ancestors;
use super::conditional_comment;
use super::document::{Findings, FoundLink, Region};
use super::markers;
use super::span::Span;
use super::tokenizer::HTML_NAMESPACE;

/// VML elements that can be a link. Others have an `href` as well, but it names an image.
const VML_LINKS: [&str; 10] = [
    "v:arc",
    "v:curve",
    "v:group",
    "v:image",
    "v:line",
    "v:oval",
    "v:polyline",
    "v:rect",
    "v:roundrect",
    "v:shape",
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Tag names only, and what they ask for.
    Scanning,
    /// Comments as well.
    Lexing,
    /// All is read; the next tag is the probe for what the end is like.
    Probing,
}

/// How far the reading is. The reader moves it on between writes, the walk looks at it.
pub(super) struct Progress(Cell<Stage>);

impl Progress {
    pub(super) fn new(stage: Stage) -> Self {
        Self(Cell::new(stage))
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.0.set(stage);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Mail,
    Fragment(u8),
}

/// The bytes to read and what is known about them.
#[derive(Clone, Copy)]
pub(super) struct Walk<'h> {
    pub(super) html: &'h [u8],
    /// Where `html` starts in the mail.
    pub(super) offset: usize,
    pub(super) depth: Depth,
    /// Where no-track markers may be in the mail.
    pub(super) markers: &'h [usize],
    /// Some of them may stand on elements around links, so it matters what is open.
    pub(super) minds_ancestors: bool,
    pub(super) inherited_no_track: bool,
    /// Given if the mail may hold a pixel of ours: what its `src` starts with.
    pub(super) pixel_source: Option<&'h str>,
}

impl<'h> Walk<'h> {
    pub(super) fn controller<'f>(
        &self,
        progress: &'f Progress,
        found: &'f mut Findings,
    ) -> Controller<'h, 'f> {
        Controller {
            walk: *self,
            progress,
            found,
            ancestors: Ancestors::default(),
        }
    }

    fn text(&self, range: Range<usize>) -> &'h [u8] {
        self.html.get(range).unwrap_or_default()
    }

    /// The tag's name as written; `start` is where the name starts.
    fn name(&self, start: usize) -> &'h [u8] {
        let rest = self.html.get(start..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C | b'/' | b'>');
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// How many markers there may be in a tag.
    fn markers_in(&self, tag: &Range<usize>) -> usize {
        let until = |at: usize| {
            let at = self.offset + at;
            self.markers.partition_point(|marker| *marker < at)
        };
        match self.markers.is_empty() {
            true => 0,
            false => until(tag.end) - until(tag.start),
        }
    }

    fn is_marked(&self, tag: &StartTag<'_>) -> bool {
        tag.attributes().iter().any(|attribute| {
            let value = self.attribute_value(attribute);
            markers::is_no_track(self.attribute_name(attribute), value)
        })
    }

    fn attribute_name(&self, attribute: &Attribute<'_>) -> &'h [u8] {
        let range = attribute.name_source_location().map(|at| at.bytes());
        range.map(|range| self.text(range)).unwrap_or_default()
    }

    fn attribute_value(&self, attribute: &Attribute<'_>) -> &'h [u8] {
        let range = attribute.value_source_location().map(|at| at.bytes());
        range.map(|range| self.text(range)).unwrap_or_default()
    }
}

pub(super) struct Controller<'h, 'f> {
    walk: Walk<'h>,
    progress: &'f Progress,
    found: &'f mut Findings,
    ancestors: Ancestors,
}

impl<'h> Controller<'h, '_> {
    /// What is captured whatever the tag is.
    fn standing(&self) -> Capture {
        let mut capture = Capture::empty();
        if self.progress.0.get() == Stage::Lexing {
            capture |= Capture::COMMENTS;
        }
        capture
    }

    fn no_track(&self) -> bool {
        self.walk.inherited_no_track || self.ancestors.no_track()
    }

    fn start_tag(&mut self, tag: &StartTag<'_>) {
        let at = tag.source_location().bytes();
        let name = self.walk.name(at.start + 1);
        let marked = self.walk.markers_in(&at) > 0 && self.walk.is_marked(tag);
        if self.walk.minds_ancestors {
            let foreign = tag.namespace_uri() != HTML_NAMESPACE;
            let closed_itself = foreign && tag.self_closing();
            self.ancestors.start(name, closed_itself, marked);
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("a") || is("area") || VML_LINKS.iter().any(|link| is(link)) {
            self.found.markers_on_links += self.walk.markers_in(&at);
            self.link(tag, marked);
        } else if is("body") && self.walk.depth == Depth::Mail {
            self.found.document.body_start.get_or_insert(at.end);
        } else if is("img") {
            self.image(tag);
        }
    }

    fn link(&mut self, tag: &StartTag<'_>, marked: bool) {
        let mut value = None;
        let mut unsubscribe = false;
        for attribute in tag.attributes() {
            let name = self.walk.attribute_name(attribute);
            if name.eq_ignore_ascii_case(b"href") {
                // Of doubled attributes the first one counts.
                value = value.or_else(|| attribute.value_source_location());
            } else if name.eq_ignore_ascii_case(b"rel") {
                unsubscribe |= self
                    .walk
                    .attribute_value(attribute)
                    .split(u8::is_ascii_whitespace)
                    .any(|word| word.eq_ignore_ascii_case(b"unsubscribe"));
            } else if name.eq_ignore_ascii_case(markers::UNSUBSCRIBE) {
                unsubscribe = true;
            }
        }
        if let Some(value) = value.map(|at| at.bytes()) {
            self.found.document.links.push(FoundLink {
                value: Span::new(self.walk.offset + value.start..self.walk.offset + value.end),
                no_track: marked || self.no_track(),
                unsubscribe,
            });
        }
    }

    fn image(&mut self, tag: &StartTag<'_>) {
        let Some(source) = self.walk.pixel_source else {
            return;
        };
        let mut attributes = tag.attributes().iter();
        let src = attributes.find(|a| self.walk.attribute_name(a).eq_ignore_ascii_case(b"src"));
        let ours = src.is_some_and(|src| {
            let value = self.walk.attribute_value(src);
            value.starts_with(source.as_bytes())
        });
        self.found.document.has_own_pixel |= ours && self.walk.depth == Depth::Mail;
    }

    fn end_tag(&mut self, at: Range<usize>) {
        let name = self.walk.name(at.start + 2);
        if self.walk.minds_ancestors {
            self.ancestors.end(name);
        }
        if self.walk.depth != Depth::Mail {
            return;
        }
        let document = &mut self.found.document;
        if name.eq_ignore_ascii_case(b"body") {
            document.body_end = Some(at.start);
            document.body_ends += 1;
        } else if name.eq_ignore_ascii_case(b"head") {
            document.head_end.get_or_insert(at.end);
        }
    }

    fn comment(&mut self, at: Range<usize>) {
        if let Some(shown) = conditional_comment::inside(self.walk.html, at.clone()) {
            self.region(shown);
        }
        if self.walk.depth == Depth::Mail {
            self.found.comments.push(at);
        }
    }

    fn is_probing(&self) -> bool {
        self.progress.0.get() == Stage::Probing
    }

    /// The probe is a tag only if nothing was open; otherwise it closed a tag of the mail.
    fn probe(&mut self, tag: &StartTag<'_>) {
        let start = tag.source_location().bytes().start;
        self.found.document.ends_in_markup |= start == self.walk.html.len();
    }

    /// What is not closed at the end swallows the probe.
    fn without_probe(&self, at: Range<usize>) -> Range<usize> {
        let end = self.walk.html.len();
        at.start.min(end)..at.end.min(end)
    }

    /// Text comes in pieces, which are joined again.
    fn text(&mut self, at: Range<usize>) {
        let start = self.walk.offset + at.start;
        match self.found.regions.last_mut() {
            Some(last) if last.range.end == start => last.range.end = self.walk.offset + at.end,
            _ => self.region(at),
        }
    }

    fn region(&mut self, range: Range<usize>) {
        let depth = match self.walk.depth {
            Depth::Mail => 1,
            Depth::Fragment(depth) => depth + 1,
        };
        self.found.regions.push(Region {
            range: self.walk.offset + range.start..self.walk.offset + range.end,
            no_track: self.no_track(),
            depth,
        });
    }
}

impl TransformController for Controller<'_, '_> {
    fn initial_capture_flags(&self) -> Capture {
        self.standing()
    }

    fn handle_start_tag(
        &mut self,
        name: LocalName<'_>,
        namespace: Namespace,
    ) -> StartTagHandlingResult<Self> {
        if self.is_probing() {
            return Ok(Capture::NEXT_START_TAG);
        }
        self.found.document.has_foreign |= namespace != Namespace::Html;
        let mut capture = self.standing();
        let wanted = name == Tag::A
            || name == Tag::Area
            // Names with a colon, such as those of VML, have no hash.
            || matches!(name, LocalName::Bytes(_))
            || name == Tag::Body
            || (name == Tag::Img && self.walk.pixel_source.is_some())
            || self.walk.minds_ancestors;
        if wanted {
            capture |= Capture::NEXT_START_TAG;
        }
        if name == Tag::Noscript {
            capture |= Capture::TEXT;
        }
        Ok(capture)
    }

    fn handle_end_tag(&mut self, name: LocalName<'_>) -> Capture {
        let mut capture = self.standing();
        if name == Tag::Body || name == Tag::Head || self.walk.minds_ancestors {
            capture |= Capture::NEXT_END_TAG;
        }
        capture
    }

    fn handle_token(&mut self, token: &mut Token<'_>) -> Result<(), RewritingError> {
        match token {
            Token::StartTag(tag) if self.is_probing() => self.probe(tag),
            Token::StartTag(tag) => self.start_tag(tag),
            Token::EndTag(_) if self.is_probing() => {}
            Token::EndTag(tag) => self.end_tag(tag.source_location().bytes()),
            Token::Comment(comment) => {
                let at = self.without_probe(comment.source_location().bytes());
                self.comment(at);
            }
            // Text is captured in `<noscript>` only, which mail programs read as markup.
            Token::TextChunk(text) => {
                let at = self.without_probe(text.source_location().bytes());
                self.text(at);
            }
            Token::Doctype(_) => {}
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
