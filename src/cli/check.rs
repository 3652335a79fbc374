//! `cqlgate check`: everything that `serve` would look at, without serving.
//!
//! In: the configuration file. Out: findings, one a line; what the service account needs in Cassandra; what
//! could not be looked at.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use crate::auth::Authenticator;
use crate::config::diagnostic::Diagnostic;
use crate::config::model::{Cluster, Mode};
use crate::config::{Config, Step};
use crate::policy::{PolicySet, PolicySource};
use crate::upstream::Secret;

/// What a look at the cluster itself found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// The account logged in, and is what it should be.
    Fine,
    /// The account logged in, but is more than it should be, or lacks something: what, and what to do.
    Wrong(Vec<String>),
    /// No node was asked, or none answered: why.
    NotReached(String),
}

/// Looks at no cluster.
pub fn offline(_: &Config, _: &Cluster) -> Probed {
    Probed::NotReached("no node was asked".into())
}

/// Checks the file at `path`; `probe` looks at a cluster. True if `serve` would take it.
pub fn run(
    path: &Path,
    probe: impl Fn(&Config, &Cluster) -> Probed,
    out: &mut impl Write,
) -> io::Result<bool> {
    let (config, findings) = Config::examine(path);
    print(&findings, out)?;
    let mut good = !findings.iter().any(Diagnostic::is_error);
    let Some(config) = config else { return Ok(false) };
    if good {
        let findings = deeper(&config);
        print(&findings, out)?;
        good = findings.is_empty();
    }
    let mut sets = Vec::new();
    for cluster in &config.cluster {
        match PolicySet::load(&PolicySource::new(&config.folder, &config, cluster), 1) {
            Ok(set) => {
                print(set.warnings(), out)?;
                sets.push((cluster, set));
            }
            Err(findings) => {
                print(&findings, out)?;
                good = false;
            }
        }
    }
    if !good {
        return Ok(false);
    }
    for (cluster, set) in sets {
        good &= about(&config, cluster, &set, probe(&config, cluster), out)?;
    }
    writeln!(
        out,
        "\nThe status page names people and has no log-in yet: it listens on loopback only ({}).",
        config.admin.listen
    )?;
    Ok(good)
}

/// What the parts themselves say of their configuration, once it is in order on paper.
fn deeper(config: &Config) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (index, cluster) in config.cluster.iter().enumerate() {
        if let Err(error) = Secret::from_file(&cluster.password_file) {
            let path = [Step::Key("cluster"), Step::Index(index), Step::Key("password_file")];
            findings.push(config.error_at(&path, whole(&error)).help("write the password into it, one line"));
        }
    }
    if let Err(error) = Authenticator::new(&config.identity, &config.service) {
        findings.push(config.error_at(&[Step::Key("identity")], whole(&error)).help("correct the identity"));
    }
    findings
}

/// An error with what is behind it.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// What there is to say about one cluster.
fn about(
    config: &Config,
    cluster: &Cluster,
    set: &PolicySet,
    probed: Probed,
    out: &mut impl Write,
) -> io::Result<bool> {
    writeln!(
        out,
        "\nCluster {:?}: {} rules, drivers connect to {}.",
        cluster.name,
        set.rules(),
        cluster.listen
    )?;
    if cluster.mode == Mode::Observe {
        writeln!(out, "It only observes: what policy would refuse is forwarded and recorded.")?;
    }
    if !cluster.listen.ip().is_loopback() && cluster.tls.is_none() {
        writeln!(out, "Its listener is without TLS: tokens cross the network in clear.")?;
    }
    writeln!(out, "The service account needs, in Cassandra, as a superuser runs it:")?;
    let role = Quoted(&cluster.username);
    writeln!(
        out,
        "  CREATE ROLE {role} WITH LOGIN = true AND SUPERUSER = false AND PASSWORD = '<password>';"
    )?;
    writeln!(out, "  GRANT SELECT ON TABLE system.prepared_statements TO {role};")?;
    for line in set.account_grants(&cluster.username) {
        writeln!(out, "  {line}")?;
    }
    let good = match probed {
        Probed::Fine => {
            writeln!(out, "The account logged in; it is no superuser.")?;
            true
        }
        Probed::Wrong(findings) => {
            for finding in &findings {
                let cluster = &cluster.name;
                writeln!(out, "cluster {cluster:?}: error: {finding}")?;
            }
            false
        }
        Probed::NotReached(why) => {
            writeln!(
                out,
                "Not looked at ({why}): whether the account is no superuser and holds these, and whether"
            )?;
            writeln!(out, "the tables that the policy names exist.")?;
            true
        }
    };
    let groups = set.pin_names();
    if !groups.is_empty() {
        let identities = config.identity.len();
        writeln!(
            out,
            "Not looked at: whether the identity provider{} pushed the {} users and groups that the policy names;\nthe status page says which are missing.",
            if identities == 1 { "" } else { "s" },
            groups.len(),
        )?;
    }
    Ok(good)
}

