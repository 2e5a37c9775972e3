//! Which file became which when something was carried to another file system: there it has another inode, and after an undo
//! yet another one. Operations before that know it by the first.

use super::line::{line, number, records};
use super::read::{Held, Written, journals, read};
use super::step::{Rest, time};
use super::{Journal, directory, make_dir};
use crate::control::lock;
use crate::sys::stat::{Stat, Time};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So many are told in one record.
const TOGETHER: usize = 64;

/// So many journals are kept for nothing else.
const MOST: usize = 200;

const WORD: &str = "passed";

/// A file at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) inode: u64,
    pub(crate) told: Told,
}

/// What tells that nothing was done to a file since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Its change time.
    Changed(Time),
    /// Its modification time, where other names of it come and go.
    Modified(Time),
}

impl From<&Stat> for Version {
    fn from(stat: &Stat) -> Version {
        let is_single = stat.links <= 1 || stat.is_dir();
        let told = if is_single { Told::Changed(stat.changed) } else { Told::Modified(stat.modified) };
        Version { inode: stat.id.ino, told }
    }
}

/// The same on two file systems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) from: (Arc<str>, Version),
    pub(crate) to: (Arc<str>, Version),
}

/// Passages that are not written yet, by the names of both file systems.
pub(super) type Passing = HashMap<(Arc<str>, Arc<str>), Vec<(Version, Version)>>;

impl Journal {
    /// Records that what was read is this from now on; written before the next step that relies on it.
    pub(crate) fn passed(&self, (from, old): (&Arc<str>, &Stat), (to, new): (&Arc<str>, &Stat)) {
        if !self.keeps_steps() {
            return;
        }
        let (mut old, mut new) = (Version::from(old), Version::from(new));
        // What has several names at one end only is told by the same thing at both.
        if let (Told::Modified(time), _) | (_, Told::Modified(time)) = (old.told, new.told) {
            (old.told, new.told) = (Told::Modified(time), Told::Modified(time));
        }
        let key = (Arc::clone(from), Arc::clone(to));
        let full = {
            let mut passing = lock(&self.passing);
            let all = passing.entry(key.clone()).or_default();
            all.push((old, new));
            if all.len() < TOGETHER { Vec::new() } else { std::mem::take(all) }
        };
        self.write_passed(&key, &full, false);
    }

    /// Writes what is not written yet.
    pub(crate) fn passed_all(&self) {
        let all = std::mem::take(&mut *lock(&self.passing));
        all.iter().for_each(|(key, passed)| self.write_passed(key, passed, true));
    }

    fn write_passed(&self, (from, to): &(Arc<str>, Arc<str>), passed: &[(Version, Version)], is_urgent: bool) {
        if passed.is_empty() {
            return;
        }
        let mut fields = vec![WORD.to_owned(), from.to_string(), to.to_string()];
        for (old, new) in passed {
            for version in [old, new] {
                let (mark, time) = match version.told {
                    Told::Changed(time) => ("", time),
                    Told::Modified(time) => ("=", time),
                };
                fields.push(version.inode.to_string());
                fields.push(format!("{mark}{}.{:09}", time.seconds, time.nanoseconds));
            }
        }
        self.append(&line(&fields.iter().map(String::as_bytes).collect::<Vec<_>>()), None, is_urgent);
    }
}

/// Whether a line is such a record.
pub(super) fn is_passage(line: &[u8]) -> bool {
    line.strip_prefix(WORD.as_bytes()).is_some_and(|rest| rest.starts_with(b"\t"))
}

fn parse(fields: &[Vec<u8>]) -> Option<Vec<Passed>> {
    let [_, from, to, rest @ ..] = fields else { return None };
    let name = |field: &Vec<u8>| Some(Arc::<str>::from(std::str::from_utf8(field).ok()?));
    let (from, to) = (name(from)?, name(to)?);
    let rest = &mut rest.iter();
    let mut found = Vec::new();
    while !rest.as_slice().is_empty() {
        found.push(Passed { from: (Arc::clone(&from), version(rest)?), to: (Arc::clone(&to), version(rest)?) });
    }
    Some(found)
}

fn version(from: &mut Rest<'_>) -> Option<Version> {
    let inode = number(from.next()?)?;
    let told = match from.as_slice().first()?.strip_prefix(b"=") {
        Some(modified) => {
            from.next();
            Told::Modified(time(&mut [modified.to_vec()].iter())?)
        }
        None => Told::Changed(time(from)?),
    };
    Some(Version { inode, told })
}

/// All journals there are, those of operations that were redone since too, and the passages that each of them tells of.
pub(crate) fn passages() -> io::Result<Vec<(Written, Vec<Passed>)>> {
    let mut found = Vec::new();
    for path in
        ["passages", "history", "operations"].map(journals).into_iter().collect::<io::Result<Vec<_>>>()?.concat()
    {
        let Some(written) = read(&path)? else { continue };
        found.push((written, passages_in(&path)?));
    }
    Ok(found)
}

fn passages_in(path: &Path) -> io::Result<Vec<Passed>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let passages = bytes.split(|&byte| byte == b'\n').filter(|line| is_passage(line));
    Ok(passages.flat_map(records).filter_map(|fields| parse(&fields)).flatten().collect())
}

impl Held {
    /// What went where.
    pub(crate) fn passages(&self) -> io::Result<Vec<Passed>> {
        passages_in(&self.journal.path)
    }

    /// It has nothing left to say but where things went.
    pub(super) fn retire(&self) -> io::Result<bool> {
        if passages_in(&self.journal.path)?.is_empty() {
            return Ok(false);
        }
        let dir = directory("passages").ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        make_dir(&dir)?;
        let name = self.journal.path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        fs::rename(&self.journal.path, dir.join(name))?;
        Ok(true)
    }
}

/// Forgets where things went too long ago for anybody to come back to it.
pub(crate) fn forget_passages(age: Duration) {
    let mut paths = journals("passages").unwrap_or_default();
    paths.sort();
    let too_many = paths.len().saturating_sub(MOST);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let is_old = |path: &Path| {
        let written = fs::metadata(path).and_then(|meta| meta.modified());
        written.is_ok_and(|time| time.duration_since(UNIX_EPOCH).unwrap_or_default() + age < now)
    };
    for (_, path) in paths.iter().enumerate().filter(|(number, path)| *number < too_many || is_old(path)) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_comes_back_as_it_was() {
        let time = |seconds| Time { seconds, nanoseconds: 70 };
        let version = |inode, told| Version { inode, told };
        let all = [
            (version(7, Told::Changed(time(-3))), version(8, Told::Changed(time(5)))),
            (version(9, Told::Modified(time(1))), version(u64::MAX, Told::Modified(time(1)))),
        ];
        let mut fields = ["passed", "uuid:1", "tmpfs:none"].map(|text| text.as_bytes().to_vec()).to_vec();
        for version in all.iter().flat_map(|(old, new)| [old, new]) {
            fields.push(version.inode.to_string().into_bytes());
            fields.push(match version.told {
                Told::Changed(time) => format!("{}.{:09}", time.seconds, time.nanoseconds).into_bytes(),
                Told::Modified(time) => format!("={}.{:09}", time.seconds, time.nanoseconds).into_bytes(),
            });
        }
        let names: [Arc<str>; 2] = ["uuid:1".into(), "tmpfs:none".into()];
        let expected = all.map(|(old, new)| Passed { from: (names[0].clone(), old), to: (names[1].clone(), new) });
        assert_eq!(parse(&fields), Some(expected.to_vec()));
        assert_eq!(parse(&fields[..fields.len() - 1]), None, "torn");
    }
}
