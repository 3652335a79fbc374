//! Cassandra's jars, from its registry through Maven, into the target folder.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::trouble::{During, Result, Trouble};
use crate::{parts, place};

const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// The folder of the jars of a release: `cassandra-all` and everything that it needs to run.
pub(super) fn jars(release: &str) -> Result<PathBuf> {
    let dir = place::made_once(&super::folder_of(release), |dir| {
        let maven = parts::maven()?;
        std::fs::write(dir.join("pom.xml"), pom(release)).during("writing pom.xml")?;
        let run = Command::new(maven)
            .args(["-B", "-q", &format!("{DEPENDENCY_PLUGIN}:copy-dependencies"), "-DoutputDirectory=lib"])
            .current_dir(dir)
            .stdin(Stdio::null())
            .output()
            .during("starting mvn")?;
        if run.status.success() {
            return Ok(());
        }
        Err(Trouble::new(format!(
            "mvn could not fetch Cassandra {release} (is the Maven registry reachable?):\n{}{}",
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        )))
    })?;
    Ok(dir.join("lib"))
}

fn pom(release: &str) -> String {
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>cqlgate.testkit</groupId>
  <artifactId>cassandra</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>{release}</version>
    </dependency>
  </dependencies>
</project>
"#
    )
}
