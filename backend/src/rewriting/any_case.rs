//! Looking for words without regard to case.
//!
//! Comparing every byte of a stretch before asking whether there was a match lets the compiler
//! take them many at a time. That is faster than jumping from one occurrence of a letter to the
//! next where that letter is common, and does not depend on how common it is.

use std::ops::Range;

/// Bytes that are compared before the first look at the result.
const STRETCH: usize = 1024;

/// The stretches in which a word may start, in ascending order. `matches` says so of the bytes in
/// one place; it compares them, made [`lower`], without a branch. Few bytes are enough, since this
/// only says where to look.
pub(super) fn stretches<const N: usize>(
    text: &[u8],
    matches: impl Fn(&[u8; N]) -> bool + Copy,
) -> impl Iterator<Item = Range<usize>> {
    let starts = (text.len() + 1).saturating_sub(N);
    (0..starts)
        .step_by(STRETCH)
        .map(move |start| start..(start + STRETCH).min(starts))
        .filter(move |stretch| {
            let bytes = text.get(stretch.start..stretch.end + N - 1);
            bytes.is_some_and(|bytes| matches_anywhere(bytes, matches))
        })
}

#[inline]
fn matches_anywhere<const N: usize>(text: &[u8], matches: impl Fn(&[u8; N]) -> bool) -> bool {
    let windows = text.array_windows::<N>();
    windows.fold(false, |any, window| any | matches(window))
}

/// A letter in lower case. What stands next to the letters in ASCII is taken for them.
#[inline]
pub(super) fn lower(byte: u8) -> u8 {
    byte | 0x20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_wherever_it_starts() {
        let href = |window: &[u8; 4]| window.eq_ignore_ascii_case(b"href");
        for at in 0..3 * STRETCH {
            let mut text = vec![b'.'; 3 * STRETCH + 3];
            assert_eq!(stretches(&text, href).count(), 0);
            for (to, from) in text.iter_mut().skip(at).zip(*b"HrEf") {
                *to = from;
            }
            let found: Vec<_> = stretches(&text, href).collect();
            assert_eq!(found.len(), 1, "{at}");
            assert!(found[0].contains(&at), "{at}");
        }
    }

    #[test]
    fn what_is_shorter_than_the_word_does_not_hold_it() {
        for text in ["", "h", "hre"] {
            let stretches = stretches(text.as_bytes(), |_: &[u8; 4]| true);
            assert_eq!(stretches.count(), 0);
        }
    }
}
