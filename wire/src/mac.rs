//! HMAC-SHA256 (RFC 2104) under a key that is used again and again.
//!
//! The key's part of both hashes is computed once. A token then costs the blocks of its own bytes
//! and one more: no state with buffers is copied and nothing is hashed twice. The generic `hmac`
//! crate is what this is tested against.

use sha2::block_api::compress256;

/// Bytes that SHA-256 takes at a time.
const BLOCK_BYTES: usize = 64;
type State = [u32; 8];

/// FIPS 180-4, 5.3.3.
const INITIAL: State = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];

/// SHA-256's.
pub(crate) type Digest = [u8; 32];

#[derive(Clone)]
pub(crate) struct KeyedMac {
    /// After the key xor `ipad`.
    inner: State,
    /// After the key xor `opad`.
    outer: State,
}

impl KeyedMac {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let state = |pad: u8| {
            let mut block = [pad; BLOCK_BYTES];
            for (to, from) in block.iter_mut().zip(key) {
                *to ^= from;
            }
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            state
        };
        Self {
            inner: state(0x36),
            outer: state(0x5C),
        }
    }

    /// Hashes the start of a message, filled up to whole blocks with zero bytes.
    pub(crate) fn start(&self, message: &[u8]) -> Started {
        let (whole, rest) = message.as_chunks::<BLOCK_BYTES>();
        let mut state = self.inner;
        compress256(&mut state, whole);
        let mut blocks = whole.len();
        if !rest.is_empty() {
            let mut last = [0; BLOCK_BYTES];
            if let Some(to) = last.get_mut(..rest.len()) {
                to.copy_from_slice(rest);
            }
            compress256(&mut state, &[last]);
            blocks += 1;
        }
        Started {
            inner: state,
            blocks: blocks as u32,
        }
    }

    /// Hashes the end of a message whose start is hashed.
    pub(crate) fn finish(&self, start: &Started, end: &[u8]) -> Digest {
        let (whole, rest) = end.as_chunks::<BLOCK_BYTES>();
        let mut state = start.inner;
        if !whole.is_empty() {
            compress256(&mut state, whole);
        }
        let bytes = start.blocks as usize * BLOCK_BYTES + end.len();
        finish(&mut state, rest, bytes);
        self.outer(&bytes_of(&state))
    }

    /// [`finish`](Self::finish) for messages that share their end. What one of them costs is
    /// mostly waiting for the step before, so they are taken side by side.
    pub(crate) fn finish_all<'s>(
        &self,
        starts: impl Iterator<Item = &'s Started>,
        end: &End,
        digests: &mut Vec<Digest>,
    ) {
        digests.clear();
        digests.extend(starts.map(|start| end.follow(start)));
        for digest in digests {
            *digest = self.outer(digest);
        }
    }

    /// [`finish`](Self::finish) for an end that many messages share.
    pub(crate) fn finish_with(&self, start: &Started, end: &End) -> Digest {
        self.outer(&end.follow(start))
    }

    /// The outer hash, of what the inner one gave.
    fn outer(&self, inner: &Digest) -> Digest {
        let mut block = OUTER_BLOCK;
        if let Some(to) = block.first_chunk_mut() {
            *to = *inner;
        }
        let mut state = self.outer;
        compress256(&mut state, &[block]);
        bytes_of(&state)
    }

    pub(crate) fn digest(&self, message: &[u8]) -> Digest {
        self.finish(&self.start(&[]), message)
    }
}

type Block = [u8; BLOCK_BYTES];

/// The end of messages, padded.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// Blocks but for the last.
    before: Vec<Block>,
    /// Ends in the length of the whole message, which is not known here.
    last: Block,
    /// Without the padding.
    bytes: usize,
}

impl End {
    pub(crate) fn new(end: &[u8]) -> Self {
        let mut padded = end.to_vec();
        padded.push(MARK);
        let filled = (padded.len() + LENGTH_BYTES).next_multiple_of(BLOCK_BYTES);
        padded.resize(filled, 0);
        let mut blocks = padded.as_chunks().0.to_vec();
        Self {
            // There is one, since the padding alone has bytes.
            last: blocks.pop().unwrap_or([0; BLOCK_BYTES]),
            before: blocks,
            bytes: end.len(),
        }
    }

