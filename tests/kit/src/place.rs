//! Where the kit keeps what it fetched: under the target folder, made once, whole or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::trouble::{During, Result};

/// The workspace's root.
pub fn workspace() -> PathBuf {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR"));
    kit.ancestors().nth(2).unwrap_or(kit).to_path_buf()
}

/// `target/testkit`.
pub fn testkit() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    target.join("testkit")
}

/// Is `target/testkit/<name>` there, and whole?
pub fn is_made(name: &str) -> bool {
    testkit().join(format!("{name}.complete")).is_file()
}

/// The folder `target/testkit/<name>`; if it is not there yet, `make` fills it.
///
/// Only one process makes it while others wait, and what a broken run left behind is removed first: a
/// folder without its mark does not count.
pub fn made_once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let root = testkit();
    let (dir, mark) = (root.join(name), root.join(format!("{name}.complete")));
    fs::create_dir_all(&root).during(format!("making {}", root.display()))?;
    let lock = File::create(root.join(format!("{name}.lock"))).during("making a lock file")?;
    lock.lock().during("waiting for the lock file")?;
    if mark.is_file() {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).during(format!("removing the half-made {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).during(format!("making {}", dir.display()))?;
    make(&dir)?;
    File::create(&mark).during(format!("marking {}", dir.display()))?;
    Ok(dir)
}
