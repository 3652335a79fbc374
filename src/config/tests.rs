//! The distributed configuration holds what it says, and each wrong one gets its finding.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;

const SAMPLE: &str = include_str!("../../config/cqlgate.toml");

/// The sample with every optional key written out.
fn written_out() -> String {
    let lines = SAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_default_of_the_sample_is_the_codes() {
    let mut short: Config = toml::from_str(SAMPLE).unwrap();
    let mut long: Config = toml::from_str(&written_out()).unwrap();
    assert_eq!((short.service.len(), long.service.len()), (0, 1));
    // What has no default: there only when it is written.
    let taken = |c: &mut Config| {
        let (i, k) = (&mut c.identity[0], &mut c.cluster[0]);
        [
            c.service.pop().is_some(),
            i.jwks_url.take().is_some(),
            i.ca_file.take().is_some(),
            k.advertise.take().is_some(),
            k.tls.take().is_some_and(|t| t.client_ca_file.is_some()),
            k.upstream_tls.take().is_some_and(|t| t.cert_file.is_some() && t.server_name.is_some()),
            c.scim.tls.take().is_some(),
            c.scim.public_url.take().is_some(),
            c.admin.tls.take().is_some(),
            c.admin.public_url.take().is_some(),
        ]
    };
    assert_eq!(taken(&mut short), [false; 10]);
    assert_eq!(taken(&mut long), [true; 10]);
    assert_eq!(format!("{short:#?}"), format!("{long:#?}"));
}

#[test]
fn the_sample_has_every_key() {
    // An unknown key makes the reader list the known ones; each must stand in the written-out sample.
    let long = written_out();
    let name: Arc<str> = "f".into();
    let tables: [(&str, &[&str]); 12] = [
        ("", &[]),
        ("directory", &["directory"]),
        ("identity", &["identity"]),
        ("subject = {", &["identity", "subject"]),
        ("service", &["service"]),
        ("cluster", &["cluster"]),
        ("tls = {", &["cluster", "tls"]),
        ("upstream_tls = {", &["cluster", "upstream_tls"]),
        ("[cluster.limits]", &["cluster", "limits"]),
        ("scim", &["scim"]),
        ("admin", &["admin"]),
        ("audit", &["audit"]),
    ];
    for (what, path) in tables {
        let mut document: toml::Table = toml::from_str(&long).unwrap();
        let mut table = &mut document;
        for key in path {
            table = match table.get_mut(*key).unwrap() {
                toml::Value::Array(list) => list[0].as_table_mut().unwrap(),
                value => value.as_table_mut().unwrap(),
            };
        }
        let present: Vec<String> = table.keys().cloned().collect();
        table.insert("surprise".into(), true.into());
        let text = toml::to_string(&document).unwrap();
        let error = toml::from_str::<Config>(&text).unwrap_err();
        let finding = syntax(&name, &text, &error).to_string();
        let known = finding.split_once("expected ").unwrap_or_else(|| panic!("{what}: {finding}")).1;
        for key in known.split('`').skip(1).step_by(2) {
            assert!(present.iter().any(|p| p == key), "config/cqlgate.toml lacks {key:?} in {what:?}");
        }
    }
}

/// A folder with the files that a good configuration names.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("cqlgate-config-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        let pem = |what: &str| format!("-----BEGIN {what}-----\nMAA=\n-----END {what}-----\n");
        for (file, text) in
            [("password", "x".into()), ("cert.pem", pem("CERTIFICATE")), ("key.pem", pem("PRIVATE KEY"))]
        {
            fs::write(path.join(file), text).unwrap();
            restrict(&path.join(file), 0o600);
        }
        Self(path)
    }

    fn findings(&self, text: &str) -> Vec<String> {
        let list = match Config::parse(&"c.toml".into(), text, &self.0) {
            Ok(config) => config.warnings,
            Err(error) => error.findings,
        };
        list.iter().map(ToString::to_string).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn restrict(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

const GOOD: &str = r#"
[directory]
path = "state"
[[identity]]
name = "acme"
issuer = "https://login.acme.example"
audiences = ["cassandra"]
scim_token_hashes = ["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
[[cluster]]
name = "main"
listen = "127.0.0.1:9042"
contact_points = ["127.0.0.1:9043"]
username = "cqlgate"
password_file = "password"
policies = ["*.cql"]
[scim]
listen = "127.0.0.1:8480"
[admin]
listen = "127.0.0.1:8481"
[audit]
file = "/var/log/audit.jsonl"
"#;

#[test]
fn a_good_configuration_has_no_findings_and_whole_paths() {
    let folder = Folder::new();
    assert_eq!(folder.findings(GOOD), [""; 0]);
    fs::write(folder.0.join("cqlgate.toml"), GOOD).unwrap();
    let config = Config::load(&folder.0.join("cqlgate.toml")).unwrap();
    assert_eq!(config.directory.path, folder.0.join("state"));
    assert_eq!(config.cluster[0].password_file, folder.0.join("password"));
    assert_eq!(config.audit.file, Path::new("/var/log/audit.jsonl"));
    assert_eq!(config.folder, folder.0);
}

/// Each case replaces one piece of the good configuration; its findings follow, places included.
#[test]
fn each_wrong_configuration_gets_its_finding() {
    let folder = Folder::new();
    let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let identity = GOOD.split("[[identity]]").nth(1).unwrap().split("[[cluster]]").next().unwrap();
    let cases: &[(&str, &str, &[&str])] = &[
        ("name = \"main\"", "name = \"main\"\nreplicas = 2", &["11:1: error: unknown field `replicas`"]),
        ("path = \"state\"", "", &["2:1: error: missing field `path`; add the key"]),
        (
            "listen = \"127.0.0.1:9042\"",
            "listen = \"9042\"",
            &["11:10: error: invalid socket address syntax; write an address and a port"],
        ),
        (
            "username = \"cqlgate\"",
            "username = 5",
            &["13:12: error: invalid type: integer `5`, expected a string"],
        ),
        ("path = \"state\"", "path = \"state", &["3:14: error: invalid basic string"]),
        (
            "https://login.acme.example",
            "https://login.acme.example#x",
            &["6:10: error: an issuer has no fragment"],
        ),
        (
            "https://login.acme.example",
            "https://login.acme.example?x",
            &["6:10: error: an issuer has no query"],
        ),
        (
            "https://login.acme.example",
            "https://a@login.acme.example",
            &["6:10: error: an issuer has no user name"],
        ),
        (
            "https://login.acme.example",
            "http://login.acme.example",
            &["6:10: error: keys of an identity provider may come in clear over loopback only"],
        ),
        ("https://login.acme.example", "http://127.0.0.1:8080/realms/acme", &[]),
        ("https://login.acme.example", "http://[::1]:8080", &[]),
        ("https://login.acme.example", "login.acme.example", &["6:10: error: an issuer is an https address"]),
        ("[\"cassandra\"]", "[]", &["7:13: error: an audience is missing"]),
        (
            "[\"cassandra\"]",
            "[\"cassandra\"]\nalgorithms = [\"RS256\", \"HS256\"]",
            &["8:24: error: tokens signed with \"HS256\" are not taken; choose of RS256"],
        ),
        (
            "[\"cassandra\"]",
            "[\"cassandra\"]\nsubject = { scim = \"emails\" }",
            &["8:20: error: \"emails\" cannot name a person; choose of externalId"],
        ),
        (
            "[\"cassandra\"]",
            "[\"cassandra\"]\nmax_token_lifetime = 86401",
            &["8:22: error: this lifetime is not possible"],
        ),
        ("\"sha256:ba", "\"sha256:", &["8:22: error: this is no hash of a token"]),
        ("\"sha256:ba", "\"sha256:BA", &["8:22: error: this is no hash of a token"]),
        ("\"sha256:ba", "\"md5:ba", &["8:22: error: this is no hash of a token"]),
        (&format!("\"{hash}\""), "", &["8:21: warning: identity \"acme\" has no SCIM token"]),
        (
            &format!("\"{hash}\""),
            &format!("\"{hash}\", \"{hash}\""),
            &["8:97: error: this SCIM token stands twice"],
        ),
        (
            "[[cluster]]",
            &format!("[[identity]]{identity}[[cluster]]"),
            &[
                "10:8: error: there is another [[identity]] \"acme\"",
                "11:10: error: another identity has the same issuer",
                "13:22: error: this SCIM token stands twice",
            ],
        ),
        (
            "[[cluster]]",
            "[[service]]\nname = \"x\"\nidentity = \"acm\"\nclaims = {}\n[[cluster]]",
            &[
                "11:12: error: there is no [[identity]] \"acm\"; write \"acme\"",
                "12:10: error: a service without claims would be every workload of its issuer",
            ],
        ),
        (
            "username = \"cqlgate\"",
            "username = \"\"\nidentities = [\"acme\", \"b\"]",
            &[
                "13:12: error: the service account has no name",
                "14:23: error: there is no [[identity]] \"b\"",
            ],
        ),
        (
            "listen = \"127.0.0.1:9042\"",
            "listen = \"0.0.0.0:9042\"",
            &["11:10: error: tokens would reach 0.0.0.0:9042 in clear; configure tls"],
        ),
        ("listen = \"127.0.0.1:9042\"", "listen = \"0.0.0.0:9042\"\nplaintext = true", &[]),
        (
            "listen = \"127.0.0.1:9042\"",
            "listen = \"0.0.0.0:9042\"\ntls = { cert_file = \"cert.pem\", key_file = \"none.pem\" }",
            &["12:44: error: "],
        ),
        (
            "listen = \"127.0.0.1:8480\"",
            "listen = \"[::]:8480\"",
            &["17:10: error: tokens would reach [::]:8480 in clear"],
        ),
        (
            "listen = \"127.0.0.1:8480\"",
            "listen = \"127.0.0.1:9042\"",
            &["17:10: error: another listener has 127.0.0.1:9042"],
        ),
        (
            "listen = \"127.0.0.1:8481\"",
            "listen = \"10.0.0.1:8481\"\nplaintext = true",
            &["19:10: error: the status page names people and has no log-in yet"],
        ),
        (
            "[\"127.0.0.1:9043\"]",
            "[\"10.0.0.1:9042\"]",
            &["12:19: error: the service account's password would go to this node in clear"],
        ),
        ("[\"127.0.0.1:9043\"]", "[\"10.0.0.1:9042\"]\nupstream_plaintext = true", &[]),
        (
            "[\"127.0.0.1:9043\"]",
            "[\"localhost\", \"[::1]:0\", \"[::1]:9042\"]",
            &["12:19: error: \"localhost\" is no address of a node", "12:32: error: "],
        ),
        ("[\"127.0.0.1:9043\"]", "[]", &["12:18: error: no node is named"]),
        ("policies = [\"*.cql\"]", "policies = []", &["15:12: error: no policy is named"]),
        (
            "policies = [\"*.cql\"]",
            "policies = [\"*.cql\"]\nlimits = { sessions = 0 }",
            &["16:23: error: this limit is not possible"],
        ),
        ("\"password\"", "\"none\"", &["14:17: error: "]),
        ("\"password\"", "\".\"", &["14:17: error: "]),
        (
            "policies = [\"*.cql\"]",
            "policies = [\"*.cql\"]\nupstream_tls = { ca_file = \"cert.pem\", cert_file = \"cert.pem\" }",
            &["16:16: error: a client certificate needs its key"],
        ),
        (
            "listen = \"127.0.0.1:8480\"",
            "listen = \"127.0.0.1:8480\"\npublic_url = \"gate.example\"",
            &["18:14: error: this is no address of a server"],
        ),
    ];
    let mut wrong = Vec::new();
    for (piece, instead, expected) in cases {
        assert!(GOOD.contains(piece), "{piece}");
        let got = folder.findings(&GOOD.replacen(piece, instead, 1));
        let right = got.len() == expected.len()
            && got.iter().zip(*expected).all(|(got, start)| got.starts_with(&format!("c.toml:{start}")));
        if !right {
            wrong.push(format!("{instead}\n got {got:#?}\nwant {expected:#?}"));
        }
        assert!(got.iter().all(|finding| finding.contains("; ")), "nothing to write instead: {got:#?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_secret_that_everybody_can_read_is_a_warning() {
    let folder = Folder::new();
    restrict(&folder.0.join("password"), 0o644);
    let findings = folder.findings(GOOD);
    assert!(
        findings[0].starts_with("c.toml:14:17: warning: everybody on this machine can read"),
        "{findings:?}"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_finding_too() {
    let error = Config::load(Path::new("/nonexistent/cqlgate.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/cqlgate.toml:1:1: error: the configuration cannot be read")
    );
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_configuration_or_findings(text in proptest::arbitrary::any::<String>()) {
        let _ = Config::parse(&"f".into(), &text, Path::new("."));
    }
}
