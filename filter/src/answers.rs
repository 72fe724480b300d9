//! The answers' bytes: status, headers and body of each, serialised once per configuration.
//!
//! Knows the layout the host takes headers in. Decides nothing: which answer a request gets is the
//! plan's business.

use kraiter_wire::{Destination, Kind};

/// A transparent GIF of one pixel (GIF89a), the smallest that all mail clients show.
pub(crate) const PIXEL: &[u8; 43] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF\
    !\xF9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

const NO_STORE: (&[u8], &[u8]) = (
    b"cache-control",
    b"no-store, no-cache, must-revalidate, max-age=0",
);
const NO_INDEX: (&[u8], &[u8]) = (b"x-robots-tag", b"noindex");
const NO_REFERRER: (&[u8], &[u8]) = (b"referrer-policy", b"no-referrer");
const NO_SNIFF: (&[u8], &[u8]) = (b"x-content-type-options", b"nosniff");
const HTML: (&[u8], &[u8]) = (b"content-type", b"text/html; charset=utf-8");
/// A page may be shown and its button pressed; it loads nothing and nobody frames it.
const PAGE_POLICY: (&[u8], &[u8]) = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
);
/// Seconds after which an unsubscribe that found no room is worth another try.
const RETRY_AFTER: (&[u8], &[u8]) = (b"retry-after", b"30");

macro_rules! page {
    ($title:literal, $content:literal) => {
        concat!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">",
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>",
            $title,
            "</title><style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;",
            "margin:15vh auto;padding:0 1rem;text-align:center}button{font:inherit;",
            "padding:.6rem 1.4rem}</style></head><body>",
            $content,
            "</body></html>\n"
        )
    };
}

const NOT_FOUND_PAGE: &str = page!(
    "Link not found",
    "<h1>This link does not work</h1>\
     <p>It may have been cut off or changed on its way. Please open the link in the mail again.</p>"
);
const UNSUBSCRIBE_PAGE: &str = page!(
    "Unsubscribe",
    "<h1>Unsubscribe</h1><p>Do you want to receive no more of these mails?</p>\
     <form method=\"post\"><button>Unsubscribe</button></form>"
);
const UNSUBSCRIBED_PAGE: &str = page!(
    "Unsubscribed",
    "<h1>You are unsubscribed</h1><p>It may take a moment until the last mails have arrived.</p>"
);
const BLOCKED_PAGE: &str = page!(
    "Link blocked",
    "<h1>This link was blocked</h1>\
     <p>It was reported as harmful, so it leads nowhere any more. You need not do anything.</p>"
);
const TRY_LATER_PAGE: &str = page!(
    "Please try again",
    "<h1>Please try again in a minute</h1><p>Your request could not be saved just now.</p>"
);

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    Pixel,
    Redirect(Destination<'a>),
    /// A click whose token is not valid: a page, or a redirect where a fallback is configured. The
    /// fallback is the operator's own URL, never one from the request.
    BadClick,
    UnsubscribePage,
    Unsubscribed,
    BadUnsubscribe,
    /// The request could not be recorded and has to be made again.
    TryLater,
    /// The sender or the destination is blocked. A pixel stays an image: clients draw it.
    Blocked(Kind),
    MethodNotAllowed(Kind),
}

/// An answer as the host takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) status: u32,
    /// Serialised pairs.
    pub(crate) headers: &'a [u8],
    pub(crate) body: &'a [u8],
}

struct Prepared {
    status: u32,
    headers: Vec<u8>,
    body: &'static [u8],
}

impl Prepared {
    fn new(status: u32, headers: &[(&[u8], &[u8])], body: &'static [u8]) -> Self {
        let headers = serialise(headers);
        Self {
            status,
            headers,
            body,
        }
    }

    fn page(status: u32, extra: &[(&[u8], &[u8])], page: &'static str) -> Self {
        let common = [HTML, NO_STORE, NO_INDEX, NO_REFERRER, NO_SNIFF, PAGE_POLICY];
        Self::new(status, &[&common, extra].concat(), page.as_bytes())
    }

    fn method_not_allowed(allowed: &'static [u8]) -> Self {
        let headers = [
            (b"allow".as_slice(), allowed),
            (b"content-type", b"text/plain; charset=utf-8"),
            NO_STORE,
        ];
        Self::new(405, &headers, b"Method not allowed\n")
    }

