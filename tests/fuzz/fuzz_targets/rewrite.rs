//! Any bytes as a mail: no panic, and every invariant of rewriting holds.
//!
//! The input is HTML, so that any mail is a seed. After a byte 0xFF comes the text part, after the
//! next `listUnsubscribe`, after the next the options that are not the default.

#![no_main]

use std::cell::RefCell;

use kraiter_backend::rewriting::{Options, PixelPosition};
use kraiter_tests::invariants::{Reader, Request};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static READER: RefCell<Reader> = RefCell::new(Reader::new().unwrap());
}

fuzz_target!(|data: &[u8]| {
    // 0xFF is in no UTF-8.
    let mut parts = data
        .split(|byte| *byte == 0xFF)
        .map(String::from_utf8_lossy);
    let html = parts.next().unwrap_or_default();
    let (text, list_unsubscribe) = (parts.next(), parts.next());
    let switches = parts.next().and_then(|options| options.bytes().next());
    let on = |switch: u8| switches.unwrap_or(4) & switch == 0;
    let request = Request {
        html: &html,
        text: text.as_deref(),
        options: Options {
            track_opens: on(1),
            track_clicks: on(2),
            track_text: on(4),
            detect_unsubscribe: on(8),
            pixel: match on(16) {
                true => PixelPosition::Bottom,
                false => PixelPosition::Top,
            },
        },
        list_unsubscribe: list_unsubscribe.as_deref(),
    };
    READER.with_borrow_mut(|reader| {
        if let Err(broken) = reader.check(&request) {
            panic!("{}\n{request:?}", broken.0);
        }
    });
});
