//! Suite `timing`: whether the time that a wrong signature is refused in tells how much of it was
//! right. Tokens whose MAC is right but for its last byte beside tokens whose MAC is random: were
//! the comparison to stop at the first difference, the former would take longer.

use std::hint::black_box;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kraiter_tests::config::BenchConfig;
use kraiter_tests::forge::Forge;
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_wire::Verifier;

use crate::report::{Finding, Report};

const MAC_BYTES: usize = 16;
/// Verified at once between two looks at the clock.
const AT_ONCE: usize = 64;
const SAMPLES: usize = 4000;

pub(crate) fn measure(config: &BenchConfig) -> Outcome<Report> {
    let trouble = || Trouble::io("signing links")(std::io::Error::other("they are not valid"));
    let forge = Forge::new([0xBE; 32], 1).ok_or_else(trouble)?;
    let ring = forge.keyring().parse().map_err(|_| trouble())?;
    let mut verifier = Verifier::new(&ring);
    let mut prefixed = Vec::new();
    let mut random = Vec::new();
    let mut seed = 0x9E37_79B9_u32;
    for number in 0..AT_ONCE {
        let path = forge
            .click(&format!("snd-{number}"), "https://shop.example/x")
            .ok_or_else(trouble)?;
        let token = path.trim_start_matches("/c/");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| trouble())?;
        let mut almost = bytes.clone();
        if let Some(last) = almost.last_mut() {
            *last ^= 1;
        }
        let mut other = bytes;
        for byte in other.iter_mut().rev().take(MAC_BYTES) {
            // A linear congruence; nothing here has to be unpredictable.
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (seed >> 24) as u8;
        }
        prefixed.push(URL_SAFE_NO_PAD.encode(almost));
        random.push(URL_SAFE_NO_PAD.encode(other));
    }
    let mut refuse = |tokens: &[String]| {
        let start = Instant::now();
        for token in tokens {
            let refused = verifier.verify(black_box(token.as_bytes())).is_err();
            assert!(refused, "a wrong signature was taken");
        }
        start.elapsed().as_secs_f64() * 1e9 / tokens.len() as f64
    };
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for sample in 0..SAMPLES * config.rounds {
        // In turns, and each as often first, so that both meet the same disturbances.
        if sample % 2 == 0 {
            ours.push(refuse(&prefixed));
            limit.push(refuse(&random));
        } else {
            limit.push(refuse(&random));
            ours.push(refuse(&prefixed));
        }
    }
    Ok(Report {
        suite: "timing",
        findings: vec![Finding::new("mac/almost_right", &ours, &limit, "ns")],
        notes: vec![
            "one refused token, its MAC right but for the last bit, beside a random MAC; \
             a ratio of 1 means that time tells nothing"
                .to_owned(),
        ],
    })
}
