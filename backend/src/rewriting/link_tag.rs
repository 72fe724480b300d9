//! Tags that can be links, and what their attributes say.

use super::attributes::{Attributes, is_space};
use super::document::FoundLink;
use super::markers;
use super::span::Span;

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

pub(super) fn is_vml_link(name: &[u8]) -> bool {
    matches!(name, [b'v' | b'V', b':', ..])
        && VML_LINKS
            .iter()
            .any(|link| name.eq_ignore_ascii_case(link.as_bytes()))
}

pub(super) fn is_link(name: &[u8]) -> bool {
    matches!(name, b"a" | b"A") || name.eq_ignore_ascii_case(b"area") || is_vml_link(name)
}

/// The name, as written, of the tag whose name starts at `start`.
pub(super) fn name(html: &[u8], start: usize) -> &[u8] {
    let rest = html.get(start..).unwrap_or_default();
    let ends = |byte: &u8| is_space(*byte) || matches!(byte, b'/' | b'>');
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// Longer than the name of any link, with the byte behind it.
const NAME_BYTES: usize = 16;

/// Where the name of a link's tag ends, if what starts at `start` with `<` looks like one. Looks at
/// a few bytes only: there may be many that have no end.
pub(super) fn name_end(html: &[u8], start: usize) -> Option<usize> {
    let rest = html.get(start + 1..).unwrap_or_default();
    let name = name(rest.get(..NAME_BYTES).unwrap_or(rest), 0);
    is_link(name).then_some(start + 1 + name.len())
}

/// What stands behind a link's tag that ends at `tag_end`, if it is the link's words and its end tag:
/// neither can mean anything else there. Otherwise `tag_end` itself.
pub(super) fn behind_words(html: &[u8], tag_end: usize) -> usize {
    let rest = html.get(tag_end..).unwrap_or_default();
    let words = memchr::memchr(b'<', rest).unwrap_or(rest.len());
    match rest.get(words..words + END_TAG.len()) {
        Some(END_TAG) => tag_end + words + END_TAG.len(),
        _ => tag_end,
    }
}

const END_TAG: &[u8] = b"</a>";

/// What a link says of itself.
#[derive(Clone, Debug)]
pub(super) struct LinkTag {
    /// Of its `href`, without quotes.
    pub(super) value: Option<Span>,
    /// It carries a no-track marker.
    pub(super) marked: bool,
    /// The author says that it ends the subscription.
    pub(super) unsubscribe: bool,
    /// Behind the tag.
    pub(super) end: usize,
}

impl LinkTag {
    /// Reads a tag from where its name ends on; `None` if it is not closed.
    pub(super) fn read(html: &[u8], name_end: usize) -> Option<Self> {
        let mut value = None;
        let (mut marked, mut unsubscribe) = (false, false);
        let mut attributes = Attributes::new(html, name_end);
        for attribute in attributes.by_ref() {
            let name = attribute.name;
            if name.eq_ignore_ascii_case(b"href") {
                // Of doubled attributes the first one counts.
                value = value.or_else(|| attribute.value.map(Span::new));
            } else if name.eq_ignore_ascii_case(b"rel") {
                unsubscribe |= attribute
                    .text(html)
                    .split(u8::is_ascii_whitespace)
                    .any(|word| word.eq_ignore_ascii_case(b"unsubscribe"));
            } else if name.eq_ignore_ascii_case(markers::UNSUBSCRIBE) {
                unsubscribe = true;
            } else {
                marked |= markers::is_no_track(name, attribute.text(html));
            }
        }
        Some(Self {
            value,
            marked,
            unsubscribe,
            end: attributes.end()?,
        })
    }

    /// The link it is, if it leads anywhere. `no_track`: something around it carries a marker.
    pub(super) fn found(self, no_track: bool) -> Option<FoundLink> {
        self.value.map(|value| FoundLink {
            value,
            no_track: no_track || self.marked,
            unsubscribe: self.unsubscribe,
        })
    }
}
