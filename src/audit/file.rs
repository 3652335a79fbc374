//! The audit file: append only, made readable by its owner alone, never left with half a line in its middle.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Lines on their way to the file. Bytes leave `pending` only when the system has taken them.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    /// How much of `pending` has been written.
    written: usize,
}

impl AuditFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (file, torn) = open(path)?;
        let pending = if torn { vec![b'\n'] } else { Vec::new() };
        Ok(Self { path: path.to_owned(), file, pending, written: 0 })
    }

    /// The path that was configured.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where lines are added; nothing is written yet.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Opens the path anew. A line of which the old file got only a part is written whole to the new one.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let (file, torn) = open(&self.path)?;
        self.file = file;
        let done = self.pending.get(..self.written).unwrap_or_default();
        let whole_lines = done.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1);
        self.pending.drain(..whole_lines);
        self.written = 0;
        if torn {
            self.pending.insert(0, b'\n');
        }
        Ok(())
    }

    /// Writes all that is pending. After an error, calling again goes on where the system stopped.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while let Some(rest) = self.pending.get(self.written..).filter(|r| !r.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.pending.clear();
        self.written = 0;
        Ok(())
    }

    /// Waits until the disk has it. A pipe or a terminal has no disk, which is no error.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self.file.sync_data() {
            Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            done => done,
        }
    }
}

/// Opens for appending; says whether the last line lacks its end (the machine died while it was written).
fn open(path: &Path) -> io::Result<(File, bool)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() == 0 {
        return Ok((file, false));
    }
    // Whoever may append but not read (a stricter mode than ours) gets an empty line at the worst.
    let Ok(mut reader) = File::open(path) else { return Ok((file, true)) };
    reader.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    reader.read_exact(&mut last)?;
    Ok((file, last != *b"\n"))
}
