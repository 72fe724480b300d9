//! What single characters mean in a URL and in an attribute.

use kraiter_wire::all_bytes;

/// Kinds of bytes, as bits.
/// Spaces and controls, stripped at the ends, or encoded.
pub(super) const BLANK: u8 = 1;
/// Cannot stand in a header.
pub(super) const UNSAFE: u8 = 2;
/// May start a placeholder.
pub(super) const TEMPLATE: u8 = 4;
/// Stripped wherever they are.
pub(super) const BREAK: u8 = 8;
/// A host made of others needs a closer look.
pub(super) const BEYOND_NAMES: u8 = 16;

/// Two of them may start an encoded international name.
pub(super) const HYPHEN: u8 = 32;

static KINDS: [u8; 256] = kinds_of_bytes();

const fn kinds_of_bytes() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(
            clippy::indexing_slicing,
            reason = "in range, and evaluated by the compiler"
        )]
        {
            kinds[byte] = match byte as u8 {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' => 0,
                b'-' => HYPHEN,
                b'\t' | b'\n' | b'\r' => BREAK | BLANK | UNSAFE | BEYOND_NAMES,
                0..=b' ' | 0x7F => BLANK | UNSAFE | BEYOND_NAMES,
                b'<' => UNSAFE | TEMPLATE | BEYOND_NAMES,
                b'"' | b'>' | 0x80.. => UNSAFE | BEYOND_NAMES,
                b'{' | b'*' | b'%' | b'[' => TEMPLATE | BEYOND_NAMES,
                _ => BEYOND_NAMES,
            };
        }
        byte += 1;
    }
    kinds
}

/// All the kinds of bytes that are in `text`.
pub(super) fn kinds(text: &str) -> u8 {
    text.bytes().fold(0, |kinds, byte| kinds | kind(byte))
}

#[inline]
pub(super) fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Whether `text` has none of the first three kinds.
pub(super) fn has_only_plain_characters(text: &str) -> bool {
    all_bytes(text.as_bytes(), |byte| {
        let printable = byte.wrapping_sub(b'!') <= b'~' - b'!';
        let quotes = (byte == b'"') | (byte == b'<') | (byte == b'>');
        let opens = (byte == b'{') | (byte == b'*') | (byte == b'%') | (byte == b'[');
        printable & !quotes & !opens
    })
}

/// Percent-encodes what cannot stand in a header and keeps the rest.
pub(super) fn encode(text: &str, out: &mut String) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or('0');
    for character in text.chars() {
        // The tokenizer of a browser replaces null characters.
        let character = if character == '\0' {
            '\u{FFFD}'
        } else {
            character
        };
        let mut buffer = [0; 4];
        let encoded = character.encode_utf8(&mut buffer);
        if kinds(encoded) & UNSAFE == 0 {
            out.push_str(encoded);
            continue;
        }
        for byte in encoded.bytes() {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Decodes a value whose references are all `&amp;`; `false` if there is another.
pub(super) fn decode_ampersands(value: &str, out: &mut String) -> bool {
    out.reserve(value.len());
    let mut rest = value;
    while let Some((before, reference)) = next_ampersand(rest) {
        let Some(after) = reference.strip_prefix("&amp;") else {
            return false;
        };
        out.push_str(before);
        out.push('&');
        rest = after;
    }
    out.push_str(rest);
    true
}

/// Decodes character references as browsers do in attributes, where `&copy=1` stays as it is.
pub(super) fn decode_entities(value: &str, out: &mut String) {
    let mut rest = value;
    while let Some((before, reference)) = next_ampersand(rest) {
        out.push_str(before);
        if let Some(after) = reference.strip_prefix("&amp;") {
            out.push('&');
            rest = after;
            continue;
        }
        // A reference never reaches over the next ampersand.
        let next = reference.bytes().skip(1).position(|byte| byte == b'&');
        let end = next.map_or(reference.len(), |at| at + 1);
        let (reference, after) = reference.split_at_checked(end).unwrap_or((reference, ""));
        out.push_str(&htmlize::unescape_attribute(reference));
        rest = after;
    }
    out.push_str(rest);
}

/// What stands before the next ampersand, and the rest from there.
fn next_ampersand(text: &str) -> Option<(&str, &str)> {
    text.split_at_checked(memchr::memchr(b'&', text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_characters_are_those_of_no_kind() {
        for byte in 0..=0x7F_u8 {
            let text = char::from(byte).to_string();
            let plain = kinds(&text) & (BLANK | UNSAFE | TEMPLATE) == 0;
            assert_eq!(has_only_plain_characters(&text), plain, "{byte:#x}");
        }
        assert!(!has_only_plain_characters("\u{e4}"));
    }
}
