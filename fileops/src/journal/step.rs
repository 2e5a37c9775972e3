//! What an operation did, a step at a time: each can be undone by its inverse, and by nothing else than renames.

use super::line::number;
use crate::sys::stat::{Stat, Time};
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A directory, told so that it holds after a restart: which file system, and where it was mounted then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dir {
    pub(crate) file_system: Arc<str>,
    pub(crate) path: Arc<Path>,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    pub(crate) dir: Dir,
    pub(crate) name: CString,
}

impl Location {
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path.join(OsString::from_vec(self.name.to_bytes().to_vec()))
    }
}

/// Which file something is, over restarts: device numbers change with every mount, so they are no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Kind and permissions; the kind alone is compared.
    pub(crate) mode: u32,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: Time,
    /// Zero where it says nothing: other names of the file come and go.
    pub(crate) changed: Time,
    /// What it takes on the disk, in bytes; 0 where nobody looked.
    pub(crate) allocated: u64,
}

/// No time that a file could have.
const UNTOLD: Time = Time { seconds: 0, nanoseconds: 0 };

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Identity {
        let changed = if stat.links > 1 && !stat.is_dir() { UNTOLD } else { stat.changed };
        let Stat { mode, size, modified, allocated, .. } = *stat;
        Identity { mode, inode: stat.id.ino, size, modified, changed, allocated }
    }
}

impl Identity {
    /// Whether this is the file, whatever was done to it since. `file_system` tells whether its inode numbers last.
    pub(crate) fn is_same(&self, stat: &Stat, file_system: &str) -> bool {
        const KIND: u32 = 0o170_000;
        let is_kind = self.mode & KIND == stat.mode & KIND;
        is_kind && (self.inode == stat.id.ino || (!has_lasting_inodes(file_system) && self.has_contents_of(stat)))
    }

    /// Whether this is the file, and nobody wrote to it since.
    pub(crate) fn is_unwritten(&self, stat: &Stat, file_system: &str) -> bool {
        self.is_same(stat, file_system) && self.has_contents_of(stat)
    }

    /// As far as size and time tell.
    fn has_contents_of(&self, stat: &Stat) -> bool {
        stat.is_dir() || (self.size == stat.size && self.modified == stat.modified)
    }

    /// Whether nothing at all was done to it since, neither to its attributes nor to its names.
    pub(crate) fn is_unchanged(&self, stat: &Stat, file_system: &str) -> bool {
        self.is_unwritten(stat, file_system) && (self.changed == UNTOLD || self.changed == stat.changed)
    }
}

/// On FAT and FUSE an inode number is one of this mount only.
pub(crate) fn has_lasting_inodes(file_system: &str) -> bool {
    let kind = file_system.split(':').next().unwrap_or_default();
    !(kind.starts_with("fuse") || matches!(kind, "vfat" | "msdos" | "exfat" | "9p" | "smb3" | "cifs"))
}

/// One thing that was done. Undone in the opposite order, each by its inverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An entry of ours has this name, a directory with all that is in it.
    Created { at: Location, identity: Identity },
    /// A new tree of ours is whole, and everything in it is older than this (by its own file system's clock).
    Sealed { at: Location, time: Time },
    /// An entry was taken away, to the kept area.
    Removed { at: Location, kept: Location, identity: Identity },
    /// A new file took an old one's name, and the old one is in the kept area.
    Replaced { at: Location, new: Identity, kept: Location, old: Identity },
    /// An entry has another name on the same file system.
    Moved { from: Location, to: Location, identity: Identity },
    /// An entry was copied to another file system, and its source removed.
    Carried { from: Location, to: Location, identity: Identity },
    /// A directory that was there before is about to change; its modification time until then.
    Touched { dir: Dir, modified: Time },
    /// The operation is over, and leaves a directory that it touched with these modification and change times. 0 where no
    /// inode was recorded.
    Left { dir: Dir, modified: Time, changed: Time, inode: u64 },
}

impl Step {
    /// Whether there is something to undo, rather than to know while something else is undone.
    pub(crate) fn is_change(&self) -> bool {
        !matches!(self, Step::Sealed { .. } | Step::Touched { .. } | Step::Left { .. })
    }

    /// Everything that it is about, but for the kept area, which has a name for each.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        match self {
            Step::Moved { from, to, .. } | Step::Carried { from, to, .. } => vec![from.path(), to.path()],
            _ => vec![self.path()],
        }
    }

    /// The path that tells people what it was about.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Step::Created { at, .. }
            | Step::Sealed { at, .. }
            | Step::Removed { at, .. }
            | Step::Replaced { at, .. } => at.path(),
            Step::Moved { from, .. } | Step::Carried { from, .. } => from.path(),
            Step::Touched { dir, .. } | Step::Left { dir, .. } => dir.path.to_path_buf(),
        }
    }

    pub(super) fn fields(&self) -> Vec<Vec<u8>> {
        let mut to = Fields(Vec::new());
        match self {
            Step::Created { at, identity } => to.word("created").location(at).identity(identity),
            Step::Sealed { at, time } => to.word("sealed").location(at).time(time),
            Step::Removed { at, kept, identity } => to.word("removed").location(at).location(kept).identity(identity),
            Step::Replaced { at, new, kept, old } => {
                to.word("replaced").location(at).identity(new).location(kept).identity(old)
            }
            Step::Moved { from, to: target, identity } => {
                to.word("moved").location(from).location(target).identity(identity)
            }
            Step::Carried { from, to: target, identity } => {
                to.word("carried").location(from).location(target).identity(identity)
            }
            Step::Touched { dir, modified } => to.word("touched").dir(dir).time(modified),
            Step::Left { dir, modified, changed, inode } => {
                to.word("left").dir(dir).time(modified).time(changed).word(inode)
            }
        };
        to.0
    }

    pub(super) fn parse(fields: &[Vec<u8>]) -> Option<Step> {
        let (word, rest) = fields.split_first()?;
        let from = &mut rest.iter();
        Some(match word.as_slice() {
            b"created" => Step::Created { at: location(from)?, identity: identity(from)? },
            b"sealed" => Step::Sealed { at: location(from)?, time: time(from)? },
            b"removed" => Step::Removed { at: location(from)?, kept: location(from)?, identity: identity(from)? },
            b"replaced" => Step::Replaced {
                at: location(from)?,
                new: identity(from)?,
                kept: location(from)?,
                old: identity(from)?,
            },
            b"moved" => Step::Moved { from: location(from)?, to: location(from)?, identity: identity(from)? },
            b"carried" => Step::Carried { from: location(from)?, to: location(from)?, identity: identity(from)? },
            b"touched" => Step::Touched { dir: dir(from)?, modified: time(from)? },
            b"left" => Step::Left {
                dir: dir(from)?,
                modified: time(from)?,
                changed: time(from)?,
                inode: from.next().and_then(|field| number(field)).unwrap_or(0),
            },
            _ => return None,
        })
    }
}

