//! What DST means: a directory that receives the sources, or a name; see the rules of cp(1) and mv(1).

use crate::text;
use fileops::Shown;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the sources go.
pub(crate) enum Destination {
    /// Each under its own name, into the directory.
    Into,
    /// The only one, to exactly this name.
    Name,
}

impl Destination {
    /// `is_name` is what -T asks for.
    pub(crate) fn of(sources: &[PathBuf], dst: &Path, is_name: bool) -> Result<Destination, String> {
        if is_name {
            return match sources {
                [_] => Ok(Destination::Name),
                _ => Err(format!("-T takes one source, and {} were given for {}", sources.len(), Shown(dst))),
            };
        }
        match (directory(dst), sources) {
            (Ok(()), _) => Ok(Destination::Into),
            (Err(None), [source]) if is_missing_dir(dst, source) => Err(no_directory(dst, None)),
            (Err(_), [_]) => Ok(Destination::Name),
            (Err(error), _) => Err(no_directory(dst, error.as_ref())),
        }
    }
}

/// Whether DST is a directory, or a link to one. The error is `None` when it is there and something else, or not there.
fn directory(dst: &Path) -> Result<(), Option<io::Error>> {
    match fs::metadata(dst) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(None),
        Err(error) => Err(Some(error)),
    }
}

/// A slash at the end of DST asks for a directory, which only a directory can become.
fn is_missing_dir(dst: &Path, source: &Path) -> bool {
    dst.as_os_str().as_bytes().ends_with(b"/") && fs::metadata(source).is_ok_and(|metadata| !metadata.is_dir())
}

fn no_directory(dst: &Path, error: Option<&io::Error>) -> String {
    let reason = error.map(|error| format!(": {}", text::reason(error))).unwrap_or_default();
    format!("the target {} is no directory{reason}", Shown(dst))
}