fn print(findings: &[Diagnostic], out: &mut impl Write) -> io::Result<()> {
    findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))
}

/// A name as CQL quotes it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(policy: &str) -> Self {
            let path = std::env::temp_dir().join(format!("cqlgate-check-{}", uuid::Uuid::new_v4()));
            fs::create_dir_all(path.join("policies")).unwrap();
            fs::write(path.join("policies/a.cql"), policy).unwrap();
            let password = path.join("password");
            fs::write(&password, "secret\n").unwrap();
            fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
            let sample = include_str!("../../config/cqlgate.toml");
            fs::write(path.join("cqlgate.toml"), sample.replace("/run/secrets/cassandra", "password"))
                .unwrap();
            Self(path)
        }

        fn check(&self, probed: &Probed) -> (bool, String) {
            let mut out = Vec::new();
            let good = run(&self.0.join("cqlgate.toml"), |_, _| probed.clone(), &mut out).unwrap();
            (good, String::from_utf8(out).unwrap())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_distributed_sample_and_example_are_good_and_the_grants_are_printed() {
        let folder = Folder::new(include_str!("../../config/policies/example.cql"));
        let (good, out) = folder.check(&Probed::NotReached("no node was asked".into()));
        assert!(good, "{out}");
        for line in [
            "Cluster \"main\": 10 rules, drivers connect to 127.0.0.1:9042.",
            "  GRANT SELECT ON TABLE system.prepared_statements TO \"cqlgate\";",
            "  GRANT DROP ON ALL KEYSPACES TO \"cqlgate\";",
            "  GRANT SELECT ON KEYSPACE \"system_views\" TO \"cqlgate\";",
            "  GRANT EXECUTE ON FUNCTION \"orders\".\"net_price\"(decimal, text) TO \"cqlgate\";",
            "  GRANT SELECT ON TABLE \"system_auth\".\"role_members\" TO \"cqlgate\";",
            "users and groups that the policy names",
            "it listens on loopback only (127.0.0.1:8481)",
        ] {
            assert!(out.contains(line), "{line}\n{out}");
        }
        assert!(!out.contains("error") && !out.contains("secret"), "{out}");
    }

    #[test]
    fn findings_of_a_policy_and_of_a_cluster_are_findings_of_the_check() {
        let folder = Folder::new("GRANT SELECT ON KEYSPACE k TO GROUP \"x\";\n DENY;");
        let (good, out) = folder.check(&Probed::Fine);
        assert!(!good);
        assert!(out.contains("policies/a.cql:2:6: error: "), "{out}");
        let folder = Folder::new("GRANT SELECT ON KEYSPACE k TO GROUP \"x\";");
        let (good, out) =
            folder.check(&Probed::Wrong(vec!["the account is a superuser; take that away".into()]));
        assert!(!good && out.contains("cluster \"main\": error: the account is a superuser"), "{out}");
        let (good, out) = folder.check(&Probed::Fine);
        assert!(good && out.contains("it is no superuser"), "{out}");
    }

    #[test]
    fn what_only_the_parts_know_is_found_too() {
        let folder = Folder::new("");
        fs::write(folder.0.join("password"), "two\nlines\n").unwrap();
        let (good, out) = folder.check(&Probed::Fine);
        assert!(!good && out.contains("cqlgate.toml:44:17: error: "), "{out}");
        assert!(out.contains("must hold one line with the password"), "{out}");
    }

    #[test]
    fn a_wrong_configuration_is_said_line_by_line() {
        let folder = Folder::new("");
        let file = folder.0.join("cqlgate.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("127.0.0.1:8481", "0.0.0.0:8481")).unwrap();
        let (good, out) = folder.check(&Probed::Fine);
        assert!(!good);
        assert_eq!(out.lines().count(), 3, "no TLS, no log-in, no SCIM token: {out}");
        // What is wrong with the policies is said in the same breath.
        fs::write(folder.0.join("policies/a.cql"), "DENY;").unwrap();
        assert_eq!(folder.check(&Probed::Fine).1.lines().count(), 4);
    }
}
