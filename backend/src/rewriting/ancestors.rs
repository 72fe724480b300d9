//! Which open elements carry a no-track marker. Used only for mails that hold one.
//!
//! Elements whose end tag HTML allows to leave out are closed as a browser closes them, so that a
//! marker on a list item or a paragraph does not reach over its neighbours.

/// How far down an end tag looks for its element. Deeper ones are taken for strays, so that a
/// mail of nothing but end tags costs linear time.
const MAX_SEARCH: usize = 512;

/// Elements without content.
const VOID: [Name; 18] = names([
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input",
    "keygen", "link", "meta", "param", "source", "track", "wbr",
]);

/// An end tag does not reach out of these, unless it is that of a table's part.
const SCOPES: [Name; 6] = names(["table", "td", "th", "caption", "html", "body"]);

const TABLE_PARTS: [Name; 10] = names([
    "table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption", "body", "html",
]);

/// Start tags that close an open paragraph.
const CLOSES_PARAGRAPH: [Name; 31] = names([
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
]);

/// Start tags that close an open element of their own kind, what closes it, and what it may not
/// lie outside of.
const CLOSES_ITS_KIND: [(&[Name], &[Name]); 6] = [
    (&names(["li"]), &names(["ul", "ol", "table", "td", "th"])),
    (&names(["dt", "dd"]), &names(["dl", "table", "td", "th"])),
    (&names(["option", "optgroup"]), &names(["select"])),
    (&names(["td", "th"]), &names(["table", "tr"])),
    (&names(["tr"]), &names(["table"])),
    (&names(["tbody", "thead", "tfoot"]), &names(["table"])),
];

/// An element's name without regard to case, as a hash (FNV-1a). Two names with the same hash
/// would at worst make a marker end too early or too late.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name(u64);

impl Name {
    const fn of(name: &[u8]) -> Self {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        let mut rest = name;
        while let [byte, after @ ..] = rest {
            hash = (hash ^ byte.to_ascii_lowercase() as u64).wrapping_mul(0x0100_0000_01B3);
            rest = after;
        }
        Self(hash)
    }
}

const fn names<const N: usize>(texts: [&str; N]) -> [Name; N] {
    let mut names = [Name(0); N];
    let mut at = 0;
    while at < N {
        #[expect(
            clippy::indexing_slicing,
            reason = "in range, and evaluated by the compiler"
        )]
        {
            names[at] = Name::of(texts[at].as_bytes());
        }
        at += 1;
    }
    names
}

struct Element {
    name: Name,
    marked: bool,
}

struct Buckets([u32; 256]);

impl Default for Buckets {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl Buckets {
    fn of(&mut self, name: Name) -> Option<&mut u32> {
        self.0.get_mut((name.0 % 256) as usize)
    }
}

#[derive(Default)]
pub(super) struct Ancestors {
    open: Vec<Element>,
    /// How many elements are open whose name ends up in each bucket, so that few stray end tags
    /// need a search.
    counts: Buckets,
    marked: usize,
}

impl Ancestors {
    /// Whether anything that is open carries a marker.
    pub(super) fn no_track(&self) -> bool {
        self.marked > 0
    }

    /// A start tag, with or without a marker.
    pub(super) fn start(&mut self, name: &[u8], closed_itself: bool, marked: bool) {
        let name = Name::of(name);
        self.close_implied(name);
        if closed_itself || VOID.contains(&name) {
            return;
        }
        self.marked += usize::from(marked);
        self.open.push(Element { name, marked });
        if let Some(count) = self.counts.of(name) {
            *count += 1;
        }
    }

    pub(super) fn end(&mut self, name: &[u8]) {
        let name = Name::of(name);
        match TABLE_PARTS.contains(&name) {
            true => self.close_nearest(&[name], &[]),
            false => self.close_nearest(&[name], &SCOPES),
        }
    }

    fn close_implied(&mut self, name: Name) {
        if CLOSES_PARAGRAPH.contains(&name) {
            self.close_nearest(&names(["p"]), &SCOPES);
        }
        let kind = CLOSES_ITS_KIND
            .iter()
            .find(|(kind, _)| kind.contains(&name));
        if let Some((kind, stops)) = kind {
            self.close_nearest(kind, stops);
        }
    }

    /// Closes the innermost element with one of `names` and all that is open inside it, unless
    /// one of `stops` lies between.
    fn close_nearest(&mut self, names: &[Name], stops: &[Name]) {
        let mut may_be_open = |name: &Name| self.counts.of(*name).is_some_and(|count| *count > 0);
        if !names.iter().any(&mut may_be_open) {
            return;
        }
        let mut innermost = self.open.iter().enumerate().rev().take(MAX_SEARCH);
        let found = innermost
            .find(|(_, element)| names.contains(&element.name) || stops.contains(&element.name));
        let Some((keep, _)) = found.filter(|(_, element)| names.contains(&element.name)) else {
            return;
        };
        for element in self.open.drain(keep..) {
            self.marked -= usize::from(element.marked);
            if let Some(count) = self.counts.of(element.name) {
                *count -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+x` opens x, `*x` opens x with a marker, `-x` closes it.
    fn no_track_after(tags: &'static str) -> bool {
        let mut ancestors = Ancestors::default();
        for tag in tags.split(' ') {
            let (sign, name) = tag.split_at(1);
            match sign {
                "-" => ancestors.end(name.as_bytes()),
                _ => ancestors.start(name.as_bytes(), false, sign == "*"),
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
            ancestors.start(b"div", false, false);
        }
        for _ in 0..100_000 {
            ancestors.end(b"span");
        }
        assert!(!ancestors.no_track());
    }
}
