//! Backend, database and Envoy, started together and stopped in the order that loses nothing.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::api::Api;
use crate::artifacts;
use crate::backend::{Backend, BackendOptions};
use crate::database;
use crate::envoy::{self, Envoy, EnvoyOptions};
use crate::envoy_config::EnvoyConfig;
use crate::fault_proxy::FaultProxy;
use crate::http::Response;
use crate::process;
use crate::trouble::{Outcome, Trouble};
use crate::wait;
use serde_json::json;

/// A port of the system's choice on this machine.
pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Edit = Box<dyn FnOnce(&mut EnvoyConfig) -> Outcome<()>>;

/// What differs between one stack and another.
pub struct StackOptions {
    /// For logs and Envoy's configuration.
    pub folder: PathBuf,
    pub data_dir: PathBuf,
    pub database_url: Option<String>,
    pub api: SocketAddr,
    pub edge: SocketAddr,
    pub backend_env: Vec<(OsString, OsString)>,
    /// Puts a proxy between Envoy and the backend, so that the backend can go and come back.
    pub behind_proxy: bool,
    /// Further changes to the shipped Envoy configuration.
    pub edit: Edit,
    /// Told what is being started.
    pub progress: fn(&str),
    /// Whether the folder goes with the stack, unless something failed.
    pub temporary: bool,
}

impl StackOptions {
    /// A stack with ports of the system's choice and all its files in one folder.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            data_dir: folder.join("data"),
            folder,
            database_url: None,
            api: ANY_PORT,
            edge: ANY_PORT,
            backend_env: Vec::new(),
            behind_proxy: false,
            edit: Box::new(|_| Ok(())),
            progress: |_| (),
            temporary: false,
        }
    }

    /// For a test: a fresh database of the shared cluster, and a proxy before the backend.
    pub fn for_test(name: &str) -> Outcome<Self> {
        let mut options = Self::in_folder(test_folder(name)?);
        options.database_url = Some(database::fresh()?);
        options.behind_proxy = true;
        options.temporary = true;
        // Sooner than by default: tests wait for deliveries.
        Ok(options.edit(|config| config.set("batch", json!({"max_age_ms": 50}))))
    }

    pub fn edit(mut self, edit: impl FnOnce(&mut EnvoyConfig) -> Outcome<()> + 'static) -> Self {
        let before = std::mem::replace(&mut self.edit, Box::new(|_| Ok(())));
        self.edit = Box::new(move |config| {
            before(config)?;
            edit(config)
        });
        self
    }
}

/// A new folder under `target` for one test's logs.
pub fn test_folder(name: &str) -> Outcome<PathBuf> {
    let name = format!("{name}-{}", std::process::id());
    let folder = artifacts::target_dir()?.join("e2e").join(name);
    let making = format!("making {}", folder.display());
    std::fs::create_dir_all(&folder).map_err(Trouble::io(making))?;
    Ok(folder)
}

/// Everything that runs. Dropping it ends everything; [`Stack::stop`] does so in good order.
#[derive(Debug)]
pub struct Stack {
    // Dropped in this order: the edge first.
    pub envoy: Envoy,
    pub proxy: Option<FaultProxy>,
    pub backend: Backend,
    envoy_options: EnvoyOptions,
    folder: PathBuf,
    temporary: bool,
}

