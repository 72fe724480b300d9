//! The pixel: where it goes and what it looks like.

use super::document::Document;
use super::end_of_markup::{is_html_at, last_markup_offset};
use super::{PixelPosition, RewriteError};

/// Around the pixel's URL. Not `display:none`, since some clients then do not load it; nothing for
/// a screen reader to speak of.
pub(super) const BEFORE_URL: &str = "<img src=\"";
pub(super) const AFTER_URL: &str = "\" width=\"1\" height=\"1\" alt=\"\" role=\"presentation\" \
     aria-hidden=\"true\" style=\"display:block;width:1px;height:1px;border:0;margin:0;padding:0\">";

/// The offset at which the pixel is inserted.
pub(super) fn place(
    html: &str,
    document: &Document,
    position: PixelPosition,
) -> Result<usize, RewriteError> {
    let top = match position {
        PixelPosition::Top => top(html, document),
        PixelPosition::Bottom => None,
    };
    for offset in top.into_iter().chain(before_body_end(document)) {
        if !document.has_foreign || is_html_at(html, offset)? {
            return Ok(offset);
        }
    }
    if document.ends_in_markup {
        return Ok(html.len());
    }
    last_markup_offset(html)
}

/// Before the one `</body>`. With none or more than one the pixel goes to the end, which browsers
/// take for the end of the body.
fn before_body_end(document: &Document) -> Option<usize> {
    document.body_end.filter(|_| document.body_ends == 1)
}

/// After `<body>`, or where a browser would start the body. `None` if that is not known, as in a
/// document with a doctype and no body: before the doctype an image would change how the whole
/// is laid out.
fn top(html: &str, document: &Document) -> Option<usize> {
    let start = html.strip_prefix('\u{FEFF}').unwrap_or(html);
    let first = start.trim_ascii_start().as_bytes();
    let is_document = ["<!doctype", "<html", "<head", "<?xml", "<!--"]
        .iter()
        .any(|opening| {
            first
                .get(..opening.len())
                .is_some_and(|first| first.eq_ignore_ascii_case(opening.as_bytes()))
        });
    let fragment_start = (!is_document).then_some(html.len() - start.len());
    document.body_start.or(document.head_end).or(fragment_start)
}
