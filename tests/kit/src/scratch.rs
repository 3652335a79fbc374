//! Temporary folders that are gone afterwards, whatever ended the process that made them.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::parts;
use crate::trouble::{During, Result, Trouble};

/// What `supervise.sh` is to do; the text itself is handed to `sh`, so no file has to be found.
pub(crate) const SUPERVISE: &str = include_str!("supervise.sh");

/// A temporary folder. Let go (dropped, or its owner killed), it is removed as soon as no process that
/// was started in it runs any more.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _leash: ChildStdin,
}

impl Scratch {
    /// A new folder that only this user can read.
    pub fn new(name: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cqlgate-{name}-{}-{n}", std::process::id()));
        let mut guard = Command::new(parts::setsid()?)
            .args(["sh", "-c", SUPERVISE, "supervise", "guard"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .during("starting the guard of a temporary folder")?;
        let leash = guard.stdin.take().ok_or_else(|| Trouble::new("the guard has no standard input"))?;
        std::thread::spawn(move || guard.wait());
        // Only now: the guard must be there before what it guards.
        DirBuilder::new().mode(0o700).create(&path).during(format!("making {}", path.display()))?;
        Ok(Self { path, _leash: leash })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in it that only this user can read: some are secrets, and programs look.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path.join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(content.as_ref()))
            .during(format!("writing {}", path.display()))?;
        Ok(path)
    }
}
