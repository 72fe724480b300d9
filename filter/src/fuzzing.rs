//! Ways into the readers of a stranger's bytes, for the fuzz targets. Nothing else uses them, and
//! the built filter does not contain them.

use kraiter_wire::{Keyring, Verifier};

use crate::plan::{Plan, plan};
use crate::policy::Policy;
use crate::request::{Pairs, RequestHead};
use crate::route::Route;

/// What one request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    PassedOn,
    Refused,
    Served,
}

/// Reads a serialised header map; gives the number of its pairs and of their bytes.
pub fn read_pairs(bytes: &[u8]) -> (usize, usize) {
    Pairs::new(bytes).fold((0, 0), |(pairs, total), (name, value)| {
        (pairs + 1, total + name.len() + value.len())
    })
}

/// The token in a path of the filter's, `None` for somebody else's path.
pub fn token_in<'a>(prefix: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    Route::of(prefix, path).map(|route| route.token)
}

/// Decides on a request from its serialised headers.
pub fn decide(keyring: &Keyring, prefix: &str, headers: &[u8]) -> Decided {
    let head = RequestHead::read(headers);
    let mut verifier = Verifier::new(keyring);
    match plan(prefix, true, &mut verifier, &Policy::default(), &head) {
        Plan::PassOn => Decided::PassedOn,
        Plan::WrongMethod { .. } | Plan::Invalid { .. } | Plan::Blocked { .. } => Decided::Refused,
        Plan::Serve { .. } | Plan::Record { .. } => Decided::Served,
    }
}
