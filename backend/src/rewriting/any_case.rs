//! Looking for words without regard to case.
//!
//! Comparing every byte of a stretch before asking whether there was a match lets the compiler
//! take them many at a time. That is faster than jumping from one occurrence of a letter to the
//! next where that letter is common, and does not depend on how common it is.

use std::ops::Range;

/// Bytes that are compared before the first look at the result.
const STRETCH: usize = 1024;

/// The letters that may stand in each place of a word, in lower case.
pub(super) type Word<const N: usize> = [(u8, u8); N];

/// One word.
pub(super) const fn word<const N: usize>(letters: &[u8; N]) -> Word<N> {
    let mut word = [(0, 0); N];
    let mut at = 0;
    while at < N {
        #[expect(
            clippy::indexing_slicing,
            reason = "in range, and evaluated by the compiler"
        )]
        {
            word[at] = (letters[at], letters[at]);
        }
        at += 1;
    }
    word
}

/// The stretches in which `word` may start, in ascending order. What stands next to the letters
/// in ASCII may be taken for them, so this only says where to look.
pub(super) fn stretches<const N: usize>(
    text: &[u8],
    word: Word<N>,
) -> impl Iterator<Item = Range<usize>> {
    let starts = (text.len() + 1).saturating_sub(N);
    (0..starts)
        .step_by(STRETCH)
        .map(move |start| start..(start + STRETCH).min(starts))
        .filter(move |stretch| {
            let bytes = text.get(stretch.start..stretch.end + N - 1);
            bytes.is_some_and(|bytes| may_hold(bytes, word))
        })
}

/// Whether `word` may start in any place of `text`.
pub(super) fn may_hold<const N: usize>(text: &[u8], word: Word<N>) -> bool {
    let matches = |window: &[u8; N]| {
        let letters = window.iter().zip(word);
        letters.fold(true, |all, (byte, (one, other))| {
            let byte = byte | 0x20;
            all & ((byte == one) | (byte == other))
        })
    };
    let windows = text.array_windows::<N>();
    windows.fold(false, |any, window| any | matches(window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_wherever_it_starts() {
        const HREF: Word<4> = word(b"href");
        for at in 0..3 * STRETCH {
            let mut text = vec![b'.'; 3 * STRETCH + 3];
            assert_eq!(stretches(&text, HREF).count(), 0);
            for (to, from) in text.iter_mut().skip(at).zip(*b"HrEf") {
                *to = from;
            }
            let found: Vec<_> = stretches(&text, HREF).collect();
            assert_eq!(found.len(), 1, "{at}");
            assert!(found[0].contains(&at), "{at}");
        }
    }

    #[test]
    fn what_is_shorter_than_the_word_does_not_hold_it() {
        for text in ["", "h", "hre"] {
            assert_eq!(stretches(text.as_bytes(), word(b"href")).count(), 0);
            assert!(!may_hold(text.as_bytes(), word(b"href")));
        }
    }
}
