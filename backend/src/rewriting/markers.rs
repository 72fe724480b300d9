//! Attributes by which an author says that a link is not to be tracked: ours, and those of other
//! services, so that templates move over as they are. They stay in the output.

use super::any_case::{self, differs};

/// Name, and the value it must have if any will not do.
const NO_TRACK: [(&str, Option<&str>); 10] = [
    ("data-kraiter-no-track", None),
    ("data-no-track", None),
    ("clicktracking", Some("off")),
    ("data-pm-no-track", None),
    ("ses:no-track", None),
    ("disable-tracking", Some("true")),
    ("data-msys-clicktrack", Some("0")),
    ("mautic:disable-tracking", None),
    ("data-mautic-disable-tracking", None),
    ("data-skip-click", None),
];

pub(super) const UNSUBSCRIBE: &[u8] = b"data-kraiter-unsubscribe";

/// One of these is in each name above, up to its last `k`.
const PARTS: [&[u8]; 4] = [b"no-track", b"disable-track", b"clicktrack", b"skip-click"];

/// The shortest name of a marker.
const LEAST_BYTES: usize = "ses:no-track".len();

pub(super) fn is_no_track(name: &[u8], value: &[u8]) -> bool {
    name.len() >= LEAST_BYTES && has_meaning(name, value)
}

fn has_meaning(name: &[u8], value: &[u8]) -> bool {
    NO_TRACK.iter().any(|(marker, wanted)| {
        name.eq_ignore_ascii_case(marker.as_bytes())
            && wanted
                .is_none_or(|wanted| value.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    })
}

/// Whether there may be a marker anywhere in a text.
pub(super) fn may_be_in(text: &[u8]) -> bool {
    any_case::may_hold(text, differs_from_ends) && occurrences(text).next().is_some()
}

/// The parts end in `rack` or `lick`.
#[inline]
fn differs_from_ends([first, second, third, last]: [u8; any_case::LETTERS]) -> u8 {
    let rack = differs(first, b'r') | differs(second, b'a');
    let lick = differs(first, b'l') | differs(second, b'i');
    rack.min(lick) | differs(third, b'c') | differs(last, b'k')
}

/// Where markers may be, ascending.
pub(super) fn occurrences(html: &[u8]) -> impl Iterator<Item = usize> {
    // Few do, and it is asked quickly.
    let follows_a_c = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| html.get(before));
        before.is_some_and(|before| before | 0x20 == b'c')
    };
    let ends_a_part = |at: &usize| {
        let until = html.get(..=*at).unwrap_or_default();
        PARTS.iter().any(|part| {
            let tail = until.len().checked_sub(part.len());
            let tail = tail.and_then(|start| until.get(start..));
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(part))
        })
    };
    memchr::memchr2_iter(b'k', b'K', html)
        .filter(follows_a_c)
        .filter(ends_a_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_look_misses_no_marker() {
        for (marker, _) in NO_TRACK {
            assert_eq!(occurrences(marker.as_bytes()).count(), 1, "{marker}");
            assert!(marker.len() >= LEAST_BYTES);
            let upper = marker.to_uppercase();
            assert_eq!(occurrences(upper.as_bytes()).count(), 1, "{marker}");
            assert!(may_be_in(format!("<a {marker}>").as_bytes()), "{marker}");
            assert!(may_be_in(upper.as_bytes()), "{marker}");
        }
        assert!(!may_be_in(b"track skip click -track data-kraiter"));
    }

    #[test]
    fn markers_with_a_meaning_need_their_value() {
        assert!(is_no_track(b"clickTracking", b" OFF "));
        assert!(!is_no_track(b"clicktracking", b"on"));
        assert!(!is_no_track(b"disable-tracking", b""));
        assert!(is_no_track(b"SES:no-track", b""));
    }
}