/// A record that is being written.
#[derive(Default)]
pub(super) struct Fields(pub(super) Vec<Vec<u8>>);

impl Fields {
    pub(super) fn word(&mut self, word: impl ToString) -> &mut Fields {
        self.0.push(word.to_string().into_bytes());
        self
    }

    fn dir(&mut self, dir: &Dir) -> &mut Fields {
        self.word(&dir.file_system).0.push(dir.path.as_os_str().as_bytes().to_vec());
        self
    }

    pub(super) fn location(&mut self, at: &Location) -> &mut Fields {
        self.dir(&at.dir).0.push(at.name.to_bytes().to_vec());
        self
    }

    pub(super) fn time(&mut self, time: &Time) -> &mut Fields {
        self.word(format!("{}.{:09}", time.seconds, time.nanoseconds))
    }

    pub(super) fn identity(&mut self, identity: &Identity) -> &mut Fields {
        let Identity { mode, inode, size, modified, changed, allocated } = identity;
        self.word(format!("{mode:o}")).word(inode).word(size).time(modified).time(changed).word(allocated)
    }
}

pub(super) type Rest<'a> = std::slice::Iter<'a, Vec<u8>>;

fn dir(from: &mut Rest<'_>) -> Option<Dir> {
    let file_system = std::str::from_utf8(from.next()?).ok()?.into();
    let path = PathBuf::from(OsString::from_vec(from.next()?.clone()));
    is_real(&path).then(|| Dir { file_system, path: path.into() })
}

pub(super) fn location(from: &mut Rest<'_>) -> Option<Location> {
    let dir = dir(from)?;
    let name = CString::new(from.next()?.as_slice()).ok()?;
    is_name(&name).then_some(Location { dir, name })
}

/// What a damaged or forged record must not make of a path: one that begins anywhere, or leads up.
pub(super) fn is_real(path: &Path) -> bool {
    path.is_absolute() && path.components().skip(1).all(|part| matches!(part, Component::Normal(_)))
}

/// What a damaged or forged record must not make of a name.
pub(super) fn is_name(name: &CStr) -> bool {
    let name = name.to_bytes();
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/')
}

pub(super) fn time(from: &mut Rest<'_>) -> Option<Time> {
    let (seconds, nanoseconds) = std::str::from_utf8(from.next()?).ok()?.split_once('.')?;
    Some(Time { seconds: seconds.parse().ok()?, nanoseconds: nanoseconds.parse().ok()? })
}

pub(super) fn identity(from: &mut Rest<'_>) -> Option<Identity> {
    Some(Identity {
        mode: u32::from_str_radix(std::str::from_utf8(from.next()?).ok()?, 8).ok()?,
        inode: number(from.next()?)?,
        size: number(from.next()?)?,
        modified: time(from)?,
        changed: time(from)?,
        allocated: number(from.next()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str) -> Location {
        let dir = Dir { file_system: "uuid:1".into(), path: Path::new("/a b").into() };
        Location { dir, name: CString::new(name).unwrap() }
    }

    fn some() -> Identity {
        let time = |seconds| Time { seconds, nanoseconds: 7 };
        Identity { mode: 0o100_644, inode: 9, size: 5, modified: time(-3), changed: time(4), allocated: 4096 }
    }

    #[test]
    fn every_step_comes_back_as_it_was() {
        let time = Time { seconds: 5, nanoseconds: 60 };
        let steps = [
            Step::Created { at: at("x"), identity: some() },
            Step::Sealed { at: at("x"), time },
            Step::Removed { at: at("x"), kept: at("k"), identity: some() },
            Step::Replaced { at: at("x"), new: some(), kept: at("k"), old: some() },
            Step::Moved { from: at("x\n\t%"), to: at("y"), identity: some() },
            Step::Carried { from: at("x"), to: at("y"), identity: some() },
            Step::Touched { dir: at("x").dir, modified: time },
            Step::Left { dir: at("x").dir, modified: time, changed: time, inode: 9 },
        ];
        for step in steps {
            assert_eq!(Step::parse(&step.fields()), Some(step));
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_no_step() {
        for name in ["", ".", "..", "a/b"] {
            let step = Step::Created { at: at(name), identity: some() };
            assert_eq!(Step::parse(&step.fields()), None, "{name}");
        }
    }
}
