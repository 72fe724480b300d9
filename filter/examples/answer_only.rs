//! The bench's limit for the filter: a filter that only answers.
//!
//! The same bytes for a pixel and a click, from the same SDK, with nothing verified, recorded or
//! counted. The plugin's configuration, as plain text, is where every click leads.

#![cfg(target_arch = "wasm32")]

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType};

const PIXEL: &[u8; 43] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF\
    !\xF9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
const NO_STORE: (&str, &str) = (
    "cache-control",
    "no-store, no-cache, must-revalidate, max-age=0",
);
const NO_INDEX: (&str, &str) = ("x-robots-tag", "noindex");

struct Root {
    destination: Rc<str>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, 4096);
        let bytes = configuration.ok().flatten().unwrap_or_default();
        self.destination = String::from_utf8_lossy(&bytes).into();
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let destination = Rc::clone(&self.destination);
        Some(Box::new(Request { destination }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request {
    destination: Rc<str>,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, ":path");
        let path = path.ok().flatten().unwrap_or_default();
        let sent = if path.starts_with(b"/o/") {
            let headers = vec![
                ("content-type", "image/gif"),
                NO_STORE,
                NO_INDEX,
                ("cross-origin-resource-policy", "cross-origin"),
            ];
            hostcalls::send_http_response(200, headers, Some(PIXEL))
        } else if path.starts_with(b"/c/") {
            let headers = vec![
                NO_STORE,
                ("referrer-policy", "no-referrer"),
                NO_INDEX,
                ("location", &*self.destination),
            ];
            hostcalls::send_http_response(302, headers, None)
        } else {
            return Action::Continue;
        };
        match sent {
            Ok(()) => Action::Pause,
            Err(_) => Action::Continue,
        }
    }
}

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { destination: "".into() }));
}}
