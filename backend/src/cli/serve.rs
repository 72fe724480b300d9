//! `kraiter serve`.

use crate::config::{ServeArgs, StoreArgs};
use crate::server;

pub(super) async fn run(args: &ServeArgs, store: &StoreArgs) -> anyhow::Result<()> {
    server::serve(args.read(store)?).await
}
