//! Which paths are tracked URLs, and where their token stands. Knows nothing of what is in a token.

use kraiter_wire::Kind;

/// What every pixel's path ends with: some clients load only what looks like an image.
const PIXEL_SUFFIX: &[u8] = b".gif";

/// A path that belongs to the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) kind: Kind,
    /// The token's text, not verified. Empty where there is none.
    pub(crate) token: &'a [u8],
}

impl<'a> Route<'a> {
    /// `None`: the path is somebody else's. The query is no part of a tracked URL; mailers and
    /// analytics tools append to it.
    #[inline]
    pub(crate) fn of(prefix: &[u8], path: &'a [u8]) -> Option<Self> {
        let [b'/', kind, b'/', rest @ ..] = path.strip_prefix(prefix)? else {
            return None;
        };
        let text = match rest.iter().position(|byte| matches!(byte, b'?' | b'#')) {
            Some(end) => rest.get(..end).unwrap_or_default(),
            None => rest,
        };
        let (kind, token) = match kind {
            b'o' => (
                Kind::Open,
                text.strip_suffix(PIXEL_SUFFIX).unwrap_or_default(),
            ),
            b'c' => (Kind::Click, text),
            b'u' => (Kind::Unsubscribe, text),
            _ => return None,
        };
        Some(Self { kind, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route<'a>(prefix: &str, path: &'a str) -> Option<(Kind, &'a str)> {
        Route::of(prefix.as_bytes(), path.as_bytes())
            .map(|route| (route.kind, std::str::from_utf8(route.token).unwrap()))
    }

    #[test]
    fn each_kind_has_its_path() {
        assert_eq!(route("", "/o/abc.gif"), Some((Kind::Open, "abc")));
        assert_eq!(route("", "/c/abc"), Some((Kind::Click, "abc")));
        assert_eq!(route("", "/u/abc"), Some((Kind::Unsubscribe, "abc")));
    }

    #[test]
    fn a_pixel_without_its_suffix_has_no_token() {
        assert_eq!(route("", "/o/abc"), Some((Kind::Open, "")));
        assert_eq!(route("", "/o/"), Some((Kind::Open, "")));
    }

    #[test]
    fn query_and_fragment_are_ignored() {
        assert_eq!(
            route("", "/c/abc?utm_source=x/y"),
            Some((Kind::Click, "abc"))
        );
        assert_eq!(route("", "/o/abc.gif?1#2"), Some((Kind::Open, "abc")));
        assert_eq!(route("", "/c/abc#top"), Some((Kind::Click, "abc")));
    }

    #[test]
    fn other_paths_are_somebody_elses() {
        for path in [
            "",
            "*",
            "/",
            "/o",
            "/O/abc.gif",
            "/api",
            "/x/abc",
            "//c/abc",
            "/t/c/abc",
            "c/abc",
        ] {
            assert_eq!(route("", path), None, "{path}");
        }
    }

    #[test]
    fn a_prefix_moves_all_of_them() {
        assert_eq!(route("/t", "/t/c/abc"), Some((Kind::Click, "abc")));
        assert_eq!(route("/t", "/c/abc"), None);
        assert_eq!(route("/t", "/tc/abc"), None);
    }
}
