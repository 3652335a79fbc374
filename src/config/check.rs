//! What a configuration must say beyond its types.
//!
//! In: a configuration and the places of its values. Out: findings. Files that it names are looked at (are
//! they there, may others read them?), addresses are not dialled.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::diagnostic::Diagnostic;
use super::limits;
use super::load::{
    Places,
    Step::{self, Index, Key},
};
use super::model::{Cluster, Config, Identity, Listener, ServerTls, Service};

/// The signature algorithms that tokens may have.
pub(super) const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
/// The SCIM attributes that a token's claim may be compared with.
pub(super) const SUBJECT_ATTRIBUTES: [&str; 3] = ["externalId", "userName", "id"];

/// Everything that is wrong or odd.
pub(super) fn check(config: &Config, places: &Places<'_>) -> Vec<Diagnostic> {
    let mut check = Check { config, places, found: Vec::new() };
    check.names();
    for (index, identity) in config.identity.iter().enumerate() {
        check.identity(index, identity);
    }
    for (index, service) in config.service.iter().enumerate() {
        check.service(index, service);
    }
    for (index, cluster) in config.cluster.iter().enumerate() {
        check.cluster(index, cluster);
    }
    check.listeners();
    check.found
}

struct Check<'a> {
    config: &'a Config,
    places: &'a Places<'a>,
    found: Vec<Diagnostic>,
}

