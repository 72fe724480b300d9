//! The request head, read in place from the one buffer the host hands over.
//!
//! Owns the layout of serialised header pairs: a count, then for each pair the lengths of name and
//! value (all u32, little-endian), then for each pair name, NUL, value, NUL. Assumes nothing about
//! the bytes: header values need not be UTF-8, and lengths that do not fit end the reading.

/// What the plan needs of a request. A header that was not sent is `None`; of one sent twice the
/// first counts. Method and path are empty where the host gave none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) accept_language: Option<&'a [u8]>,
    pub(crate) sec_purpose: Option<&'a [u8]>,
    pub(crate) purpose: Option<&'a [u8]>,
    pub(crate) x_purpose: Option<&'a [u8]>,
    pub(crate) x_moz: Option<&'a [u8]>,
    /// The client's address as the proxy itself found it; see [`crate::address::AddressFrom`].
    pub(crate) external_address: Option<&'a [u8]>,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn read(pairs: &'a [u8]) -> Self {
        let mut head = Self::default();
        for (name, value) in Pairs::new(pairs) {
            let slot = match name {
                b":method" => {
                    head.method = value;
                    continue;
                }
                b":path" => {
                    head.path = value;
                    continue;
                }
                b"user-agent" => &mut head.user_agent,
                b"accept-language" => &mut head.accept_language,
                b"sec-purpose" => &mut head.sec_purpose,
                b"purpose" => &mut head.purpose,
                b"x-purpose" => &mut head.x_purpose,
                b"x-moz" => &mut head.x_moz,
                b"x-envoy-external-address" => &mut head.external_address,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        head
    }
}

/// Name and value of each pair of a serialised header map.
pub(crate) struct Pairs<'a> {
    lengths: std::slice::ChunksExact<'a, u8>,
    rest: &'a [u8],
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (count, rest) = take_u32(bytes).unwrap_or((0, &[]));
        let (lengths, rest) = (count as usize)
            .checked_mul(8)
            .and_then(|len| rest.split_at_checked(len))
            .unwrap_or_default();
        Self {
            lengths: lengths.chunks_exact(8),
            rest,
        }
    }

    /// The next `len` bytes and the NUL after them.
    fn take(&mut self, len: u32) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len as usize)?;
        self.rest = rest.split_first()?.1;
        Some(taken)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, lengths) = take_u32(self.lengths.next()?)?;
        let (value, _) = take_u32(lengths)?;
        Some((self.take(name)?, self.take(value)?))
    }
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::serialise;
    use proptest::prelude::*;

    #[test]
    fn the_head_is_found_wherever_its_headers_stand() {
        let pairs = serialise(&[
            (b":authority", b"t.example"),
            (b":path", b"/o/x.gif"),
            (b"x-moz", b"prefetch"),
            (b":method", b"GET"),
            (b"user-agent", b"caf\xE9 \xFF"),
            (b"user-agent", b"second"),
            (b"purpose", b""),
        ]);
        let head = RequestHead::read(&pairs);
        assert_eq!(head.method, b"GET");
        assert_eq!(head.path, b"/o/x.gif");
        assert_eq!(head.user_agent, Some(b"caf\xE9 \xFF".as_slice()));
        assert_eq!(head.x_moz, Some(b"prefetch".as_slice()));
        assert_eq!(head.purpose, Some(b"".as_slice()));
        assert_eq!(head.accept_language, None);
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        let mut pairs = serialise(&[(b":method", b"GET"), (b":path", b"/")]);
        for claimed in [0, 3, 1000, u32::MAX] {
            pairs.splice(..4, claimed.to_le_bytes());
            let head = RequestHead::read(&pairs);
            assert_eq!(head.path, b"", "count {claimed}");
        }
        assert_eq!(RequestHead::read(b"\x01"), RequestHead::default());
    }

    proptest! {
        #[test]
        fn no_bytes_at_all_make_the_reader_panic(
            bytes in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..200)
        ) {
            RequestHead::read(&bytes);
        }

        #[test]
        fn cut_buffers_give_no_header_that_was_not_there(cut in 0_usize..60) {
            let pairs = serialise(&[(b":method", b"GET"), (b"user-agent", b"Mozilla/5.0")]);
            let head = RequestHead::read(pairs.get(..cut).unwrap_or(&pairs));
            prop_assert!(head.user_agent.is_none_or(|ua| ua == b"Mozilla/5.0"));
        }
    }
}
