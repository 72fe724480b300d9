//! The attributes of a start tag, as a browser's tokenizer reads them (HTML, sections 13.2.5.32 to
//! 13.2.5.40).
//!
//! Reading them here spares lol_html's lexer, which costs several times as much. That it finds the
//! same is a property that is tested.

use std::ops::Range;

pub(super) struct Attribute<'h> {
    /// As written.
    pub(super) name: &'h [u8],
    /// Where the value is, without its quotes; `None` if there is no value.
    pub(super) value: Option<Range<usize>>,
}

impl Attribute<'_> {
    /// The value as written in `html`; empty if there is none.
    pub(super) fn text<'h>(&self, html: &'h [u8]) -> &'h [u8] {
        let value = self.value.clone();
        value.and_then(|value| html.get(value)).unwrap_or_default()
    }
}

/// Reads attributes one after the other.
pub(super) struct Attributes<'h> {
    html: &'h [u8],
    at: usize,
    /// Behind the tag, once all have been read.
    end: Option<usize>,
}

impl<'h> Attributes<'h> {
    /// `name_end` is where the name of the tag ends.
    pub(super) fn new(html: &'h [u8], name_end: usize) -> Self {
        Self {
            html,
            at: name_end,
            end: None,
        }
    }

    /// Behind the tag, once all attributes have been read. `None` if it is not closed.
    pub(super) fn end(&self) -> Option<usize> {
        self.end
    }

    fn byte(&self) -> Option<u8> {
        self.html.get(self.at).copied()
    }

    /// Goes on to where `stops` holds; `None` at the end of the mail.
    fn skip_until(&mut self, stops: impl Fn(u8) -> bool) -> Option<u8> {
        let rest = self.html.get(self.at..)?;
        let skipped = rest.iter().position(|byte| stops(*byte))?;
        self.at += skipped;
        self.byte()
    }

    fn value(&mut self) -> Option<Option<Range<usize>>> {
        let first = self.skip_until(|byte| !is_space(byte))?;
        let quoted = matches!(first, b'"' | b'\'');
        if first == b'>' {
            return Some(None);
        }
        self.at += usize::from(quoted);
        let start = self.at;
        if quoted {
            let rest = self.html.get(start..)?;
            self.at += memchr::memchr(first, rest)?;
        } else {
            self.skip_until(|byte| is_space(byte) || byte == b'>')?;
        }
        let end = self.at;
        self.at += usize::from(quoted);
        Some(Some(start..end))
    }
}

impl<'h> Iterator for Attributes<'h> {
    type Item = Attribute<'h>;

    fn next(&mut self) -> Option<Attribute<'h>> {
        let first = self.skip_until(|byte| !is_space(byte) && byte != b'/')?;
        if first == b'>' {
            self.end = Some(self.at + 1);
            return None;
        }
        let start = self.at;
        // An equals sign at the start belongs to the name.
        self.at += 1;
        self.skip_until(|byte| is_space(byte) || matches!(byte, b'=' | b'/' | b'>'))?;
        let name = self.html.get(start..self.at)?;
        let mut value = None;
        if self.skip_until(|byte| !is_space(byte))? == b'=' {
            self.at += 1;
            value = self.value()?;
        }
        Some(Attribute { name, value })
    }
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use lol_html::{HtmlRewriter, Settings, element};
    use proptest::prelude::*;

    use super::*;

    type Read = Option<Vec<(String, Option<Range<usize>>)>>;

    /// What lol_html reads.
    fn lexed(html: &str) -> Read {
        let read = RefCell::new(None);
        let handler = element!("a", |a| {
            let attributes = a.attributes().iter().map(|attribute| {
                let value = attribute.value_source_location();
                (attribute.name_preserve_case(), value.map(|at| at.bytes()))
            });
            read.borrow_mut()
                .get_or_insert_with(|| attributes.collect());
            Ok(())
        });
        let settings = Settings::new()
            .with_strict(false)
            .append_element_content_handler(handler);
        let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| ());
        rewriter.write(html.as_bytes()).unwrap();
        rewriter.end().unwrap();
        read.into_inner()
    }

    fn read(html: &str) -> Read {
        let mut attributes = Attributes::new(html.as_bytes(), 2);
        let read = attributes.by_ref().map(|attribute| {
            let name = String::from_utf8(attribute.name.to_vec()).unwrap();
            (name, attribute.value)
        });
        let read = read.collect();
        attributes.end().map(|_| read)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn they_are_those_that_lol_html_reads(
            tag in "[ /]([ \t\n\r\u{c}/>='\"`<&axX\u{e4}-]|href=|\u{0}){0,24}(>.{0,3})?",
        ) {
            let html = format!("<a{tag}");
            prop_assert_eq!(read(&html), lexed(&html), "{:?}", html);
        }
    }

    #[test]
    fn values_are_quoted_or_not_or_missing() {
        let html = "<a b=c d = 'e>' f=\"\" g h= >";
        let values = ["c", "e>", ""].map(|value| {
            let start = html.find(value).unwrap();
            start..start + value.len()
        });
        let [c, e, _] = values;
        assert_eq!(
            read(html).unwrap(),
            [
                ("b".to_owned(), Some(c)),
                ("d".to_owned(), Some(e)),
                ("f".to_owned(), Some(19..19)),
                ("g".to_owned(), None),
                ("h".to_owned(), None),
            ]
        );
    }
}
