//! The house's own rules: which module may know which, how long a file may be, and that the README says
//! what the code does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cqlgate_testkit::cassandra::{SERVICE_GRANTS, SERVICE_ROLE};
use cqlgate_testkit::place;

/// Each module of `src/`, and the others that it may know.
const MAY_KNOW: [(&str, &[&str]); 15] = [
    ("config", &[]),
    ("principal", &[]),
    ("status", &[]),
    ("metrics", &["config"]),
    ("audit", &["config", "metrics", "status"]),
    ("tls", &["config"]),
    ("directory", &["config", "metrics"]),
    ("auth", &["config", "directory", "metrics", "principal", "status"]),
    ("policy", &["config", "directory", "metrics", "principal", "status"]),
    ("upstream", &["config", "metrics", "status", "tls"]),
    // scim writes the directory, policy reads it: they never meet.
    ("scim", &["audit", "config", "directory", "metrics", "status"]),
    ("admin", &["audit", "config", "metrics", "status"]),
    (
        "session",
        &[
            "accept",
            "audit",
            "auth",
            "config",
            "directory",
            "metrics",
            "policy",
            "principal",
            "status",
            "tls",
            "upstream",
        ],
    ),
    // Nothing below session knows session.
    ("accept", &["config", "metrics", "session", "tls"]),
    // Joins the parts.
    (
        "cli",
        &[
            "accept",
            "admin",
            "audit",
            "auth",
            "config",
            "directory",
            "metrics",
            "policy",
            "principal",
            "scim",
            "session",
            "status",
            "tls",
            "upstream",
        ],
    ),
];

/// Every Rust file below a folder, build products left out.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn files_of(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    rust_files(&place::workspace().join(folder), &mut found);
    found
}

/// The modules that follow each `crate::` of a text, also in `use crate::{a, b}`.
fn known_modules(text: &str) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let word = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        if let Some(list) = rest.strip_prefix('{') {
            let (mut depth, mut start) = (0, true);
            for (i, c) in list.char_indices() {
                if start && depth == 0 {
                    known.insert(word(list.get(i..).unwrap_or_default()));
                    start = false;
                }
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' => start = true,
                    _ => {}
                }
            }
        } else {
            known.insert(word(rest));
        }
    }
    known
}

#[test]
fn modules_know_only_whom_they_may() {
    let src = place::workspace().join("src");
    let modules: BTreeSet<&str> = MAY_KNOW.iter().map(|(module, _)| *module).collect();
    for path in files_of("src") {
        let inside = path.strip_prefix(&src).unwrap();
        let first = inside.iter().next().unwrap().to_string_lossy();
        let module = first.trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let (_, may) = MAY_KNOW
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{module} is new: say here whom it may know"));
        for known in known_modules(&fs::read_to_string(&path).unwrap()) {
            let fine = known == module || may.contains(&known.as_str()) || !modules.contains(known.as_str());
            assert!(fine, "{} knows {known}, which {module} may not", path.display());
        }
    }
}

#[test]
fn the_protocol_crate_knows_nothing_of_ours_and_does_no_io() {
    for path in files_of("protocol/src") {
        let text = fs::read_to_string(&path).unwrap();
        for word in
            ["cqlgate::", "tokio", "TcpStream", "UdpSocket", "std::fs", "std::io", "std::time", "std::thread"]
        {
            let used = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(word));
            assert!(!used, "{} uses {word}", path.display());
        }
    }
}

#[test]
fn a_file_is_one_thought() {
    for path in ["src", "protocol", "tests", "benches"].iter().filter(|f| place::workspace().join(f).exists())
    {
        for path in files_of(path) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 700, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn the_readme_shows_the_grants_that_the_tests_run_with() {
    let readme = fs::read_to_string(place::workspace().join("README.md")).unwrap();
    assert!(readme.contains(&format!("CREATE ROLE {SERVICE_ROLE} ")));
    for grant in SERVICE_GRANTS {
        assert!(readme.contains(grant), "the README lacks: {grant}");
    }
}
