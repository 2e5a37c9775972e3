//! Temporary directories which other users can enter, and which go however deep they became.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory which is removed when this is dropped.
#[derive(Debug)]
pub struct Temp(PathBuf);

impl Temp {
    /// A new one; its name says what it is for.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn new(what: &str) -> io::Result<Self> {
        directory(&format!("fileops-{what}-")).map(Self)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves it where it is.
    pub fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if self.0.as_os_str().is_empty() || fs::remove_dir_all(&self.0).is_ok() {
            return;
        }
        // Too deep for a descriptor for each level.
        let _ = Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(&self.0).output();
    }
}

/// A new directory whose name begins so, which stays.
pub(crate) fn directory(prefix: &str) -> io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(Permissions::from_mode(0o755));
    Ok(builder.tempdir()?.keep())
}
