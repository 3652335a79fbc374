//! From the file to a [`Config`] that was checked, or to findings with their places.
//!
//! In: `cqlgate.toml`. Out: the configuration with paths made whole, warnings beside it; or every finding
//! at once. Nothing of the file is taken if one thing in it is wrong.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check;
use super::diagnostic::{Diagnostic, place};
use super::limits;
use super::model::{ClientTls, Config, ServerTls};

/// Why a configuration is not taken: at least one error, and the warnings beside it.
#[derive(Debug)]
pub struct ConfigError {
    /// In the order of the file.
    pub findings: Vec<Diagnostic>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks the file. Relative paths in it are relative to its folder.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::taken(Self::examine(path))
    }

    /// The same for a text that was read before; `folder` is what relative paths are relative to.
    pub fn parse(name: &Arc<str>, text: &str, folder: &Path) -> Result<Self, ConfigError> {
        Self::taken(Self::examine_text(name, text, folder))
    }

    /// What the file says and every finding, for a look at more than what is wrong first; `None` if it says
    /// nothing that could be read.
    pub fn examine(path: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        let name: Arc<str> = path.to_string_lossy().into();
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        match read(path) {
            Ok(text) => Self::examine_text(&name, &text, folder),
            Err((message, help)) => (None, vec![Diagnostic::error(&name, (1, 1), message).help(help)]),
        }
    }

    fn examine_text(name: &Arc<str>, text: &str, folder: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        let mut config: Self = match toml::from_str(text) {
            Ok(config) => config,
            Err(error) => return (None, vec![syntax(name, text, &error)]),
        };
        config.folder = folder.into();
        config.file = Arc::clone(name);
        config.text = text.into();
        config.make_paths_whole();
        let mut findings = check::check(&config, &Places::of(name, text));
        findings.sort_by_key(|finding| (finding.line, finding.column));
        (Some(config), findings)
    }

    /// An error at the value that `path` leads to, for those who look at a value more closely.
    pub fn error_at(&self, path: &[Step<'_>], message: impl Into<String>) -> Diagnostic {
        Places::of(&self.file, &self.text).error(path, message)
    }

    fn taken(examined: (Option<Self>, Vec<Diagnostic>)) -> Result<Self, ConfigError> {
        match examined {
            (Some(mut config), warnings) if !warnings.iter().any(Diagnostic::is_error) => {
                config.warnings = warnings;
                Ok(config)
            }
            (_, findings) => Err(ConfigError { findings }),
        }
    }

    fn make_paths_whole(&mut self) {
        let folder = self.folder.clone();
        let whole = |path: &mut PathBuf| *path = folder.join(&*path);
        let server = |tls: &mut Option<ServerTls>| {
            if let Some(tls) = tls {
                whole(&mut tls.cert_file);
                whole(&mut tls.key_file);
                tls.client_ca_file.as_mut().map(whole);
            }
        };
        let client = |tls: &mut Option<ClientTls>| {
            if let Some(tls) = tls {
                whole(&mut tls.ca_file);
                tls.cert_file.as_mut().map(whole);
                tls.key_file.as_mut().map(whole);
            }
        };
        whole(&mut self.directory.path);
        whole(&mut self.audit.file);
        for identity in &mut self.identity {
            identity.ca_file.as_mut().map(whole);
        }
        for cluster in &mut self.cluster {
            whole(&mut cluster.password_file);
            server(&mut cluster.tls);
            client(&mut cluster.upstream_tls);
        }
        server(&mut self.scim.tls);
        server(&mut self.admin.tls);
    }
}

/// The text, or what is wrong and what to do.
fn read(path: &Path) -> Result<String, (String, &'static str)> {
    let unreadable = |e: std::io::Error| {
        (format!("the configuration cannot be read: {e}"), "give its path with --config FILE")
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(limits::CONFIG_FILE as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limits::CONFIG_FILE {
        return Err((format!("the file is larger than {} bytes", limits::CONFIG_FILE), "shorten it"));
    }
    String::from_utf8(bytes).map_err(|_| ("the file is not UTF-8".into(), "save it as UTF-8"))
}

/// What the TOML reader found: broken syntax, a wrong type, an unknown or missing key.
fn syntax(name: &Arc<str>, text: &str, error: &toml::de::Error) -> Diagnostic {
    let at = error.span().map_or((1, 1), |span| place(text, span.start));
    let message = error.message().trim().replace('\n', ", ");
    let help = if message.contains("`replicas`") {
        "delete it: several gateways over one directory are not supported yet"
    } else if message.starts_with("missing field") {
        "add the key; config/cqlgate.toml of the distribution explains each"
    } else if message.starts_with("unknown field") {
        "delete the key or correct its spelling"
    } else if message.contains("socket address") {
        "write an address and a port: \"127.0.0.1:9042\", \"[::1]:9042\""
    } else {
        "config/cqlgate.toml of the distribution shows how each key is written"
    };
    Diagnostic::error(name, at, message).help(help)
}

/// Where the values of a file stand.
pub(super) struct Places<'a> {
    name: &'a Arc<str>,
    text: &'a str,
    root: Option<Spanned<DeTable<'a>>>,
}

/// One step into a document.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Of a table.
    Key(&'a str),
    /// Of a list, from 0.
    Index(usize),
}

impl<'a> Places<'a> {
    pub(super) fn of(name: &'a Arc<str>, text: &'a str) -> Self {
        Self { name, text, root: DeTable::parse(text).ok() }
    }

    /// An error at a value, or at the nearest thing around it that the file has.
    pub(super) fn error(&self, path: &[Step<'_>], message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.name, self.at(path), message)
    }

    /// A warning at a value.
    pub(super) fn warning(&self, path: &[Step<'_>], message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.name, self.at(path), message)
    }

    fn at(&self, path: &[Step<'_>]) -> (u32, u32) {
        let Some(root) = &self.root else { return (1, 1) };
        let (Some(Step::Key(first)), Some(rest)) = (path.first(), path.get(1..)) else { return (1, 1) };
        let Some(mut value) = root.get_ref().get(*first) else { return (1, 1) };
        for step in rest {
            let next = match (value.get_ref(), step) {
                (DeValue::Table(table), Step::Key(key)) => table.get(*key),
                (DeValue::Array(array), Step::Index(index)) => array.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            value = next;
        }
        place(self.text, value.span().start)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
