//! The edge's readers of what strangers send: the header map as the proxy hands it over, and the
//! path. Nothing panics, nothing is read that is not there, and nobody without the key is served.

#![no_main]

use std::sync::OnceLock;

use kraiter_filter::fuzzing::{Decided, decide, read_pairs, token_in};
use kraiter_wire::{KeyId, Keyring, Secret};
use libfuzzer_sys::fuzz_target;

fn keyring() -> &'static Keyring {
    static RING: OnceLock<Keyring> = OnceLock::new();
    RING.get_or_init(|| {
        let key = KeyId::new(1).expect("1 is a key id");
        Keyring::new([(key, Secret::from_bytes([7; 32]))]).expect("one key is a ring")
    })
}

/// A map with these two headers, as the proxy lays it out.
fn headers(method: &[u8], path: &[u8]) -> Vec<u8> {
    let pairs: [(&[u8], &[u8]); 2] = [(b":method", method), (b":path", path)];
    let mut out = 2_u32.to_le_bytes().to_vec();
    for (name, value) in pairs {
        out.extend((name.len() as u32).to_le_bytes());
        out.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        out.extend([name, b"\0", value, b"\0"].concat());
    }
    out
}

fuzz_target!(|bytes: &[u8]| {
    let (pairs, total) = read_pairs(bytes);
    // Eight bytes of lengths and two NULs for each pair, and the count before them.
    assert!(pairs == 0 || 4 + pairs * 10 + total <= bytes.len());
    decide(keyring(), "", bytes);

    for prefix in ["", "/t"] {
        if let Some(token) = token_in(prefix.as_bytes(), bytes) {
            assert!(
                bytes
                    .windows(token.len().max(1))
                    .any(|part| part.starts_with(token))
            );
            assert!(!token.iter().any(|byte| matches!(byte, b'?' | b'#')));
        }
        for method in [b"GET".as_slice(), b"POST"] {
            let decided = decide(keyring(), prefix, &headers(method, bytes));
            assert_ne!(decided, Decided::Served);
        }
    }
});
