//! A backend on a database of its own, and what tests ask of it.

use std::ffi::OsString;
use std::path::PathBuf;

use kraiter_tests::api::Api;
use kraiter_tests::backend::{Backend, BackendOptions};
use kraiter_tests::database;
use kraiter_tests::stack::{ANY_PORT, test_folder};
use serde_json::{Value, json};

/// What tracked URLs of every tenant start with.
pub(crate) const ORIGIN: &str = "https://t.example";

/// Its files go with it, unless the test failed.
pub(crate) struct Service {
    pub(crate) backend: Backend,
    folder: PathBuf,
}

impl Service {
    /// Ready to serve, on a migrated database that nobody else uses.
    pub(crate) fn start(name: &str) -> Self {
        Self::on(name, &database::fresh().unwrap())
    }

    pub(crate) fn on(name: &str, database_url: &str) -> Self {
        Self::with(name, options(name, Some(database_url)))
    }

    pub(crate) fn with(name: &str, options: BackendOptions) -> Self {
        Self {
            backend: Backend::start(options).unwrap(),
            folder: test_folder(name).unwrap(),
        }
    }

    /// Listening, whatever its database does.
    pub(crate) fn start_unready(name: &str, database_url: &str) -> Self {
        Self {
            backend: Backend::start_unready(options(name, Some(database_url))).unwrap(),
            folder: test_folder(name).unwrap(),
        }
    }

    /// A second backend on the same database, with the same keys.
    pub(crate) fn twin(&self, name: &str, database_url: &str) -> Self {
        let mut options = options(name, Some(database_url));
        let file = |file: &str| OsString::from(self.backend.data_dir().join(file));
        options.env.extend([
            ("KRAITER_KEYRING_FILE".into(), file("keyring.json")),
            ("KRAITER_INGEST_SECRET_FILE".into(), file("ingest.secret")),
        ]);
        Self::with(name, options)
    }

    /// A new tenant, by a key with all scopes.
    pub(crate) fn tenant(&self, name: &str) -> Api {
        self.backend.tenant(name, ORIGIN).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.backend.log()).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.backend.stop();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Why a service that is started like this does not come up.
pub(crate) fn refused(name: &str, options: BackendOptions) -> String {
    let error = Backend::start_unready(options).unwrap_err().to_string();
    let _ = std::fs::remove_dir_all(test_folder(name).unwrap());
    error
}

pub(crate) fn options(name: &str, database_url: Option<&str>) -> BackendOptions {
    let folder = test_folder(name).unwrap();
    BackendOptions {
        data_dir: folder.join("data"),
        listen: ANY_PORT,
        database_url: database_url.map(str::to_owned),
        env: Vec::new(),
        log: folder.join("backend.log"),
    }
}

/// A mail with one link, for one contact.
pub(crate) fn rewrite(api: &Api, send: &str, contact: &str) -> Value {
    let html = r#"<p><a href="https://shop.example/x">x</a></p>"#;
    let body = json!({"sendId": send, "contact": contact, "campaign": "spring", "html": html});
    api.write("POST", "/rewrite", &body).unwrap()
}

/// Registers a send that is not rewritten.
pub(crate) fn register(api: &Api, send: &str, contact: &str) -> Value {
    let body = json!({"sendId": send, "contact": contact});
    api.write("POST", "/sends", &body).unwrap()
}

/// The contact's numbers of sends, opens and clicks.
pub(crate) fn counts(api: &Api, contact: &str) -> [u64; 3] {
    let contact = api.contact(contact).unwrap();
    ["emailsSentCount", "emailsOpenedCount", "emailsClickedCount"]
        .map(|name| contact[name].as_u64().unwrap())
}

/// All items of a list, page by page, newest first.
pub(crate) fn all(api: &Api, path: &str) -> Vec<Value> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut items = Vec::new();
    let mut next = format!("{path}{joint}limit=1000");
    loop {
        let page = api.read(&next).unwrap();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["nextCursor"].as_str() {
            Some(cursor) => next = format!("{path}{joint}limit=1000&cursor={cursor}"),
            None => return items,
        }
    }
}

/// The text at `name` of each item.
pub(crate) fn texts(items: &[Value], name: &str) -> Vec<String> {
    let text = |item: &Value| item[name].as_str().unwrap_or_default().to_owned();
    items.iter().map(text).collect()
}
