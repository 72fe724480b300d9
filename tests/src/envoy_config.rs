//! The shipped Envoy configuration, changed in the few places where a second copy of it must differ:
//! ports, paths, the plugin's own settings. There is no other configuration to drift away from it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::artifacts;
use crate::trouble::{Outcome, Trouble};

/// The cluster that events go to, by its name in the shipped file.
pub const BACKEND_CLUSTER: &str = "kraiter_backend";

#[derive(Clone, Debug)]
pub struct EnvoyConfig {
    json: Value,
    path: PathBuf,
}

impl EnvoyConfig {
    /// As shipped.
    pub fn shipped() -> Outcome<Self> {
        Self::read(&artifacts::project_root().join("envoy/envoy.yaml"))
    }

    pub fn read(path: &Path) -> Outcome<Self> {
        let reading = format!("reading {}", path.display());
        let text = std::fs::read_to_string(path).map_err(Trouble::io(reading))?;
        let json = serde_saphyr::from_str(&text).map_err(|error| Trouble::content(path, error))?;
        Ok(Self {
            json,
            path: path.to_owned(),
        })
    }

    pub fn json(&self) -> &Value {
        &self.json
    }

    pub fn json_mut(&mut self) -> &mut Value {
        &mut self.json
    }

    /// Where recipients reach the edge.
    pub fn listen(&mut self, address: SocketAddr) -> Outcome<()> {
        let listener = self.at("/static_resources/listeners/0/address/socket_address")?;
        *listener = socket(address);
        Ok(())
    }

    pub fn listener_name(&self) -> Option<&str> {
        let name = self.json.pointer("/static_resources/listeners/0/name");
        name.and_then(Value::as_str)
    }

    pub fn admin(&mut self, address: SocketAddr) -> Outcome<()> {
        let admin = self.at("/admin/address/socket_address")?;
        *admin = socket(address);
        Ok(())
    }

    /// Where events are delivered.
    pub fn backend(&mut self, address: SocketAddr) -> Outcome<()> {
        *self.backend_endpoint()? = socket(address);
        Ok(())
    }

    /// The socket address of the cluster that events go to.
    pub fn backend_endpoint(&mut self) -> Outcome<&mut Value> {
        let path = self.path.clone();
        let clusters = self.at("/static_resources/clusters")?;
        let named = |cluster: &&mut Value| cluster.get("name") == Some(&json!(BACKEND_CLUSTER));
        let cluster = clusters.as_array_mut().into_iter().flatten().find(named);
        let endpoint = cluster.and_then(|cluster| {
            let path =
                "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
            cluster.pointer_mut(path)
        });
        endpoint.ok_or_else(|| {
            Trouble::content(
                &path,
                format!("it has no endpoint of cluster {BACKEND_CLUSTER}"),
            )
        })
    }

    /// The file that Envoy loads the filter from.
    pub fn filter_file(&mut self, file: &Path) -> Outcome<()> {
        let name = self.wasm_code()?;
        *name = json!(file);
        Ok(())
    }

    /// Where the shipped file expects the filter.
    pub fn shipped_filter_file(&mut self) -> Outcome<PathBuf> {
        let name = self.wasm_code()?.as_str().map(PathBuf::from);
        name.ok_or_else(|| self.lacks("a file name of the filter's code"))
    }

    /// Lets the edge speak TLS as the shipped example says, with the two files in `folder`.
    pub fn speak_tls(&mut self, folder: &Path) -> Outcome<()> {
        let example = Self::read(&artifacts::project_root().join("envoy/tls.yaml"))?;
        let mut tls = example.json;
        let context = "/transport_socket/typed_config/common_tls_context/tls_certificates/0";
        if let Some(certificate) = tls.pointer_mut(context) {
            *certificate = json!({
                "certificate_chain": {"filename": folder.join("tls.crt")},
                "private_key": {"filename": folder.join("tls.key")},
                "watched_directory": {"path": folder},
            });
        }
        let chain = self.at("/static_resources/listeners/0/filter_chains/0")?;
        if let (Some(chain), Value::Object(tls)) = (chain.as_object_mut(), tls) {
            chain.extend(tls);
        }
        Ok(())
    }

