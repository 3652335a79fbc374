//! A SCIM client that pushes people and groups as an identity provider does.
//!
//! In: the gateway's SCIM address and a bearer token. Out: what the gateway answered, as it is.

mod connection;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};
use rustls::RootCertStore;
use serde_json::{Value, json};

use crate::trouble::{During, Result, Trouble};
use connection::Connection;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A client of one SCIM server. Keeps one connection; clones share it, one request at a time.
#[derive(Clone, Debug)]
pub struct Pusher {
    connection: Connection,
    base_path: String,
    token: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; `Null` if there is none.
    pub body: Value,
}

impl Answer {
    /// The body of a success, or trouble that tells what was answered.
    pub fn success(self) -> Result<Value> {
        if (200..300).contains(&self.status) {
            Ok(self.body)
        } else {
            Err(Trouble::new(format!("the SCIM server answered {}: {}", self.status, self.body)))
        }
    }

    /// `scimType` of an error.
    pub fn scim_type(&self) -> Option<&str> {
        self.body.get("scimType")?.as_str()
    }
}

impl Pusher {
    /// A client of `http://host:port/base`.
    pub fn new(url: &str, token: &str) -> Result<Self> {
        Self::with_roots(url, token, RootCertStore::empty())
    }

    /// A client of `https://host:port/base` that trusts certificates signed by one of `roots`.
    pub fn with_roots(url: &str, token: &str, roots: RootCertStore) -> Result<Self> {
        let (connection, base_path) = Connection::new(url, roots)?;
        Ok(Self { connection, base_path, token: token.to_owned() })
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Sends a request to `path` below the base, with a JSON body if there is one.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.raw(method, path, &[("content-type", "application/scim+json")], body).await
    }

    /// Sends exactly this; `authorization` and `host` are added unless `headers` has them.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base_path))
            .body(http_body_util::Full::new(body.into()))
            .during("making a SCIM request")?;
        let sent = request.headers_mut();
        let bearer =
            HeaderValue::from_str(&format!("Bearer {}", self.token)).during("making a bearer token")?;
        sent.insert(header::AUTHORIZATION, bearer);
        let host = HeaderValue::from_str(self.connection.authority()).during("making a Host header")?;
        sent.insert(header::HOST, host);
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).during("making a header")?;
            sent.insert(name, HeaderValue::from_str(value).during("making a header")?);
        }
        let (status, headers, body) = self.connection.send(request).await?;
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).during("reading the SCIM server's answer")?
        };
        Ok(Answer { status, headers, body })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.raw(Method::GET, path, &[], "").await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.request(Method::POST, path, Some(body)).await
    }

    /// PUT.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.request(Method::PUT, path, Some(body)).await
    }

    /// PATCH with these operations.
    pub async fn patch(&self, path: &str, operations: &Value) -> Result<Answer> {
        let body = json!({"schemas": [PATCH], "Operations": operations});
        self.request(Method::PATCH, path, Some(&body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.raw(Method::DELETE, path, &[], "").await
    }

    /// Creates an active user and returns the SCIM id.
    pub async fn create_user(&self, user_name: &str, external_id: &str) -> Result<String> {
        let user = json!({
            "schemas": [USER],
            "userName": user_name,
            "externalId": external_id,
            "active": true,
        });
        id(&self.post("/Users", &user).await?.success()?)
    }

    /// Creates a group with these members (SCIM ids) and returns its SCIM id.
    pub async fn create_group(&self, display_name: &str, members: &[&str]) -> Result<String> {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        let group = json!({"schemas": [GROUP], "displayName": display_name, "members": members});
        id(&self.post("/Groups", &group).await?.success()?)
    }

    /// Enables or disables a user.
    pub async fn patch_active(&self, user: &str, active: bool) -> Result<()> {
        let operations = json!([{"op": "replace", "path": "active", "value": active}]);
        self.patch(&format!("/Users/{user}"), &operations).await?.success().map(drop)
    }

    /// Adds a user to a group.
    pub async fn add_member(&self, group: &str, user: &str) -> Result<()> {
        let operations = json!([{"op": "add", "path": "members", "value": [{"value": user}]}]);
        self.patch(&format!("/Groups/{group}"), &operations).await?.success().map(drop)
    }

    /// Removes a user from a group.
    pub async fn remove_member(&self, group: &str, user: &str) -> Result<()> {
        let operations = json!([{"op": "remove", "path": format!("members[value eq \"{user}\"]")}]);
        self.patch(&format!("/Groups/{group}"), &operations).await?.success().map(drop)
    }

    /// Gives a group another name.
    pub async fn rename_group(&self, group: &str, display_name: &str) -> Result<()> {
        let operations = json!([{"op": "replace", "path": "displayName", "value": display_name}]);
        self.patch(&format!("/Groups/{group}"), &operations).await?.success().map(drop)
    }

    /// Deletes a user.
    pub async fn delete_user(&self, user: &str) -> Result<()> {
        self.delete(&format!("/Users/{user}")).await?.success().map(drop)
    }

    /// Deletes a group.
    pub async fn delete_group(&self, group: &str) -> Result<()> {
        self.delete(&format!("/Groups/{group}")).await?.success().map(drop)
    }
}

fn id(resource: &Value) -> Result<String> {
    let id = resource.get("id").and_then(Value::as_str);
    id.map(ToOwned::to_owned).ok_or_else(|| Trouble::new(format!("no id in {resource}")))
}
