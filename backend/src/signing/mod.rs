//! The signing keys: their file, and what requests sign and verify with.

mod keyring_file;
mod shared;

pub(crate) use keyring_file::{KeyState, KeyringFile, KeyringFileError};
pub(crate) use shared::SharedKeyring;
