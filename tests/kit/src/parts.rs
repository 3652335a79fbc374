//! The programs that the kit needs from the machine, and what to say when one is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::trouble::{Result, Trouble};

/// The `java` to start Cassandra with: 17, from `JAVA_HOME` or the path.
pub fn java() -> Result<PathBuf> {
    let java = std::env::var_os("JAVA_HOME")
        .map(|home| Path::new(&home).join("bin/java"))
        .filter(|path| path.is_file())
        .or_else(|| on_path("java"))
        .ok_or_else(|| missing("java", "a JDK 17", "openjdk-17-jdk-headless"))?;
    let version = Command::new(&java)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Trouble::new(format!("java does not start ({e}): install a JDK 17")))?;
    let text = String::from_utf8_lossy(&version.stderr);
    match major_version(&text) {
        Some("17") => Ok(java),
        other => Err(Trouble::new(format!(
            "java is version {}, Cassandra 5.0 needs 17: install a JDK 17 (Debian: apt-get install \
             openjdk-17-jdk-headless) and set JAVA_HOME to it",
            other.unwrap_or("unknown")
        ))),
    }
}

/// Maven, which fetches Cassandra.
pub fn maven() -> Result<PathBuf> {
    on_path("mvn").ok_or_else(|| missing("mvn", "Maven", "maven"))
}

/// The Python that makes the drivers' environment.
pub fn python3() -> Result<PathBuf> {
    let python = on_path("python3").ok_or_else(|| missing("python3", "Python 3", "python3 python3-venv"))?;
    let venv = Command::new(&python)
        .args(["-c", "import venv, ensurepip"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|e| Trouble::new(format!("python3 does not start ({e})")))?;
    if !venv.success() {
        return Err(missing("python3's venv module", "it", "python3-venv"));
    }
    Ok(python)
}

/// `setsid`, which gives a supervisor a session of its own.
pub fn setsid() -> Result<PathBuf> {
    on_path("setsid").ok_or_else(|| missing("setsid", "util-linux", "util-linux"))
}

fn missing(program: &str, what: &str, package: &str) -> Trouble {
    Trouble::new(format!("{program} is missing: install {what} (Debian: apt-get install {package})"))
}

/// A program on the path.
pub fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The major version of a Java, from what `java -version` prints.
fn major_version(printed: &str) -> Option<&str> {
    printed.split('"').nth(1)?.split('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_is_named_with_the_way_to_get_it() {
        let trouble = missing("mvn", "Maven", "maven").to_string();
        assert_eq!(trouble, "mvn is missing: install Maven (Debian: apt-get install maven)");
        assert_eq!(on_path("no-such-program-anywhere"), None);
        assert!(on_path("sh").is_some());
    }

    #[test]
    fn javas_are_told_apart() {
        assert_eq!(major_version("openjdk version \"17.0.15\" 2025-04-15\n"), Some("17"));
        assert_eq!(major_version("java version \"1.8.0_402\""), Some("1"));
        assert_eq!(major_version("openjdk version \"21\" 2023-09-19"), Some("21"));
        assert_eq!(major_version("no java"), None);
    }
}
