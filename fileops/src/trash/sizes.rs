//! `directorysizes`: a cache of what trashed directories take, so that nobody has to walk them to show the size of a trash.
//!
//! A line each: bytes, as `du -B1` counts; the modification time of the info file, in seconds; the name, escaped. It is
//! written anew and renamed over the old one. A line whose info file is gone or another one is stale, and is left out.

use super::folder::{Folder, info_name};
use super::info::{decoded, encoded};
use crate::journal::{Journal, Stage};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{data, name};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io::{self, Write};

pub(super) const NAME: &CStr = c"directorysizes";

/// More than this is no cache of ours, nor of anybody.
const MOST_BYTES: usize = 64 << 20;

/// What a trashed directory takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    /// Of its info file, in seconds since 1970.
    pub(crate) modified: i64,
}

/// All lines, by the names of the directories.
pub(super) fn read(folder: &Folder) -> BTreeMap<CString, Size> {
    let text = open::file(&folder.dir, NAME, Follow::No)
        .and_then(|file| if Stat::of(&file)?.is_file() { data::read_all(file, MOST_BYTES) } else { Ok(Vec::new()) });
    text.unwrap_or_default().split(|&byte| byte == b'\n').filter_map(parse).collect()
}

fn parse(line: &[u8]) -> Option<(CString, Size)> {
    let mut fields = line.splitn(3, |&byte| byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (bytes, modified): (i64, i64) = (number()?, number()?);
    let name = CString::new(decoded(fields.next()?)).ok()?;
    Some((name, Size { bytes: u64::try_from(bytes).ok()?, modified }))
}

/// Adds lines, and drops stale ones. Without anything to say there is no file.
///
/// # Errors
/// The old one stays, and is only out of date.
pub(crate) fn update(folder: &Folder, new: Vec<(CString, Size)>, journal: &Journal) -> io::Result<()> {
    let old = read(folder);
    if old.is_empty() && new.is_empty() {
        return Ok(());
    }
    let mut lines = old.clone();
    lines.extend(new);
    lines.retain(|name, size| is_current(folder, name, size));
    if lines == old {
        return Ok(());
    }
    let dir = journal.dir(&folder.dir, &folder.path);
    let stage = journal.stage(&dir, NAME);
    let written = write(folder, &stage, &lines, journal);
    if written.is_err() {
        let _ = name::unlink(&folder.dir, &stage.name);
    }
    journal.gone(&stage);
    written
}

/// Whether a line is about what is in the trash now.
pub(super) fn is_current(folder: &Folder, name: &CStr, size: &Size) -> bool {
    Stat::at(&*folder.info, &info_name(name)).is_ok_and(|stat| stat.modified.seconds == size.modified)
}

fn write(folder: &Folder, stage: &Stage, lines: &BTreeMap<CString, Size>, journal: &Journal) -> io::Result<()> {
    let mut text = Vec::new();
    for (name, Size { bytes, modified }) in lines {
        write!(text, "{bytes} {modified} ").expect("a vector takes everything");
        text.extend(encoded(name.to_bytes(), b""));
        text.push(b'\n');
    }
    let file = open::create(&folder.dir, &stage.name, 0o600)?;
    journal.made(stage, Stat::of(&file)?.id);
    let mut done = 0;
    while done < text.len() {
        done += data::write(&file, &text[done..])?;
    }
    open::close(file)?;
    name::rename(&folder.dir, &stage.name, &folder.dir, NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_another_is_not() {
        let size = Size { bytes: 16384, modified: 15_803_468 };
        assert_eq!(parse(b"16384 15803468 My%20Documents"), Some((c"My Documents".to_owned(), size)));
        for line in ["", "16384", "16384 15803468", "x 1 a", "-1 1 a", "1 x a", "1 1 a%00b"] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
