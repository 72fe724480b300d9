//! Asking the same of all bytes of a text, many at a time.

/// Bytes that are asked at once, on machines of today.
const WIDTH: usize = 32;

/// Whether `holds` does for every byte. It is evaluated for all of them, so it should compare and
/// not branch. The last bytes are asked twice rather than one by one: texts are short here.
#[inline]
pub fn all_bytes(bytes: &[u8], holds: impl Fn(u8) -> bool) -> bool {
    let whole = bytes.len() - bytes.len() % WIDTH;
    let parts = match bytes.len().checked_sub(WIDTH) {
        Some(last) => [bytes.get(..whole), bytes.get(last..)],
        None => [Some(bytes), None],
    };
    let hold = |part: &[u8]| part.iter().fold(true, |all, byte| all & holds(*byte));
    parts.into_iter().flatten().all(hold)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::all_bytes;

    proptest! {
        #[test]
        fn one_byte_anywhere_decides(length in 1..200_usize, at in any::<prop::sample::Index>()) {
            let mut bytes = vec![b'a'; length];
            prop_assert!(all_bytes(&bytes, |byte| byte == b'a'));
            bytes[at.index(length)] = b'b';
            prop_assert!(!all_bytes(&bytes, |byte| byte == b'a'));
        }
    }

    #[test]
    fn of_no_bytes_everything_holds() {
        assert!(all_bytes(b"", |_| false));
    }
}
