//! Which open elements carry a no-track marker. Used only for mails that hold one.
//!
//! Elements whose end tag HTML allows to leave out are closed as a browser closes them, so that a
//! marker on a list item or a paragraph does not reach over its neighbours.

use super::markers::is_no_track;

/// How far down an end tag looks for its element. Deeper ones are taken for strays, so that a
/// mail of nothing but end tags costs linear time.
const MAX_SEARCH: usize = 512;

const VOID: [&str; 18] = [
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input",
    "keygen", "link", "meta", "param", "source", "track", "wbr",
];

/// An end tag does not reach out of these, unless it is that of a table's part.
const SCOPES: [&str; 6] = ["table", "td", "th", "caption", "html", "body"];

const TABLE_PARTS: [&str; 9] = [
    "table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption", "body",
];

/// Start tags that close an open paragraph.
const CLOSES_PARAGRAPH: [&str; 31] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "details",
    "dir",
    "div",
    "dl",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "ul",
];

struct Element<'h> {
    name: &'h [u8],
    marked: bool,
}

#[derive(Default)]
pub(super) struct Ancestors<'h> {
    open: Vec<Element<'h>>,
    marked: usize,
}

impl<'h> Ancestors<'h> {
    /// Whether anything that is open carries a marker.
    pub(super) fn no_track(&self) -> bool {
        self.marked > 0
    }

    /// `attributes` are names and values of the start tag.
    pub(super) fn start<'a>(
        &mut self,
        name: &'h [u8],
        closed_itself: bool,
        attributes: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        self.close_implied(name);
        if closed_itself || is_one_of(name, &VOID) {
            return;
        }
        let marked = { attributes }.any(|(name, value)| is_no_track(name, value));
        self.marked += usize::from(marked);
        self.open.push(Element { name, marked });
    }

    pub(super) fn end(&mut self, name: &[u8]) {
        let of_table = is_one_of(name, &TABLE_PARTS);
        self.close_nearest(&[name], |open| !of_table && is_one_of(open, &SCOPES));
    }

    fn close_implied(&mut self, name: &[u8]) {
        let is = |names: &[&str]| is_one_of(name, names);
        let list = |open: &[u8]| is_one_of(open, &["ul", "ol", "dl", "table", "td", "th"]);
        let table = |open: &[u8]| is_one_of(open, &["table"]);
        if is(&CLOSES_PARAGRAPH) {
            self.close_nearest(&[b"p"], |open| is_one_of(open, &SCOPES));
        }
        if is(&["li"]) {
            self.close_nearest(&[b"li"], list);
        } else if is(&["dt", "dd"]) {
            self.close_nearest(&[b"dt", b"dd"], list);
        } else if is(&["option", "optgroup"]) {
            self.close_nearest(&[b"option"], |open| is_one_of(open, &["select"]));
        } else if is(&["td", "th"]) {
            let row = |open: &[u8]| is_one_of(open, &["table", "tr"]);
            self.close_nearest(&[b"td", b"th"], row);
        } else if is(&["tr"]) {
            self.close_nearest(&[b"tr"], table);
        } else if is(&["tbody", "thead", "tfoot"]) {
            self.close_nearest(&[b"tbody", b"thead", b"tfoot"], table);
        }
    }

    /// Closes the innermost element with one of `names` and all that is open inside it, unless
    /// something that `stops` the search lies between.
    fn close_nearest(&mut self, names: &[&[u8]], stops: impl Fn(&[u8]) -> bool) {
        let mut keep = None;
        for (at, element) in self.open.iter().enumerate().rev().take(MAX_SEARCH) {
            if names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(element.name))
            {
                keep = Some(at);
                break;
            }
            if stops(element.name) {
                break;
            }
        }
        for element in keep.map(|at| self.open.drain(at..)).into_iter().flatten() {
            self.marked -= usize::from(element.marked);
        }
    }
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+x` opens x, `*x` opens x with a marker, `-x` closes it.
    fn no_track_after(tags: &'static str) -> bool {
        let mut ancestors = Ancestors::default();
        for tag in tags.split(' ') {
            let (sign, name) = tag.split_at(1);
            let marker: &[(&[u8], &[u8])] = match sign {
                "*" => &[(b"data-no-track", b"")],
                _ => &[],
            };
            match sign {
                "-" => ancestors.end(name.as_bytes()),
                _ => ancestors.start(name.as_bytes(), false, marker.iter().copied()),
            }
        }
        ancestors.no_track()
    }

    #[test]
    fn a_marker_reaches_as_far_as_its_element() {
        assert!(no_track_after("+div *td +span"));
        assert!(!no_track_after("*div +span -div"));
        assert!(!no_track_after("+table *td -TABLE"));
        assert!(!no_track_after("*img"));
    }

    #[test]
    fn elements_without_an_end_tag_close_as_in_a_browser() {
        assert!(!no_track_after("*p +p"));
        assert!(!no_track_after("*p +b +table"));
        assert!(!no_track_after("+ul *li +li"));
        assert!(no_track_after("+ul *li +ul +li"));
        assert!(!no_track_after("+tr *td +td"));
        assert!(!no_track_after("+table *tr +td +tr"));
        assert!(no_track_after("+table *tr +td +table +tr"));
    }

    #[test]
    fn a_stray_end_tag_does_not_reach_out_of_its_cell() {
        assert!(no_track_after("*div +table +tr +td -div"));
    }

    #[test]
    fn strays_by_the_hundred_thousand_cost_linear_time() {
        let mut ancestors = Ancestors::default();
        for _ in 0..100_000 {
            ancestors.start(b"div", false, std::iter::empty());
        }
        for _ in 0..100_000 {
            ancestors.end(b"span");
        }
        assert!(!ancestors.no_track());
    }
}