impl Check<'_> {
    fn error(&mut self, path: &[Step<'_>], message: impl Into<String>, help: impl Into<String>) {
        self.found.push(self.places.error(path, message).help(help));
    }

    fn warn(&mut self, path: &[Step<'_>], message: impl Into<String>, help: impl Into<String>) {
        self.found.push(self.places.warning(path, message).help(help));
    }

    /// At least one of each, and each name once.
    fn names(&mut self) {
        let config = self.config;
        if config.identity.is_empty() {
            self.error(&[], "no identity provider is configured", "add an [[identity]] section");
        }
        if config.cluster.is_empty() {
            self.error(&[], "no cluster is configured", "add a [[cluster]] section");
        }
        let identities = config.identity.iter().map(|i| (i.name.as_str(), ""));
        self.unique("identity", identities.collect());
        let services = config.service.iter().map(|s| (s.name.as_str(), s.identity.as_str()));
        self.unique("service", services.collect());
        let clusters = config.cluster.iter().map(|c| (c.name.as_str(), ""));
        self.unique("cluster", clusters.collect());
        let mut issuers = HashSet::new();
        let mut hashes = HashSet::new();
        for (index, identity) in config.identity.iter().enumerate() {
            if !issuers.insert(identity.issuer.as_str()) {
                self.error(
                    &[Key("identity"), Index(index), Key("issuer")],
                    "another identity has the same issuer",
                    "a token's issuer must tell which identity it belongs to: keep one of them",
                );
            }
            for (i, hash) in identity.scim_token_hashes.iter().enumerate() {
                if !hashes.insert(hash.to_ascii_lowercase()) {
                    self.error(
                        &[Key("identity"), Index(index), Key("scim_token_hashes"), Index(i)],
                        "this SCIM token stands twice in the file",
                        "make one token for each identity: cqlgate scim-token new NAME",
                    );
                }
            }
        }
    }

    fn unique(&mut self, section: &str, names: Vec<(&str, &str)>) {
        let mut seen = HashSet::new();
        for (index, (name, of)) in names.into_iter().enumerate() {
            let path = [Key(section), Index(index), Key("name")];
            if name.is_empty() || name.chars().any(char::is_control) {
                self.error(&path, "this is no name", "write a name people can read");
            }
            if !seen.insert((name, of)) {
                self.error(
                    &path,
                    format!("there is another [[{section}]] {name:?}"),
                    "give each its own name",
                );
            }
        }
    }

    fn identity(&mut self, index: usize, identity: &Identity) {
        let at = |key| [Key("identity"), Index(index), Key(key)];
        self.url(&at("issuer"), "an issuer", &identity.issuer);
        if let Some(url) = &identity.jwks_url {
            self.url(&at("jwks_url"), "a key set's address", url);
        }
        if identity.audiences.is_empty() || identity.audiences.iter().any(String::is_empty) {
            self.error(
                &at("audiences"),
                "an audience is missing",
                "write the value that tokens for cqlgate carry in `aud`",
            );
        }
        if identity.algorithms.is_empty() {
            self.error(
                &at("algorithms"),
                "no algorithm is left",
                format!("choose of {}", ALGORITHMS.join(", ")),
            );
        }
        for (i, algorithm) in identity.algorithms.iter().enumerate() {
            if !ALGORITHMS.contains(&algorithm.as_str()) {
                self.error(
                    &[Key("identity"), Index(index), Key("algorithms"), Index(i)],
                    format!("tokens signed with {algorithm:?} are not taken"),
                    format!("choose of {}", ALGORITHMS.join(", ")),
                );
            }
        }
        if identity.token_types.is_empty() {
            self.error(
                &at("token_types"),
                "no token type is left",
                "write [\"at+jwt\", \"JWT\"], or leave the key out",
            );
        }
        let longest = limits::TOKEN_LIFE.as_secs();
        if !(1..=longest).contains(&identity.max_token_lifetime) {
            self.error(
                &at("max_token_lifetime"),
                "this lifetime is not possible",
                format!("write seconds, 1 to {longest}"),
            );
        }
        let subject = &identity.subject;
        if subject.claim.is_empty() {
            let path = [Key("identity"), Index(index), Key("subject"), Key("claim")];
            self.error(&path, "the claim has no name", "write \"sub\", \"oid\" or \"uid\"");
        }
        if !SUBJECT_ATTRIBUTES.contains(&subject.scim.as_str()) {
            self.error(
                &[Key("identity"), Index(index), Key("subject"), Key("scim")],
                format!("{:?} cannot name a person", subject.scim),
                format!("choose of {}", SUBJECT_ATTRIBUTES.join(", ")),
            );
        }
        for (i, hash) in identity.scim_token_hashes.iter().enumerate() {
            let hex = hash.strip_prefix("sha256:").unwrap_or_default();
            if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                self.error(
                    &[Key("identity"), Index(index), Key("scim_token_hashes"), Index(i)],
                    "this is no hash of a token",
                    "write \"sha256:\" and 64 lower-case hex digits, as `cqlgate scim-token new NAME` prints them",
                );
            }
        }
        if identity.scim_token_hashes.is_empty() {
            self.warn(
                &at("scim_token_hashes"),
                format!("identity {:?} has no SCIM token: nobody can push its people", identity.name),
                "make one with `cqlgate scim-token new NAME`",
            );
        }
        if let Some(file) = &identity.ca_file {
            self.certificate(&at("ca_file"), file);
        }
    }

    /// An absolute URL of an identity provider, as OpenID Connect Discovery 1.0, section 3 has it.
    fn url(&mut self, path: &[Step<'_>], what: &str, url: &str) {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let issuer = matches!(path.last(), Some(Key("issuer")));
        if !matches!(scheme, "https" | "http") || authority.is_empty() {
            self.error(
                path,
                format!("{what} is an https address"),
                "write https://host/path, exactly as in tokens",
            );
        } else if url.contains('#') {
            self.error(path, format!("{what} has no fragment"), "delete what begins with #");
        } else if authority.contains('@') {
            self.error(path, format!("{what} has no user name in it"), "delete what stands before @");
        } else if issuer && url.contains('?') {
            self.error(path, format!("{what} has no query"), "delete what begins with ?");
        } else if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            self.error(path, format!("{what} has no blanks"), "delete them");
        } else if scheme == "http" && !loopback_host(host_of(authority)) {
            self.error(
                path,
                "keys of an identity provider may come in clear over loopback only",
                "write https://",
            );
        }
    }

    fn service(&mut self, index: usize, service: &Service) {
        let at = |key| [Key("service"), Index(index), Key(key)];
        self.known_identity(&at("identity"), &service.identity);
        if service.claims.is_empty() {
            self.error(
                &at("claims"),
                "a service without claims would be every workload of its issuer",
                "name at least one: claims = { client_id = \"loader\" }",
            );
        }
        if service.claims.iter().any(|(claim, value)| claim.is_empty() || value.is_empty()) {
            self.error(
                &at("claims"),
                "a claim or its value is empty",
                "write claims = { client_id = \"loader\" }",
            );
        }
    }

    fn known_identity(&mut self, path: &[Step<'_>], name: &str) {
        if !self.config.identity.iter().any(|i| i.name == name) {
            let known: Vec<_> = self.config.identity.iter().map(|i| format!("{:?}", i.name)).collect();
            let help = if known.is_empty() {
                "configure it".into()
            } else {
                format!("write {}", known.join(" or "))
            };
            self.error(path, format!("there is no [[identity]] {name:?}"), help);
        }
    }

    fn cluster(&mut self, index: usize, cluster: &Cluster) {
        let at = |key| [Key("cluster"), Index(index), Key(key)];
        for (i, identity) in cluster.identities.iter().enumerate() {
            self.known_identity(&[Key("cluster"), Index(index), Key("identities"), Index(i)], identity);
        }
        if cluster.contact_points.is_empty() {
            self.error(&at("contact_points"), "no node is named", "write [\"host:9042\"]");
        }
        for (i, node) in cluster.contact_points.iter().enumerate() {
            let path = [Key("cluster"), Index(index), Key("contact_points"), Index(i)];
            let host = match node.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => host,
                _ => {
                    self.error(
                        &path,
                        format!("{node:?} is no address of a node"),
                        "write host:port: \"10.0.0.1:9042\"",
                    );
                    continue;
                }
            };
            let host = host.trim_start_matches('[').trim_end_matches(']');
            if cluster.upstream_tls.is_none() && !cluster.upstream_plaintext && !loopback_host(host) {
                self.error(
                    &path,
                    "the service account's password would go to this node in clear",
                    "configure upstream_tls, or write upstream_plaintext = true",
                );
            }
        }
        if cluster.username.is_empty() {
            self.error(
                &at("username"),
                "the service account has no name",
                "write the role that cqlgate logs in with",
            );
        }
        if cluster.policies.is_empty() {
            self.error(&at("policies"), "no policy is named", "write [\"policies/*.cql\"]");
        }
        self.secret(&at("password_file"), &cluster.password_file);
        self.listener_tls(
            &[Key("cluster"), Index(index)],
            cluster.listen,
            cluster.tls.as_ref(),
            cluster.plaintext,
        );
        if let Some(tls) = &cluster.upstream_tls {
            let at = |key| [Key("cluster"), Index(index), Key("upstream_tls"), Key(key)];
            self.certificate(&at("ca_file"), &tls.ca_file);
            match (&tls.cert_file, &tls.key_file) {
                (Some(cert), Some(key)) => {
                    self.certificate(&at("cert_file"), cert);
                    self.private_key(&at("key_file"), key);
                }
                (None, None) => {}
                _ => self.error(
                    &[Key("cluster"), Index(index), Key("upstream_tls")],
                    "a client certificate needs its key, and the key its certificate",
                    "write both cert_file and key_file, or neither",
                ),
            }
        }
        let limits = &cluster.limits;
        let numbers = [
            ("selector_depth", limits.selector_depth, 100),
            ("value_operators", limits.value_operators, 100),
            ("batch_children", limits.batch_children, 65_535),
            ("name", limits.name, 255),
            ("sessions", limits.sessions, 10_000_000),
        ];
        for (key, value, most) in numbers {
            if !(1..=most).contains(&value) {
                let path = [Key("cluster"), Index(index), Key("limits"), Key(key)];
                self.error(&path, "this limit is not possible", format!("write a number from 1 to {most}"));
            }
        }
    }

    /// The three kinds of listener together: one address each.
    fn listeners(&mut self) {
        let config = self.config;
        let mut listening: Vec<SocketAddr> = Vec::new();
        let clusters = config.cluster.iter().enumerate();
        let all = clusters
            .map(|(i, c)| (vec![Key("cluster"), Index(i), Key("listen")], c.listen))
            .chain([(vec![Key("scim"), Key("listen")], config.scim.listen)])
            .chain([(vec![Key("admin"), Key("listen")], config.admin.listen)]);
        for (path, listen) in all {
            if listen.port() != 0 && listening.contains(&listen) {
                self.error(
                    &path,
                    format!("another listener has {listen}"),
                    "give each listener a port of its own",
                );
            }
            listening.push(listen);
        }
        self.http_listener("scim", &config.scim);
        self.http_listener("admin", &config.admin);
        if !config.admin.listen.ip().is_loopback() {
            self.error(
                &[Key("admin"), Key("listen")],
                "the status page names people and has no log-in yet",
                "listen on loopback: \"127.0.0.1:8481\"",
            );
        }
    }

    fn http_listener(&mut self, section: &'static str, listener: &Listener) {
        self.listener_tls(&[Key(section)], listener.listen, listener.tls.as_ref(), listener.plaintext);
        if let Some(url) = &listener.public_url {
            let path = [Key(section), Key("public_url")];
            if !(url.starts_with("https://") || url.starts_with("http://")) || url.ends_with('/') {
                self.error(
                    &path,
                    "this is no address of a server",
                    "write https://host or https://host:port, no / at the end",
                );
            }
        }
    }

    /// TLS of a listener, or the word that it is meant to have none. Tokens are passwords.
    fn listener_tls(
        &mut self,
        section: &[Step<'_>],
        listen: SocketAddr,
        tls: Option<&ServerTls>,
        plaintext: bool,
    ) {
        let at = |keys: &[Step<'static>]| {
            let mut path: Vec<Step<'_>> = section.to_vec();
            path.extend_from_slice(keys);
            path
        };
        match tls {
            Some(tls) => {
                self.certificate(&at(&[Key("tls"), Key("cert_file")]), &tls.cert_file);
                self.private_key(&at(&[Key("tls"), Key("key_file")]), &tls.key_file);
                if let Some(file) = &tls.client_ca_file {
                    self.certificate(&at(&[Key("tls"), Key("client_ca_file")]), file);
                }
                if plaintext {
                    self.warn(
                        &at(&[Key("plaintext")]),
                        "plaintext = true means nothing beside tls",
                        "delete it",
                    );
                }
            }
            None if !listen.ip().is_loopback() && !plaintext => self.error(
                &at(&[Key("listen")]),
                format!("tokens would reach {listen} in clear"),
                "configure tls = { cert_file = \"..\", key_file = \"..\" }, or write plaintext = true",
            ),
            None => {}
        }
    }

    /// A file that must be there.
    fn readable(&mut self, path: &[Step<'_>], file: &Path) -> bool {
        // What it is comes first: opening a pipe would wait for somebody to write.
        match std::fs::metadata(file) {
            Ok(kind) if kind.is_file() => match std::fs::File::open(file) {
                Ok(_) => true,
                Err(e) => {
                    self.error(
                        path,
                        format!("{} cannot be read: {e}", file.display()),
                        "correct its permissions",
                    );
                    false
                }
            },
            Ok(_) => {
                self.error(path, format!("{} is no file", file.display()), "name a file");
                false
            }
            Err(e) => {
                self.error(
                    path,
                    format!("{} cannot be read: {e}", file.display()),
                    "correct the path or its permissions",
                );
                false
            }
        }
    }

    /// A PEM file that holds a certificate.
    fn certificate(&mut self, path: &[Step<'_>], file: &Path) {
        if self.readable(path, file)
            && let Err(e) = CertificateDer::from_pem_file(file)
        {
            let message = format!("{} holds no certificate: {e}", file.display());
            self.error(path, message, "name a PEM file: -----BEGIN CERTIFICATE-----");
        }
    }

    /// A PEM file that holds a private key.
    fn private_key(&mut self, path: &[Step<'_>], file: &Path) {
        if self.secret(path, file)
            && let Err(e) = PrivateKeyDer::from_pem_file(file)
        {
            let message = format!("{} holds no private key: {e}", file.display());
            self.error(path, message, "name a PEM file: -----BEGIN PRIVATE KEY-----");
        }
    }

    /// A file that must be there and that nobody else should read.
    fn secret(&mut self, path: &[Step<'_>], file: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        let others = || std::fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o004 != 0);
        let readable = self.readable(path, file);
        if readable && others() {
            self.warn(
                path,
                format!("everybody on this machine can read {}", file.display()),
                format!("chmod 640 {}", file.display()),
            );
        }
        readable
    }
}

fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn loopback_host(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
