//! The backend's HTTP API as an application uses it: JSON over a bearer key.

use std::net::SocketAddr;

use serde_json::Value;

use crate::http::{Request, Response};
use crate::trouble::{Outcome, Trouble};

/// One tenant's access to the API.
#[derive(Clone, Debug)]
pub struct Api {
    pub address: SocketAddr,
    pub key: String,
}

impl Api {
    /// Sends the request with the key; any status is an answer.
    pub fn send(&self, request: Request) -> Outcome<Response> {
        let request = request.header("authorization", format!("Bearer {}", self.key));
        let sending = format!("calling the API at {}", self.address);
        request.send(self.address).map_err(Trouble::io(sending))
    }

    pub fn get(&self, path: &str) -> Outcome<Response> {
        self.send(Request::get(path))
    }

    pub fn post(&self, path: &str, body: &Value) -> Outcome<Response> {
        self.with_body("POST", path, body)
    }

    pub fn patch(&self, path: &str, body: &Value) -> Outcome<Response> {
        self.with_body("PATCH", path, body)
    }

    fn with_body(&self, method: &str, path: &str, body: &Value) -> Outcome<Response> {
        let request = Request::new(method, path).body("application/json", body.to_string());
        self.send(request)
    }

    /// The JSON of a 2xx answer; anything else is an error.
    pub fn read(&self, path: &str) -> Outcome<Value> {
        succeeded("GET", path, &self.get(path)?)
    }

    pub fn write(&self, method: &str, path: &str, body: &Value) -> Outcome<Value> {
        succeeded(method, path, &self.with_body(method, path, body)?)
    }

    /// As `GET /contacts/{emailOrId}`.
    pub fn contact(&self, email: &str) -> Outcome<Value> {
        self.read(&format!("/contacts/{email}"))
    }

    /// As `GET /sends/{id}`.
    pub fn sent(&self, id: &str) -> Outcome<Value> {
        self.read(&format!("/sends/{id}"))
    }
}

fn succeeded(method: &str, path: &str, response: &Response) -> Outcome<Value> {
    match response.status {
        200..=299 => Ok(response.json()),
        status => Err(Trouble::Answer {
            method: method.to_owned(),
            path: path.to_owned(),
            status,
            body: response.text(),
        }),
    }
}