    /// The inner hash of a message that ends like this.
    fn follow(&self, start: &Started) -> Digest {
        let mut state = start.inner;
        let mut last = self.last;
        set_length(&mut last, start.blocks as usize * BLOCK_BYTES + self.bytes);
        if !self.before.is_empty() {
            compress256(&mut state, &self.before);
        }
        compress256(&mut state, &[last]);
        bytes_of(&state)
    }
}

/// A message that is hashed up to the end of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    inner: State,
    /// Without the key's.
    blocks: u32,
}

/// Follows the last byte of a message.
const MARK: u8 = 0x80;
const LENGTH_BYTES: usize = 8;
const PADDING_BYTES: usize = 1 + LENGTH_BYTES;

/// What the outer hash reads: a digest, for which room is left, and the padding.
#[expect(
    clippy::indexing_slicing,
    reason = "worked out when compiling: an index that is too large would not compile"
)]
const OUTER_BLOCK: Block = {
    let mut block = [0; BLOCK_BYTES];
    block[size_of::<Digest>()] = MARK;
    let bits = bits_hashed(size_of::<Digest>()).to_be_bytes();
    [block[BLOCK_BYTES - 2], block[BLOCK_BYTES - 1]] = [bits[6], bits[7]];
    block
};

/// The key's block counts as well.
const fn bits_hashed(message_bytes: usize) -> u64 {
    8 * (BLOCK_BYTES as u64 + message_bytes as u64)
}

/// Hashes the last bytes, fewer than a block, with their padding.
fn finish(state: &mut State, rest: &[u8], message_bytes: usize) {
    let mut last = [0; BLOCK_BYTES];
    if let Some((to, mark)) = last.split_at_mut_checked(rest.len()) {
        to.copy_from_slice(rest);
        mark.iter_mut().take(1).for_each(|byte| *byte = MARK);
    }
    if rest.len() + PADDING_BYTES > BLOCK_BYTES {
        compress256(state, &[last]);
        last = [0; BLOCK_BYTES];
    }
    set_length(&mut last, message_bytes);
    compress256(state, &[last]);
}

fn set_length(block: &mut Block, message_bytes: usize) {
    if let Some(length) = block.last_chunk_mut() {
        *length = bits_hashed(message_bytes).to_be_bytes();
    }
}

fn bytes_of(state: &State) -> Digest {
    let mut bytes = Digest::default();
    for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_hmac_that_others_compute(
            key in any::<[u8; 32]>(),
            message in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut reference = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
            reference.update(&message);
            let reference: Digest = reference.finalize().into_bytes().into();
            prop_assert_eq!(KeyedMac::new(&key).digest(&message), reference);
        }
    }

    proptest! {
        #[test]
        fn a_start_counts_as_if_filled_up_with_zeros(
            key in any::<[u8; 32]>(),
            start in prop::collection::vec(any::<u8>(), 0..200),
            end in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mac = KeyedMac::new(&key);
            let mut message = start.clone();
            message.resize(start.len().next_multiple_of(BLOCK_BYTES), 0);
            message.extend(&end);
            let started = mac.start(&start);
            let digest = mac.digest(&message);
            prop_assert_eq!(mac.finish(&started, &end), digest);
            prop_assert_eq!(mac.finish_with(&started, &End::new(&end)), digest);
            let mut digests = vec![Digest::default()];
            mac.finish_all([&started; 3].into_iter(), &End::new(&end), &mut digests);
            prop_assert_eq!(digests, vec![digest; 3]);
        }
    }

    #[test]
    fn every_length_around_a_block_is_padded_right() {
        let key = [7; 32];
        for length in 0..=260 {
            let message = vec![0xA5; length];
            let mut reference = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
            reference.update(&message);
            let reference: Digest = reference.finalize().into_bytes().into();
            assert_eq!(KeyedMac::new(&key).digest(&message), reference, "{length}");
        }
    }
}
