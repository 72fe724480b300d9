//! What is noted while the tokenizer goes over a mail or a fragment of it.

use std::ops::Range;

use lol_html::errors::RewritingError;
use lol_html::html_content::{DocumentEnd, SourceLocation, StartTag};
use lol_html::{
    LocalName, Namespace, StartTagHandlingResult, Tag, Token, TokenCaptureFlags as Capture,
    TransformController,
};

use super::ancestors::Ancestors;
use super::attributes::Attributes;
use super::conditional_comment;
use super::document::Findings;
use super::link_tag::{self, LinkTag};
use super::markers;
use super::probe::{PROBE, PROBE_NAME};
use super::progress::{Progress, Stage};
use super::regions::Region;
use super::tokenizer::{self, HTML_NAMESPACE};

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

    fn start_tag(&mut self, tag: &StartTag<'_>) {
        let at = self.progress.place(tag.source_location());
        let html = self.walk.html;
        let name = link_tag::name(html, at.start + 1);
        let name_end = at.start + 1 + name.len();
        let markers = self.walk.markers_in(&at, &mut self.next_marker);
        let is_link = link_tag::is_link(name);
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if self.walk.minds_ancestors {
            let foreign = tag.namespace_uri() != HTML_NAMESPACE;
            let closed_itself = foreign && tag.self_closing();
            // A link cannot hold another, so its marker is about itself.
            let marked = markers > 0 && !is_link && self.is_marked(name_end);
            self.ancestors.start(name, closed_itself, marked);
        }
        if is_link {
            self.found.markers_on_links += markers;
            let link = LinkTag::read(html, name_end).and_then(|tag| tag.found(self.no_track()));
            self.found.document.links.extend(link);
        } else if is("body") && self.walk.depth == Depth::Mail {
            self.found.document.body_start.get_or_insert(at.end);
        } else if is("img") {
            self.image(name_end);
        }
    }

    fn is_marked(&self, name_end: usize) -> bool {
        let html = self.walk.html;
        Attributes::new(html, name_end)
            .any(|attribute| markers::is_no_track(attribute.name, attribute.text(html)))
    }

    fn image(&mut self, name_end: usize) {
        let Some(source) = self.walk.pixel_source else {
            return;
        };
        let html = self.walk.html;
        let src = Attributes::new(html, name_end)
            .find(|attribute| attribute.name.eq_ignore_ascii_case(b"src"));
        let ours = src.is_some_and(|src| src.text(html).starts_with(source.as_bytes()));
        self.found.document.has_own_pixel |= ours && self.walk.depth == Depth::Mail;
    }

    fn end_tag(&mut self, at: Range<usize>) {
        let name = link_tag::name(self.walk.html, at.start + 2);
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
            self.region(shown, true);
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
            _ => self.region(at, false),
        }
    }

    fn region(&mut self, range: Range<usize>, has_href: bool) {
        let no_track = self.no_track();
        self.found.regions.push(Region {
            range,
            no_track,
            has_href,
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
        match self.progress.stage() {
            Stage::Probing if self.is_probe(&name, namespace) => {
                self.progress.probed(self.no_track());
            }
            Stage::Joined if self.is_probe(&name, namespace) => {
                self.progress.turn_to_next_region(PROBE.len());
                self.found.document.has_foreign |= namespace != Namespace::Html;
                return Ok(Capture::empty());
            }
            _ => {}
        }
        if self.is_probing() {
            return Ok(Capture::empty());
        }
        self.found.document.has_foreign |= namespace != Namespace::Html;
        let standing = self.standing();
        let every = match self.walk.minds_ancestors {
            true => standing | Capture::NEXT_START_TAG,
            false => standing,
        };
        let LocalName::Hash(hash) = &name else {
            // Names with a colon, such as those of VML, have no hash.
            let is_link = matches!(&name, LocalName::Bytes(name) if link_tag::is_vml_link(name));
            return Ok(match is_link {
                true => standing | Capture::NEXT_START_TAG,
                false => every,
            });
        };
        let is = |tag: Tag| *hash == tag;
        let has_pixel = self.walk.pixel_source.is_some();
        if is(Tag::A) || is(Tag::Area) || is(Tag::Body) || (is(Tag::Img) && has_pixel) {
            return Ok(standing | Capture::NEXT_START_TAG);
        }
        if is(Tag::Noscript) {
            return Ok(every | Capture::TEXT);
        }
        if tokenizer::starts_raw_text(&name) && namespace == Namespace::Html {
            // Lexing ends with this tag: there are no comments in what follows. In SVG and MathML
            // such names are tags like any other.
            return Ok(Capture::NEXT_START_TAG);
        }
        Ok(every)
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