    fn redirect(location: &[u8]) -> Self {
        let headers = [NO_STORE, NO_REFERRER, NO_INDEX, (b"location", location)];
        Self::new(302, &headers, b"")
    }
}

/// All answers of one configuration.
pub(crate) struct Answers {
    pixel: Prepared,
    /// With an empty location, which is the last pair: a redirect is this and its destination.
    redirect: Prepared,
    /// Where the length of the location stands in `redirect`.
    location_len_at: usize,
    bad_click: Prepared,
    unsubscribe_page: Prepared,
    unsubscribed: Prepared,
    bad_unsubscribe: Prepared,
    try_later: Prepared,
    blocked_pixel: Prepared,
    blocked_page: Prepared,
    only_get: Prepared,
    get_and_post: Prepared,
    scratch: Vec<u8>,
}

impl Answers {
    pub(crate) fn new(fallback: Option<&Destination<'_>>) -> Self {
        let redirect = Prepared::redirect(b"");
        let pairs = crate::request::Pairs::new(&redirect.headers).count();
        let pixel = [
            (b"content-type".as_slice(), b"image/gif".as_slice()),
            NO_STORE,
            NO_INDEX,
            // Webmail that isolates itself would not show the pixel without this.
            (b"cross-origin-resource-policy", b"cross-origin"),
        ];
        Self {
            pixel: Prepared::new(200, &pixel, PIXEL),
            blocked_pixel: Prepared::new(410, &pixel, PIXEL),
            blocked_page: Prepared::page(410, &[], BLOCKED_PAGE),
            location_len_at: pairs * 8,
            redirect,
            bad_click: match fallback {
                Some(url) => Prepared::redirect(url.as_str().as_bytes()),
                None => Prepared::page(404, &[], NOT_FOUND_PAGE),
            },
            unsubscribe_page: Prepared::page(200, &[], UNSUBSCRIBE_PAGE),
            unsubscribed: Prepared::page(200, &[], UNSUBSCRIBED_PAGE),
            bad_unsubscribe: Prepared::page(404, &[], NOT_FOUND_PAGE),
            try_later: Prepared::page(503, &[RETRY_AFTER], TRY_LATER_PAGE),
            only_get: Prepared::method_not_allowed(b"GET, HEAD"),
            get_and_post: Prepared::method_not_allowed(b"GET, HEAD, POST"),
            scratch: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn response(&mut self, answer: &Answer<'_>) -> Response<'_> {
        let prepared = match answer {
            Answer::Pixel => &self.pixel,
            Answer::Redirect(url) => {
                self.write_location(url.as_str().as_bytes());
                return Response {
                    status: self.redirect.status,
                    headers: &self.scratch,
                    body: self.redirect.body,
                };
            }
            Answer::BadClick => &self.bad_click,
            Answer::UnsubscribePage => &self.unsubscribe_page,
            Answer::Unsubscribed => &self.unsubscribed,
            Answer::BadUnsubscribe => &self.bad_unsubscribe,
            Answer::TryLater => &self.try_later,
            Answer::Blocked(Kind::Open) => &self.blocked_pixel,
            Answer::Blocked(Kind::Click | Kind::Unsubscribe) => &self.blocked_page,
            Answer::MethodNotAllowed(Kind::Unsubscribe) => &self.get_and_post,
            Answer::MethodNotAllowed(Kind::Open | Kind::Click) => &self.only_get,
        };
        Response {
            status: prepared.status,
            headers: &prepared.headers,
            body: prepared.body,
        }
    }

    fn write_location(&mut self, url: &[u8]) {
        self.scratch.clear();
        // The template ends with the empty value's NUL, which comes after the value.
        let template = self.redirect.headers.split_last();
        self.scratch
            .extend_from_slice(template.map_or(&[], |(_, template)| template));
        self.scratch.extend_from_slice(url);
        self.scratch.push(0);
        let len_at = self.location_len_at..self.location_len_at + 4;
        if let Some(len) = self.scratch.get_mut(len_at) {
            // A destination has at most 4096 bytes.
            len.copy_from_slice(&(url.len() as u32).to_le_bytes());
        }
    }
}

/// Header pairs in the layout that host and filter exchange them in.
pub(crate) fn serialise(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((pairs.len() as u32).to_le_bytes());
    for (name, value) in pairs {
        out.extend((name.len() as u32).to_le_bytes());
        out.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Pairs;

    fn headers(response: Response<'_>) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Pairs::new(response.headers)
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    fn header(response: Response<'_>, name: &str) -> Option<String> {
        let found = headers(response).into_iter().find(|pair| pair.0 == name);
        found.map(|(_, value)| value)
    }

    #[test]
    fn the_pixel_is_a_gif_of_43_bytes_that_nobody_keeps() {
        let mut answers = Answers::new(None);
        let pixel = answers.response(&Answer::Pixel);
        assert_eq!((pixel.status, pixel.body.len()), (200, 43));
        assert_eq!(pixel.body.get(..6), Some(b"GIF89a".as_slice()));
        assert_eq!(header(pixel, "content-type").unwrap(), "image/gif");
        assert!(header(pixel, "cache-control").unwrap().contains("no-store"));
    }

    #[test]
    fn a_blocked_pixel_is_still_an_image() {
        let mut answers = Answers::new(None);
        let blocked = answers.response(&Answer::Blocked(Kind::Open));
        assert_eq!((blocked.status, blocked.body), (410, PIXEL.as_slice()));
        assert_eq!(header(blocked, "content-type").unwrap(), "image/gif");
    }

    #[test]
    fn a_redirect_carries_its_destination_to_the_byte() {
        let mut answers = Answers::new(None);
        for url in ["https://example.com/?a=%C3%A4&b=c#d", "http://b.example"] {
            let url = Destination::parse(url).unwrap();
            let redirect = answers.response(&Answer::Redirect(url.clone()));
            assert_eq!((redirect.status, redirect.body), (302, b"".as_slice()));
            assert_eq!(header(redirect, "location").unwrap(), url.as_str());
            assert_eq!(header(redirect, "referrer-policy").unwrap(), "no-referrer");
            assert_eq!(header(redirect, "x-robots-tag").unwrap(), "noindex");
            let cache = header(redirect, "cache-control").unwrap();
            assert!(cache.contains("no-store"), "{cache}");
            assert_eq!(headers(redirect).len(), 4);
        }
    }

    #[test]
    fn a_bad_click_leads_nowhere_unless_the_operator_says_where() {
        let mut answers = Answers::new(None);
        let page = answers.response(&Answer::BadClick);
        assert_eq!((page.status, header(page, "location")), (404, None));
        let url = Destination::parse("https://shop.example/").unwrap();
        let mut answers = Answers::new(Some(&url));
        let redirect = answers.response(&Answer::BadClick);
        assert_eq!(redirect.status, 302);
        assert_eq!(header(redirect, "location").unwrap(), url.as_str());
    }

    #[test]
    fn pages_load_nothing_and_are_not_kept() {
        let mut answers = Answers::new(None);
        for (answer, status) in [
            (Answer::BadClick, 404),
            (Answer::UnsubscribePage, 200),
            (Answer::Unsubscribed, 200),
            (Answer::BadUnsubscribe, 404),
            (Answer::TryLater, 503),
            (Answer::Blocked(Kind::Click), 410),
        ] {
            let page = answers.response(&answer);
            assert_eq!(page.status, status, "{answer:?}");
            assert!(header(page, "cache-control").unwrap().contains("no-store"));
            let policy = header(page, "content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'"));
            assert_eq!(header(page, "set-cookie"), None);
        }
    }

    #[test]
    fn a_refused_method_is_told_what_is_allowed() {
        let mut answers = Answers::new(None);
        let mut allow = |kind| {
            let response = answers.response(&Answer::MethodNotAllowed(kind));
            (response.status, header(response, "allow").unwrap())
        };
        assert_eq!(allow(Kind::Open), (405, "GET, HEAD".to_owned()));
        assert_eq!(allow(Kind::Click), (405, "GET, HEAD".to_owned()));
        assert_eq!(
            allow(Kind::Unsubscribe),
            (405, "GET, HEAD, POST".to_owned())
        );
    }
}
