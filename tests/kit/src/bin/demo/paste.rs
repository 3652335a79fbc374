//! What the reader can try while everything is up.

use std::path::{Path, PathBuf};

use cqlgate_testkit::place;
use cqlgate_testkit::trouble::Result;
use serde_json::json;

use crate::house::{House, KEYSPACE};
use crate::say::line;

pub(crate) async fn print(house: &House) -> Result<()> {
    // The tour took these two away.
    let people = &house.people;
    let on = json!({"op": "replace", "path": "active", "value": true});
    house.patch(&format!("/Users/{}", people.bob), on).await?;
    let add = json!({"op": "add", "path": "members", "value": [{"value": people.alice}]});
    house.patch(&format!("/Groups/{}", people.orders_team), add).await?;

    let addr = house.gateway.cql_addr();
    let cqlsh = shorter(&house.python.cqlsh_program());
    line("\nBob is active and Alice in orders-team again. Everything stays up: try it, from this folder.");
    for (who, what) in [("alice", "reads and writes"), ("bob", "only reads")] {
        let file = credentials(house, who)?;
        line(&format!(
            "\n# cqlsh as {who}, who {what}; try INSERT INTO {KEYSPACE}.orders (id, item) VALUES (7, 'salt');"
        ));
        line(&format!("{cqlsh} --credentials {} {} {}", file.display(), addr.ip(), addr.port()));
    }
    let header = house.files.write(
        "scim.header",
        format!(
            "Authorization: Bearer {}\nContent-Type: application/scim+json\n",
            house.gateway.scim_token()
        ),
    )?;
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": false}],
    });
    line("\n# the provider switches Bob off, while he sits in cqlsh (true switches him on again)");
    line(&format!(
        "curl -X PATCH -H @{} -d '{patch}' {}/Users/{}",
        header.display(),
        house.gateway.scim_url(),
        people.bob
    ));
    line("\n# who is there, and who is connected");
    line(&format!("curl -H @{} {}/Users", header.display(), house.gateway.scim_url()));
    line(&format!("\nStatus page  {}/", house.gateway.admin_url()));
    line(&format!(
        "Policy       {} (edit it: it is in force within seconds)",
        house.gateway.folder().join("policies/main.cql").display()
    ));
    line(&format!("Audit log    {}", house.gateway.folder().join("audit.jsonl").display()));
    line("\nThe tokens are good for eight hours. Ctrl-C takes everything down.");
    Ok(())
}

/// A credentials file as cqlsh reads it: so the token is in no list of processes and in no history.
fn credentials(house: &House, who: &str) -> Result<PathBuf> {
    let text = format!("[plain_text_auth]\nusername = token\npassword = {}\n", house.token(who));
    house.files.write(&format!("{who}.credentials"), text)
}

fn shorter(path: &Path) -> String {
    path.strip_prefix(place::workspace()).unwrap_or(path).display().to_string()
}
