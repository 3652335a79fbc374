//! What statements on roles, users, identities and permissions need.
//!
//! Cassandra lets whoever may alter any role set a superuser's password, and whoever may grant any role
//! grant a superuser: one step from there to everything. Here nobody is a superuser, so both are refused,
//! and nothing touches the role that the gateway itself logs in with.

use super::Scope;
use crate::cql::keyword::Release;
use crate::cql::need::{Need, Needs, Words};
use crate::cql::permission::Permission;
use crate::cql::refusal::Refusal;
use crate::cql::resource::{Resource, is_system_keyspace};
use crate::cql::schema::{Identity, Role, Schema};
use crate::cql::statement::{Access, Grant, Name, NamedResource, RoleOptions};

impl<'s, S: Schema> Scope<'s, S> {
    pub(super) fn access<'a>(&self, access: &Access<'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        match access {
            Access::CreateRole { options, .. } => {
                let mut needs = on_roles(Permission::Create, Resource::AllRoles, "creates a role");
                if options.superuser == Some(true) {
                    needs.refusal =
                        Some(Refusal::Superuser("Only superusers can create a role with superuser status"));
                }
                Ok(needs)
            }
            Access::AlterRole { role, options } => self.alter_role(role, *options),
            Access::DropRole { role } => {
                let needs = on_roles(Permission::Drop, Resource::Role(role.clone()), "drops the role");
                self.guarded(needs, role, "Only superusers can drop a role with superuser status")
            }
            Access::GrantRole { role, to } => {
                let why = "hands the role on";
                let needs = on_roles(Permission::Authorize, Resource::Role(role.clone()), why);
                let needs =
                    self.guarded(needs, role, "Only superusers can grant a role with superuser status")?;
                Ok(self.not_own(needs, to))
            }
            Access::RevokeRole { role, from } => {
                let why = "takes the role back";
                let needs = on_roles(Permission::Authorize, Resource::Role(role.clone()), why);
                let needs =
                    self.guarded(needs, role, "Only superusers can revoke a role with superuser status")?;
                Ok(self.not_own(needs, from))
            }
            Access::Grant(grant) => {
                let mut needs = self.permissions(grant, "hands permissions on it on", "hands it on")?;
                if needs.needs.iter().any(|need| is_limited(&need.resource))
                    && self.granted(grant).any(|one| !matches!(one, Permission::Select | Permission::Alter))
                {
                    needs.refusal = Some(Refusal::SystemGrant);
                }
                Ok(needs)
            }
            Access::Revoke(grant) => self.permissions(grant, "takes permissions on it back", "takes it back"),
            // Whoever lacks DESCRIBE on all roles is shown their own ones only.
            Access::ListRoles { of: None, .. } | Access::ListUsers => Ok(Needs::default()),
            Access::ListRoles { of: Some(role), .. } => {
                let need = Need::new(Permission::Describe, Resource::AllRoles, "shows the roles of a role");
                Ok(Needs::one(need.saying(Words::RolesOf(role.clone()))))
            }
            Access::ListPermissions { on, of, .. } => {
                if let Some(NamedResource::Table(table)) = on {
                    self.resolve(table)?;
                }
                let (resource, words, why) = match of {
                    Some(role) => (
                        Resource::Role(role.clone()),
                        Words::PermissionsOf(role.clone()),
                        "shows the permissions of the role",
                    ),
                    None => {
                        (Resource::AllRoles, Words::PermissionsOfAll, "shows the permissions of every role")
                    }
                };
                Ok(Needs::one(Need::new(Permission::Describe, resource, why).saying(words)))
            }
            Access::AddIdentity { role, .. } => {
                let needs = on_roles(Permission::Create, Resource::AllRoles, "lets an identity log in");
                self.guarded(
                    needs,
                    role,
                    "Only superusers can bind identities to a role with superuser status",
                )
            }
            Access::DropIdentity { identity } => self.drop_identity(identity),
        }
    }

    /// What only superusers may change comes before any permission.
    fn alter_role<'a>(&self, role: &Name<'a>, options: RoleOptions) -> Result<Needs<'a>, Refusal> {
        if options.superuser.is_some() {
            return Err(Refusal::Superuser("Only superusers are allowed to alter superuser status"));
        }
        if options.datacenters {
            return Err(Refusal::Superuser("Only superusers are allowed to alter access to datacenters."));
        }
        if options.cidrs {
            return Err(Refusal::Superuser("Only superusers are allowed to alter access from CIDR groups."));
        }
        let needs = on_roles(Permission::Alter, Resource::Role(role.clone()), "changes the role");
        self.guarded(needs, role, "Only superusers are allowed to alter a role with superuser status")
    }

    fn drop_identity<'a>(&self, identity: &Name<'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let drops = |resource| on_roles(Permission::Drop, resource, "keeps an identity from logging in");
        match self.schema.identity(identity) {
            Identity::NotAsked => Err(Refusal::AskIdentity(identity.clone().into_owned())),
            Identity::Unreadable => {
                Ok(Needs { refusal: Some(Refusal::RolesUnreadable), ..drops(Resource::AllRoles) })
            }
            Identity::Unbound => Ok(drops(Resource::AllRoles)),
            Identity::Bound(role) => self.guarded(
                drops(Resource::Role(Name::Borrowed(role))),
                role,
                "Only superusers can remove identity bindings from a role with superuser status",
            ),
        }
    }

    /// AUTHORIZE, and every permission that is granted or revoked.
    fn permissions<'a>(
        &self,
        grant: &Grant<'a>,
        why: &'static str,
        why_each: &'static str,
    ) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let resource = match &grant.on {
            NamedResource::Table(table) => self.table(table)?,
            NamedResource::Other(resource) => resource.clone(),
        };
        let mut needs = Needs::one(Need::new(Permission::Authorize, resource.clone(), why));
        for permission in self.granted(grant).filter(|&one| one != Permission::Authorize) {
            needs.needs.push(Need::new(permission, resource.clone(), why_each));
        }
        if let Resource::Role(role) = &resource {
            // Whoever may alter a superuser directly is one.
            needs = self.guarded(
                needs,
                role,
                "Only superusers can grant permissions on a role with superuser status",
            )?;
        }
        Ok(if needs.refusal.is_some() { needs } else { self.not_own(needs, &grant.role) })
    }

    /// The permissions that are granted or revoked: those that are named and can be held on the resource in
    /// the cluster's release.
    fn granted(&self, grant: &Grant<'_>) -> impl Iterator<Item = Permission> + use<'s, S> {
        let named = grant.permissions;
        let masks = self.schema.release() >= Release::V5_0;
        let applicable = grant.on.applicable().iter().copied();
        applicable
            .filter(move |one| masks || !matches!(one, Permission::Unmask | Permission::SelectMasked))
            .filter(move |&one| named.is_none_or(|permissions| permissions.contains(one)))
    }

    /// Refuses what changes the gateway's own role, behind the needs.
    fn not_own<'a>(&self, needs: Needs<'a>, role: &str) -> Needs<'a> {
        if self.schema.own_role() != Some(role) {
            return needs;
        }
        Needs { refusal: Some(Refusal::OwnRole(role.to_owned())), ..needs }
    }

    /// Refuses what changes the gateway's own role or a superuser's, behind the needs.
    fn guarded<'a>(&self, needs: Needs<'a>, role: &str, words: &'static str) -> Result<Needs<'a>, Refusal> {
        if self.schema.own_role() == Some(role) {
            return Ok(self.not_own(needs, role));
        }
        let refusal = match self.schema.role(role) {
            Role::NotAsked => return Err(Refusal::AskRole(role.to_owned())),
            Role::Unreadable => Some(Refusal::RolesUnreadable),
            Role::Superuser => Some(Refusal::Superuser(words)),
            Role::Missing | Role::Plain => None,
        };
        Ok(Needs { refusal, ..needs })
    }
}

/// One need on roles, refused in the words that Cassandra has for them.
fn on_roles<'a>(permission: Permission, resource: Resource<'a>, why: &'static str) -> Needs<'a> {
    Needs::one(Need::new(permission, resource, why).saying(Words::Privileges))
}

/// Whether what may be granted on it is limited: system keyspaces, other than virtual ones.
fn is_limited(resource: &Resource<'_>) -> bool {
    resource.keyspace().is_some_and(|keyspace| {
        let is_virtual = ["system_views", "system_virtual_schema"]
            .iter()
            .any(|virtual_keyspace| virtual_keyspace.eq_ignore_ascii_case(keyspace));
        is_system_keyspace(keyspace) && !is_virtual
    })
}
