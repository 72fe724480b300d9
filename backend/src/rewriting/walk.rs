//! What is noted while the tokenizer goes over a mail or a fragment of it.

use std::ops::Range;

use lol_html::errors::RewritingError;
use lol_html::html_content::{Attribute, DocumentEnd, SourceLocation, StartTag};
use lol_html::{
    LocalName, Namespace, StartTagHandlingResult, Tag, Token, TokenCaptureFlags as Capture,
    TransformController,
};

use super::ancestors::Ancestors;
use super::conditional_comment;
use super::document::{Findings, FoundLink, PROBE, PROBE_NAME, Region};
use super::markers;
use super::progress::{Progress, Stage};
use super::span::Span;
use super::tokenizer::{self, HTML_NAMESPACE};

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

fn is_vml_link(name: &[u8]) -> bool {
    matches!(name, [b'v' | b'V', b':', ..])
        && VML_LINKS
            .iter()
            .any(|link| name.eq_ignore_ascii_case(link.as_bytes()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Mail,
    Fragment,
}

/// The mail, how it is to be read, and what is known about it.
#[derive(Clone, Copy)]
pub(super) struct Walk<'h> {
    pub(super) html: &'h [u8],
    pub(super) depth: Depth,
    /// Where no-track markers may be.
    pub(super) markers: &'h [usize],
    /// Some of them may stand on elements around links, so it matters what is open.
    pub(super) minds_ancestors: bool,
    /// Given if the mail may hold a pixel of ours: what its `src` starts with.
    pub(super) pixel_source: Option<&'h str>,
}

impl<'h> Walk<'h> {
    pub(super) fn controller<'f>(
        &self,
        progress: &'f Progress<'f>,
        found: &'f mut Findings,
    ) -> Controller<'h, 'f> {
        Controller {
            walk: *self,
            progress,
            found,
            ancestors: Ancestors::default(),
            next_marker: 0,
        }
    }

    /// The tag's name as written; `start` is where the name starts.
    fn name(&self, start: usize) -> &'h [u8] {
        let rest = self.html.get(start..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C | b'/' | b'>');
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// How many markers there may be in a tag. Tags mostly come in order: `hint` is kept from one
    /// to the next.
    fn markers_in(&self, tag: &Range<usize>, hint: &mut usize) -> usize {
        let starts_behind = |marker: usize| marker >= tag.start;
        let passed = hint.checked_sub(1).and_then(|at| self.markers.get(at));
        if passed.is_some_and(|marker| starts_behind(*marker)) {
            *hint = self.markers.partition_point(|marker| *marker < tag.start);
        }
        let ahead = self.markers.get(*hint..).unwrap_or_default();
        *hint += count_while(ahead, |marker| !starts_behind(marker));
        let ahead = self.markers.get(*hint..).unwrap_or_default();
        count_while(ahead, |marker| marker < tag.end)
    }
}

fn count_while(markers: &[usize], holds: impl Fn(usize) -> bool) -> usize {
    markers.iter().take_while(|marker| holds(**marker)).count()
}

pub(super) struct Controller<'h, 'f> {
    walk: Walk<'h>,
    progress: &'f Progress<'f>,
    found: &'f mut Findings,
    ancestors: Ancestors,
    /// Where the search for markers goes on.
    next_marker: usize,
}

