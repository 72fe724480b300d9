//! base64url without padding, the text form of tokens. In WebAssembly there is no wide engine.

use base64::Engine;
use base64::engine::general_purpose;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static ENGINE: std::sync::LazyLock<base64::engine::Simd> =
    std::sync::LazyLock::new(|| base64::engine::Simd::url_safe(general_purpose::NO_PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static ENGINE: general_purpose::GeneralPurpose = general_purpose::URL_SAFE_NO_PAD;

/// The wide engine takes 24 bytes at a time, reads 32, and leaves inputs below 128 to the narrow
/// one, which costs as much as hashing. Zero bytes behind a token make all of it wide.
const WIDE_STEP: usize = 24;
const WIDE_BEYOND: usize = 8;
const WIDE_LEAST: usize = 128;

pub(crate) const fn encoded_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// Appends `bytes` in text form. What is in the other two is scratch afterwards; `text` keeps its
/// length, so that it need not be cleared again.
pub(crate) fn encode(bytes: &mut Vec<u8>, text: &mut Vec<u8>, out: &mut String) {
    let chars = encoded_len(bytes.len());
    // Zero bits stand behind the last byte either way, so the first characters are the same.
    let padded = (bytes.len().next_multiple_of(WIDE_STEP) + WIDE_BEYOND).max(WIDE_LEAST);
    bytes.resize(padded, 0);
    if text.len() < encoded_len(padded) {
        text.resize(encoded_len(padded), 0);
    }
    // There is room for all of it.
    let _ = ENGINE.encode_slice(bytes, text);
    let text = text
        .get(..chars)
        .and_then(|chars| str::from_utf8(chars).ok());
    out.push_str(text.unwrap_or_default());
}

/// Bytes that make whole characters.
pub(crate) const GROUP_BYTES: usize = 3;
pub(crate) const GROUP_CHARS: usize = 4;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A few bytes, for which the engine is too large a machine. Zero bytes behind the last one do
/// not change its first characters.
#[inline]
pub(crate) fn encode_groups(groups: &[[u8; GROUP_BYTES]], chars: &mut [[u8; GROUP_CHARS]]) {
    for ([first, second, third], chars) in groups.iter().zip(chars) {
        let bits = u32::from_be_bytes([0, *first, *second, *third]);
        for (at, to) in chars.iter_mut().enumerate() {
            let digit = (bits >> (18 - 6 * at) & 63) as usize;
            *to = ALPHABET.get(digit).copied().unwrap_or_default();
        }
    }
}

/// Replaces what is in `bytes`. `false` if the text is not the canonical form of anything.
pub(crate) fn decode(text: &[u8], bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    ENGINE.decode_vec(text, bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn padding_for_speed_does_not_show(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut text = String::from("before");
            encode(&mut bytes.clone(), &mut Vec::new(), &mut text);
            let expected = general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert_eq!(text.strip_prefix("before"), Some(expected.as_str()));
            let mut decoded = vec![1, 2, 3];
            prop_assert!(decode(expected.as_bytes(), &mut decoded));
            prop_assert_eq!(decoded, bytes);
        }

        #[test]
        fn groups_are_encoded_as_all_bytes_are(groups in any::<[[u8; 3]; 6]>()) {
            let expected = general_purpose::URL_SAFE_NO_PAD.encode(groups.as_flattened());
            let mut encoded = [[0; GROUP_CHARS]; 6];
            encode_groups(&groups, &mut encoded);
            prop_assert_eq!(encoded.as_flattened(), expected.as_bytes());
        }
    }
}