    /// The file that the journal goes to.
    pub fn journal(&mut self, file: &Path) -> Outcome<()> {
        let lacks = self.lacks("a journal among the access logs");
        let manager = self.connection_manager()?;
        let path = manager.pointer_mut("/access_log/0/typed_config/path");
        *path.ok_or(lacks)? = json!(file);
        Ok(())
    }

    fn wasm_code(&mut self) -> Outcome<&mut Value> {
        let path = self.path.clone();
        find(&mut self.json, &|value| value.get("vm_config").is_some())
            .and_then(|plugin| plugin.pointer_mut("/vm_config/code/local/filename"))
            .ok_or_else(|| Trouble::content(&path, "it has no wasm plugin with a local file"))
    }

    /// The plugin as Envoy knows it: `name`, `vm_config`, `configuration` and the rest.
    pub fn plugin(&mut self) -> Outcome<&mut Value> {
        let path = self.path.clone();
        find(&mut self.json, &|value| value.get("vm_config").is_some())
            .ok_or_else(|| Trouble::content(&path, "it has no wasm plugin"))
    }

    /// The filter's own settings, which travel as JSON in a string.
    pub fn settings(&mut self) -> Outcome<Value> {
        let path = self.path.clone();
        let text = self.plugin()?.pointer("/configuration/value");
        let text = text.and_then(Value::as_str).unwrap_or("{}");
        serde_json::from_str(text).map_err(|error| Trouble::content(&path, error))
    }

    pub fn set_settings_text(&mut self, text: &str) -> Outcome<()> {
        let plugin = self.plugin()?;
        let configuration = json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": text,
        });
        if let Some(plugin) = plugin.as_object_mut() {
            plugin.insert("configuration".to_owned(), configuration);
        }
        Ok(())
    }

    /// Sets one of the filter's settings.
    pub fn set(&mut self, name: &str, value: Value) -> Outcome<()> {
        let mut settings = self.settings()?;
        if let Some(settings) = settings.as_object_mut() {
            settings.insert(name.to_owned(), value);
        }
        self.set_settings_text(&settings.to_string())
    }

    /// Everything that is not the tracking's goes to this application.
    pub fn pass_on_to(&mut self, application: SocketAddr) -> Outcome<()> {
        let clusters = self.at("/static_resources/clusters")?;
        if let Some(clusters) = clusters.as_array_mut() {
            clusters.push(json!({
                "name": "application",
                "type": "STATIC",
                "load_assignment": {"cluster_name": "application", "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": {
                        "socket_address": socket(application)}}}]}]},
            }));
        }
        *self.routes()? = json!([
            {"match": {"prefix": "/"}, "route": {"cluster": "application", "timeout": "30s"}}
        ]);
        Ok(())
    }

    /// The routes behind the filter.
    pub fn routes(&mut self) -> Outcome<&mut Value> {
        let path = self.path.clone();
        find(&mut self.json, &|value| {
            value.get("virtual_hosts").is_some()
        })
        .and_then(|routes| routes.pointer_mut("/virtual_hosts/0/routes"))
        .ok_or_else(|| Trouble::content(&path, "it has no routes"))
    }

    /// The HTTP connection manager of the edge's listener.
    pub fn connection_manager(&mut self) -> Outcome<&mut Value> {
        let path = self.path.clone();
        find(&mut self.json, &|value| value.get("http_filters").is_some())
            .ok_or_else(|| Trouble::content(&path, "it has no HTTP connection manager"))
    }

    fn at(&mut self, pointer: &str) -> Outcome<&mut Value> {
        let path = self.path.clone();
        let lacking = || Trouble::content(&path, format!("it has nothing at {pointer}"));
        self.json.pointer_mut(pointer).ok_or_else(lacking)
    }

    fn lacks(&self, what: &str) -> Trouble {
        Trouble::content(&self.path, format!("it has no {what}"))
    }
}

fn socket(address: SocketAddr) -> Value {
    json!({"address": address.ip().to_string(), "port_value": address.port()})
}

/// The first object, depth first, that `wanted` says yes to.
fn find<'a>(value: &'a mut Value, wanted: &dyn Fn(&Value) -> bool) -> Option<&'a mut Value> {
    if wanted(value) {
        return Some(value);
    }
    match value {
        Value::Object(members) => members.values_mut().find_map(|member| find(member, wanted)),
        Value::Array(items) => items.iter_mut().find_map(|item| find(item, wanted)),
        _ => None,
    }
}