impl Stack {
    pub fn start(options: StackOptions) -> Outcome<Self> {
        std::fs::create_dir_all(&options.folder)
            .map_err(Trouble::io(format!("making {}", options.folder.display())))?;
        (options.progress)(match options.database_url {
            Some(_) => "starting the backend",
            None => "starting Postgres and the backend",
        });
        let backend = Backend::start(BackendOptions {
            data_dir: options.data_dir,
            listen: options.api,
            database_url: options.database_url,
            env: options.backend_env,
            log: options.folder.join("backend.log"),
        })?;
        let proxy = match options.behind_proxy {
            true => Some(FaultProxy::start(backend.address())?),
            false => None,
        };
        (options.progress)("starting Envoy with the filter");
        let mut config = EnvoyConfig::shipped()?;
        config.listen(options.edge)?;
        config.admin(ANY_PORT)?;
        let collector = proxy
            .as_ref()
            .map_or(backend.address(), FaultProxy::address);
        config.backend(collector)?;
        config.filter_file(&artifacts::filter()?)?;
        config.journal(&options.folder.join("events.ndjson"))?;
        (options.edit)(&mut config)?;
        let envoy_options = EnvoyOptions {
            config,
            keyring: backend.keyring()?,
            ingest_secret: backend.ingest_secret()?,
            workers: 2,
            folder: options.folder.clone(),
            name: "envoy".to_owned(),
            core: None,
        };
        let envoy = Envoy::start(envoy_options.clone())?;
        Ok(Self {
            envoy,
            envoy_options,
            proxy,
            backend,
            folder: options.folder,
            temporary: options.temporary,
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The origin that tracked URLs start with.
    pub fn edge_origin(&self) -> String {
        format!("http://{}", self.envoy.edge())
    }

    /// A new tenant whose mails point at this stack's edge.
    pub fn tenant(&self, name: &str) -> Outcome<Api> {
        self.backend.tenant(name, &self.edge_origin())
    }

    /// Follows a tracked URL of this stack's, as a recipient's client does.
    pub fn follow(&self, url: &str) -> Outcome<Response> {
        self.envoy.get(self.path_of(url)?)
    }

    /// The path of a tracked URL; an error if it leads elsewhere than to this stack's edge.
    pub fn path_of<'a>(&self, url: &'a str) -> Outcome<&'a str> {
        let origin = self.edge_origin();
        let path = url.strip_prefix(origin.as_str());
        path.ok_or_else(|| {
            Trouble::content(&self.folder, format!("{url} does not start with {origin}"))
        })
    }

    /// Waits until the edge says that it has taken exactly `events` since it started and delivered
    /// each: what the API then shows is final. More events than that, or a dropped one, is an error.
    pub fn delivered(&self, events: u64) -> Outcome<()> {
        let what = format!("{events} events to be delivered");
        wait::until_or(&what, || {
            let text = self.envoy.prometheus()?;
            let count = |result| envoy::sum_of(&text, "kraiter_events", &[("result", result)]);
            let (accepted, delivered) = (count("accepted"), count("delivered"));
            let seen = format!("{accepted} accepted, {delivered} delivered");
            if accepted > events || count("dropped") > 0 {
                return Err(Trouble::content(
                    self.envoy.log(),
                    format!("{seen}, not {events}"),
                ));
            }
            Ok(match (accepted, delivered) == (events, events) {
                true => Ok(()),
                false => Err(seen),
            })
        })
    }

    /// The backend dies or is stopped by `end`, and comes back behind the same proxy.
    pub fn restart_backend(&mut self) -> Outcome<()> {
        self.backend.start_again()?;
        if let Some(proxy) = &self.proxy {
            proxy.set_target(self.backend.address());
        }
        Ok(())
    }

    /// Another Envoy with the keyring of now in the place of the running one, on the same port, as
    /// after a rotation.
    pub fn restart_envoy(&mut self) -> Outcome<()> {
        self.envoy_options.config.listen(self.envoy.edge())?;
        self.envoy_options.keyring = self.backend.keyring()?;
        self.envoy.stop();
        self.envoy = Envoy::start(self.envoy_options.clone())?;
        Ok(())
    }

    /// First the edge, so that nothing new comes in; then the backend with its database. True: all
    /// ended by themselves, in good order.
    pub fn stop(&mut self) -> bool {
        let edge = self.envoy.stop();
        let backend = self.backend.stop();
        edge.is_some_and(|status| status.success())
            && backend.is_some_and(|status| status.success())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in [self.backend.log(), self.envoy.log()] {
                eprintln!("--- {}\n{}", log.display(), process::tail(log));
            }
        } else if self.temporary {
            self.envoy.process().kill();
            self.backend.kill();
            // What is left behind is in the build's own folder.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
