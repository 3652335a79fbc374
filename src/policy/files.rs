//! Policy files on disk: which files the patterns mean, and their texts.
//!
//! In: patterns as configured (`policies/*.cql`). Out: each file once, in the order of the patterns and by
//! name within one, or findings. Number and size are bounded.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::pattern::Name;
use crate::config::diagnostic::{Diagnostic, place};
use crate::config::limits;

/// One file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolicyFile {
    /// As configured: relative to the configuration file if the pattern is.
    pub(super) name: Arc<str>,
    pub(super) text: String,
    /// When it was last written, to notice that somebody is still writing.
    pub(super) modified: Option<SystemTime>,
}

/// Reads every file that the patterns mean.
pub(super) fn read(base: &Path, patterns: &[String]) -> Result<Vec<PolicyFile>, Vec<Diagnostic>> {
    let (mut names, mut findings) = (Vec::<PathBuf>::new(), Vec::new());
    for pattern in patterns {
        match expand(base, pattern) {
            Ok(found) => {
                for name in found {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
            Err(finding) => findings.push(finding),
        }
    }
    if names.len() > limits::POLICY_FILES {
        let at: Arc<str> = patterns.join(" ").into();
        findings.push(
            Diagnostic::error(&at, (1, 1), format!("more than {} policy files", limits::POLICY_FILES))
                .help("put more rules into each"),
        );
        return Err(findings);
    }
    let (mut files, mut size) = (Vec::new(), 0_usize);
    for name in names {
        match read_one(base, &name) {
            Ok(file) => {
                size = size.saturating_add(file.text.len());
                if size > limits::POLICY_BYTES {
                    let message =
                        format!("the policy is larger than {} bytes with this file", limits::POLICY_BYTES);
                    return Err(vec![
                        Diagnostic::error(&file.name, (1, 1), message)
                            .help("use patterns, and groups instead of users"),
                    ]);
                }
                files.push(file);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if findings.is_empty() { Ok(files) } else { Err(findings) }
}

/// The files of one pattern, named as it names them, sorted.
fn expand(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, Diagnostic> {
    let at: Arc<str> = pattern.into();
    let error = |message: String, help: &str| Diagnostic::error(&at, (1, 1), message).help(help);
    let path = Path::new(pattern);
    let Some(last) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(error("this names no file".into(), "write something like policies/*.cql"));
    };
    if !last.contains('*') {
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder.to_string_lossy().contains('*') {
        return Err(error(
            "a * in a folder's name".into(),
            "use * in the file's name only, and list the folders",
        ));
    }
    let entries = std::fs::read_dir(base.join(folder)).map_err(|e| {
        error(
            format!("the folder cannot be read: {e}"),
            "make it, or correct `policies` in the configuration",
        )
    })?;
    let wanted = Name::quoted(last);
    let mut found = Vec::new();
    for entry in entries {
        let entry =
            entry.map_err(|e| error(format!("the folder cannot be read: {e}"), "check its permissions"))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // As in a shell, a * does not stand for a leading dot: editors keep their locks and copies there.
        if !name.starts_with('.') && wanted.matches(name) {
            found.push(folder.join(name));
        }
    }
    if found.is_empty() {
        return Err(error(
            "no file is called like this".into(),
            "write a policy there; an empty file permits nothing",
        ));
    }
    found.sort_unstable();
    Ok(found)
}

fn read_one(base: &Path, name: &Path) -> Result<PolicyFile, Diagnostic> {
    let file: Arc<str> = name.to_string_lossy().into();
    let unreadable = |e: std::io::Error| {
        Diagnostic::error(&file, (1, 1), format!("the policy cannot be read: {e}"))
            .help("correct `policies` in the configuration, or the file's permissions")
    };
    let path = base.join(name);
    let kind = std::fs::metadata(&path).map_err(unreadable)?;
    if !kind.is_file() {
        return Err(Diagnostic::error(&file, (1, 1), "this is no file").help("name a file, or folder/*.cql"));
    }
    let mut bytes = Vec::new();
    let limit = limits::POLICY_FILE as u64;
    let opened = std::fs::File::open(&path).map_err(unreadable)?;
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Diagnostic::error(&file, (1, 1), format!("the file is larger than {limit} bytes"))
            .help("split it"));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(e.as_bytes().get(..valid).unwrap_or_default());
        let at = place(&before, valid);
        Diagnostic::error(&file, at, "from here on this is not UTF-8").help("save the file as UTF-8")
    })?;
    Ok(PolicyFile { name: file, text, modified: kind.modified().ok() })
}