impl<'h> Controller<'h, '_> {
    /// What is captured whatever the tag is.
    fn standing(&self) -> Capture {
        let mut capture = Capture::empty();
        if self.progress.stage() == Stage::Lexing {
            capture |= Capture::COMMENTS;
        }
        capture
    }

    fn no_track(&self) -> bool {
        self.progress.no_track() || self.ancestors.no_track()
    }

    fn text(&self, location: Option<SourceLocation>) -> &'h [u8] {
        let range = location.map(|location| self.progress.place(location));
        range
            .and_then(|range| self.walk.html.get(range))
            .unwrap_or_default()
    }

    fn is_marked(&self, tag: &StartTag<'_>) -> bool {
        tag.attributes().iter().any(|attribute| {
            let value = self.attribute_value(attribute);
            markers::is_no_track(self.attribute_name(attribute), value)
        })
    }

    fn attribute_name(&self, attribute: &Attribute<'_>) -> &'h [u8] {
        self.text(attribute.name_source_location())
    }

    fn attribute_value(&self, attribute: &Attribute<'_>) -> &'h [u8] {
        self.text(attribute.value_source_location())
    }

    fn start_tag(&mut self, tag: &StartTag<'_>) {
        let at = self.progress.place(tag.source_location());
        let name = self.walk.name(at.start + 1);
        let markers = self.walk.markers_in(&at, &mut self.next_marker);
        let marked = markers > 0 && self.is_marked(tag);
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let is_link = is("a") || is("area") || is_vml_link(name);
        if self.walk.minds_ancestors {
            let foreign = tag.namespace_uri() != HTML_NAMESPACE;
            let closed_itself = foreign && tag.self_closing();
            // A link cannot hold another, so its marker is about itself.
            self.ancestors
                .start(name, closed_itself, marked && !is_link);
        }
        if is_link {
            self.found.markers_on_links += markers;
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
            let name = self.attribute_name(attribute);
            if name.eq_ignore_ascii_case(b"href") {
                // Of doubled attributes the first one counts.
                value = value.or_else(|| attribute.value_source_location());
            } else if name.eq_ignore_ascii_case(b"rel") {
                unsubscribe |= self
                    .attribute_value(attribute)
                    .split(u8::is_ascii_whitespace)
                    .any(|word| word.eq_ignore_ascii_case(b"unsubscribe"));
            } else if name.eq_ignore_ascii_case(markers::UNSUBSCRIBE) {
                unsubscribe = true;
            }
        }
        if let Some(value) = value.map(|at| self.progress.place(at)) {
            self.found.document.links.push(FoundLink {
                value: Span::new(value),
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
        let src = attributes.find(|a| self.attribute_name(a).eq_ignore_ascii_case(b"src"));
        let ours = src.is_some_and(|src| {
            let value = self.attribute_value(src);
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
        if let Some(shown) = conditional_comment::inside(self.walk.html, at) {
            self.region(shown);
        }
    }

    fn is_probing(&self) -> bool {
        self.progress.stage() == Stage::Probing
    }

    /// Whether it is the probe: if something was open, that is called by another name or not at all.
    fn is_probe(&self, name: &LocalName<'_>, namespace: Namespace) -> bool {
        let is_named_so = matches!(name, LocalName::Bytes(name) if **name == *PROBE_NAME);
        // What a fragment leaves open of SVG would reach into the next one.
        let leaves_none = self.walk.depth == Depth::Mail || namespace == Namespace::Html;
        is_named_so && leaves_none
    }

    /// What is not closed at the end swallows the probe.
    fn without_probe(&self, location: SourceLocation) -> Range<usize> {
        let at = self.progress.place(location);
        let end = self.progress.end();
        at.start.min(end)..at.end.min(end)
    }

    /// Text comes in pieces, which are joined again.
    fn shown_text(&mut self, at: Range<usize>) {
        match self.found.regions.last_mut() {
            Some(last) if last.range.end == at.start => last.range.end = at.end,
            _ => self.region(at),
        }
    }

    fn region(&mut self, range: Range<usize>) {
        let no_track = self.no_track();
        self.found.regions.push(Region { range, no_track });
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
        match self.progress.stage() {
            Stage::Probing if self.is_probe(&name, namespace) => {
                self.progress.probed(self.no_track());
            }
            Stage::Joined if self.is_probe(&name, namespace) => {
                self.progress.turn_to_next_region(PROBE.len());
            }
            _ => {}
        }
        if self.is_probing() {
            return Ok(Capture::empty());
        }
        self.found.document.has_foreign |= namespace != Namespace::Html;
        let mut capture = self.standing();
        let wanted = name == Tag::A
            || name == Tag::Area
            // Names with a colon, such as those of VML, have no hash.
            || matches!(&name, LocalName::Bytes(name) if is_vml_link(name))
            || name == Tag::Body
            || (name == Tag::Img && self.walk.pixel_source.is_some())
            || self.walk.minds_ancestors;
        if wanted {
            capture |= Capture::NEXT_START_TAG;
        }
        if name == Tag::Noscript {
            capture |= Capture::TEXT;
        } else if namespace == Namespace::Html && tokenizer::starts_raw_text(&name) {
            // Lexing ends with this tag: there are no comments in what follows. In SVG and MathML
            // such names are tags like any other.
            capture = Capture::NEXT_START_TAG;
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
            // A tag that only the probe has closed.
            Token::StartTag(_) | Token::EndTag(_) if self.is_probing() => {}
            Token::StartTag(tag) => self.start_tag(tag),
            Token::EndTag(tag) => self.end_tag(self.progress.place(tag.source_location())),
            Token::Comment(comment) => {
                let at = self.without_probe(comment.source_location());
                self.comment(at);
            }
            // Text is captured in `<noscript>` only, which mail programs read as markup.
            Token::TextChunk(text) => {
                let at = self.without_probe(text.source_location());
                self.shown_text(at);
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
