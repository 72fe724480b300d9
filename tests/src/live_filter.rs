//! The filter's configuration in a file that Envoy watches, so that it changes under a running Envoy
//! without a listener being drained: what a control plane does by extension config discovery.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::envoy_config::EnvoyConfig;
use crate::trouble::{Outcome, Trouble};

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// The configuration that the file holds.
#[derive(Debug)]
pub struct LiveFilter {
    config: EnvoyConfig,
    file: PathBuf,
    versions: u32,
}

impl LiveFilter {
    /// Moves the plugin out of `config` into a file in `folder`.
    pub fn install(config: &mut EnvoyConfig, folder: &Path) -> Outcome<Self> {
        let mut live = Self {
            config: config.clone(),
            file: folder.join("filter.json"),
            versions: 0,
        };
        live.write()?;
        let filter = http_filter(config)?;
        let name = filter.get("name").cloned().unwrap_or_default();
        *filter = json!({
            "name": name,
            "config_discovery": {
                "config_source": {
                    "path_config_source": {"path": live.file},
                    "resource_api_version": "V3",
                },
                "type_urls": [WASM],
            },
        });
        // Discovery asks for a name of who discovers.
        if let Some(whole) = config.json_mut().as_object_mut() {
            let node = json!({"id": "edge", "cluster": "edge"});
            whole.insert("node".to_owned(), node);
        }
        Ok(live)
    }

    /// Changes the filter's configuration under the running Envoy, which takes it up soon.
    pub fn update(&mut self, edit: impl FnOnce(&mut EnvoyConfig) -> Outcome<()>) -> Outcome<()> {
        edit(&mut self.config)?;
        self.write()
    }

    /// How many versions there have been.
    pub fn versions(&self) -> u32 {
        self.versions
    }

    /// Envoy looks for files that are moved to the watched name.
    fn write(&mut self) -> Outcome<()> {
        self.versions += 1;
        let filter = http_filter(&mut self.config)?;
        let mut resource = filter.clone();
        if let Some(resource) = resource.as_object_mut() {
            let kind = json!("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
            resource.insert("@type".to_owned(), kind);
        }
        let answer = json!({"version_info": self.versions.to_string(), "resources": [resource]});
        let beside = self.file.with_extension("new");
        let writing = || Trouble::io(format!("writing {}", self.file.display()));
        std::fs::write(&beside, answer.to_string()).map_err(writing())?;
        std::fs::rename(&beside, &self.file).map_err(writing())
    }
}

/// The entry of `http_filters` that is the plugin.
fn http_filter(config: &mut EnvoyConfig) -> Outcome<&mut Value> {
    let path = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = config.json_mut().pointer_mut(path);
    let filters = filters.and_then(Value::as_array_mut).into_iter().flatten();
    let is_plugin =
        |filter: &&mut Value| filter.pointer("/typed_config/@type") == Some(&json!(WASM));
    filters.into_iter().find(is_plugin).ok_or_else(|| {
        let problem = "its first listener has no wasm filter".to_owned();
        Trouble::content(Path::new("Envoy's configuration"), problem)
    })
}
