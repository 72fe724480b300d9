//! What is known about User-Agents and networks: files with their source and date, compiled in and
//! replaced one by one by those of an operator's folder.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;

const USER_AGENTS: (&str, &str) = (
    "user-agents.toml",
    include_str!("../../rules/user-agents.toml"),
);
const NETWORKS: (&str, &str) = ("networks.toml", include_str!("../../rules/networks.toml"));

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{name} is not as expected: {error}")]
    Content {
        name: String,
        error: Box<toml::de::Error>,
    },
    #[error("{name}: {list} holds an empty text, which every User-Agent contains")]
    EmptyMarker { name: String, list: &'static str },
}

/// All lists, read. Each says where it is from and of when it is, so that nobody has to guess later;
/// nothing is done with that.
#[derive(Clone, Debug)]
pub struct Lists {
    pub(super) user_agents: UserAgents,
    pub(super) networks: NetworkLists,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserAgents {
    pub(super) apple_mpp: Exactly,
    pub(super) gmail_prefetch: Exactly,
    pub(super) image_proxy: Contains,
    pub(super) bots: Contains,
    pub(super) people: Contains,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exactly {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
    pub(super) exactly: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contains {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
    pub(super) contains: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkLists {
    #[serde(default)]
    pub(super) scanner: Vec<NetworkList>,
    #[serde(default)]
    pub(super) operator: Vec<NetworkList>,
    #[serde(default)]
    pub(super) apple_relay: Vec<NetworkList>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkList {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
    pub(super) networks: Vec<IpNet>,
}

impl Lists {
    /// Those that are compiled in.
    pub fn built_in() -> Result<Self, ListError> {
        Self::new(None, None)
    }

    /// The folder's, and for what it does not hold those that are compiled in.
    pub fn in_folder(folder: &Path) -> Result<Self, ListError> {
        Self::new(read(folder, USER_AGENTS.0)?, read(folder, NETWORKS.0)?)
    }

    fn new(user_agents: Option<String>, networks: Option<String>) -> Result<Self, ListError> {
        let text = user_agents.as_deref().unwrap_or(USER_AGENTS.1);
        let user_agents: UserAgents = parse(USER_AGENTS.0, text)?;
        let lists = [
            ("image_proxy", &user_agents.image_proxy),
            ("bots", &user_agents.bots),
            ("people", &user_agents.people),
        ];
        for (list, Contains { contains, .. }) in lists {
            if contains.iter().any(String::is_empty) {
                let name = USER_AGENTS.0.to_owned();
                return Err(ListError::EmptyMarker { name, list });
            }
        }
        let networks = parse(NETWORKS.0, networks.as_deref().unwrap_or(NETWORKS.1))?;
        Ok(Self {
            user_agents,
            networks,
        })
    }
}

fn read(folder: &Path, name: &str) -> Result<Option<String>, ListError> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => Ok(None),
        Err(error) => Err(ListError::Unreadable { path, error }),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(name: &str, text: &str) -> Result<T, ListError> {
    toml::from_str(text).map_err(|error| ListError::Content {
        name: name.to_owned(),
        error: Box::new(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_file_takes_the_place_of_ours() {
        let folder = std::env::temp_dir().join(format!("kraiter-lists-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let networks = "[[operator]]\nname = \"ours\"\nsource = \"ticket\"\ndate = \"2026-11-24\"\n\
                        networks = [\"203.0.113.0/24\"]\n";
        std::fs::write(folder.join("networks.toml"), networks).unwrap();
        let lists = Lists::in_folder(&folder).unwrap();
        assert_eq!(lists.networks.operator.len(), 1);
        assert!(lists.networks.scanner.is_empty());
        assert!(!lists.user_agents.bots.contains.is_empty());
        std::fs::write(folder.join("networks.toml"), "[[operator]]\nname = 1\n").unwrap();
        let error = Lists::in_folder(&folder).unwrap_err().to_string();
        assert!(error.contains("networks.toml"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            Lists::in_folder(&folder).is_err(),
            "a folder that is not there is a mistake"
        );
    }
}
