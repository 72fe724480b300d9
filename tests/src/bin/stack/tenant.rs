//! The development tenant: made on the first start, led along when the edge's port changes.

use kraiter_tests::api::Api;
use kraiter_tests::stack::Stack;
use kraiter_tests::trouble::Outcome;
use serde_json::{Value, json};

use crate::dev_env::write_secret;

const NAME: &str = "dev";

/// Access to the tenant with all scopes. The key of an earlier start is used again while it is
/// valid, so that scripts which hold it go on working.
pub(crate) fn ready(stack: &Stack) -> Outcome<Api> {
    let origin = stack.edge_origin();
    let tenants = stack.backend.json(&["tenant", "list", "--json"])?;
    if !exists(&tenants) {
        stack
            .backend
            .command(&["tenant", "create", NAME, "--tracking-origin", &origin])?;
    }
    let access = match kept_key(stack)? {
        Some(access) => access,
        None => new_key(stack)?,
    };
    let settings = access.read("/settings")?;
    if settings.get("trackingOrigin") != Some(&json!(origin)) {
        access.write("PATCH", "/settings", &json!({"trackingOrigin": origin}))?;
    }
    Ok(access)
}

/// Whether `kraiter tenant list` names it; the list may stand alone or under `items`.
fn exists(tenants: &Value) -> bool {
    let items = tenants.get("items").unwrap_or(tenants).as_array();
    let is_it = |tenant: &Value| tenant.get("name") == Some(&json!(NAME));
    items.into_iter().flatten().any(is_it)
}

fn key_file(stack: &Stack) -> std::path::PathBuf {
    stack.backend.data_dir().join("dev.key")
}

fn kept_key(stack: &Stack) -> Outcome<Option<Api>> {
    let Ok(key) = std::fs::read_to_string(key_file(stack)) else {
        return Ok(None);
    };
    let access = Api {
        address: stack.backend.address(),
        key: key.trim().to_owned(),
    };
    let valid = access.get("/settings")?.status == 200;
    Ok(valid.then_some(access))
}

fn new_key(stack: &Stack) -> Outcome<Api> {
    let access = stack.backend.api_key(NAME, "render,read,admin")?;
    write_secret(&key_file(stack), &access.key)?;
    Ok(access)
}
