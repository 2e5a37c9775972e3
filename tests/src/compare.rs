//! How two trees differ.

use std::path::Path;

use rustix::fs::FileType;

use crate::snapshot::{Entry, Snapshot, snapshot};

/// What does not count when trees are compared; by default all does.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    /// The root itself.
    pub root: bool,
    /// Permissions.
    pub mode: bool,
    /// Owner and group.
    pub owner: bool,
    /// All times.
    pub mtime: bool,
    /// The times of directories.
    pub dir_mtime: bool,
    /// The times of symbolic links.
    pub link_mtime: bool,
    /// Times are equal if they differ by less than this, in nanoseconds.
    pub mtime_step: i128,
    /// Extended attributes.
    pub xattrs: bool,
    /// Which names are the same file.
    pub hard_links: bool,
}

/// How two trees differ, a line for each difference.
pub fn differences(a: &Snapshot, b: &Snapshot, ignore: &Ignore) -> Vec<String> {
    let mut lines = Vec::new();
    let paths = a.keys().chain(b.keys().filter(|path| !a.contains_key(*path)));
    let mut paths: Vec<_> = paths.filter(|path| !(ignore.root && path.is_empty())).collect();
    paths.sort();
    for path in paths {
        let shown = match &*String::from_utf8_lossy(path) {
            "" => ".".to_owned(),
            path => path.to_owned(),
        };
        match (a.get(path), b.get(path)) {
            (Some(a), Some(b)) => {
                let found = compare(a, b, ignore);
                lines.extend(found.into_iter().map(|what| format!("{shown}: {what}")));
            }
            (Some(a), None) => lines.push(format!("{shown}: only in the first ({:?})", a.kind)),
            (_, Some(b)) => lines.push(format!("{shown}: only in the second ({:?})", b.kind)),
            (None, None) => (),
        }
    }
    lines
}

fn compare(a: &Entry, b: &Entry, ignore: &Ignore) -> Vec<String> {
    if a.kind != b.kind {
        return vec![format!("kind {:?}, {:?}", a.kind, b.kind)];
    }
    let link = a.kind == FileType::Symlink;
    let no_time = ignore.mtime
        || ignore.dir_mtime && a.kind.is_dir()
        || ignore.link_mtime && link
        || (a.mtime - b.mtime).abs() < ignore.mtime_step;
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let checks = [
        (a.mode != b.mode && !ignore.mode, format!("mode {:o}, {:o}", a.mode, b.mode)),
        (a.uid != b.uid && !ignore.owner, format!("uid {}, {}", a.uid, b.uid)),
        (a.gid != b.gid && !ignore.owner, format!("gid {}, {}", a.gid, b.gid)),
        (a.size != b.size, format!("size {}, {}", a.size, b.size)),
        (a.hash != b.hash && a.size == b.size, "content".to_owned()),
        (a.mtime != b.mtime && !no_time, format!("mtime {}, {}", a.mtime, b.mtime)),
        (a.target != b.target, format!("target {:?}, {:?}", text(&a.target), text(&b.target))),
        (a.rdev != b.rdev, format!("device {:#x}, {:#x}", a.rdev, b.rdev)),
        (a.group != b.group && !ignore.hard_links, format!("same file as {:?}, {:?}", text(&a.group), text(&b.group))),
        (a.xattrs != b.xattrs && !ignore.xattrs, format!("xattrs {}, {}", show_xattrs(a), show_xattrs(b))),
    ];
    checks.into_iter().filter(|(differ, _)| *differ).map(|(_, what)| what).collect()
}

fn show_xattrs(entry: &Entry) -> String {
    let show = |(name, value): (&Vec<u8>, &Vec<u8>)| format!("{}={}", name.escape_ascii(), value.escape_ascii());
    format!("{{{}}}", entry.xattrs.iter().map(show).collect::<Vec<_>>().join(", "))
}

/// Two trees are the same, but for the roots' own names.
///
/// # Panics
///
/// If they are not; it says in what.
#[track_caller]
pub fn assert_same_tree(a: impl AsRef<Path>, b: impl AsRef<Path>) {
    assert_same_tree_but(a, b, &Ignore::default());
}

/// Two trees are the same, but for what does not count.
///
/// # Panics
///
/// If they are not; it says in what.
#[track_caller]
pub fn assert_same_tree_but(a: impl AsRef<Path>, b: impl AsRef<Path>, ignore: &Ignore) {
    let (a, b) = (a.as_ref(), b.as_ref());
    let lines = differences(&snapshot(a), &snapshot(b), ignore);
    let (a, b) = (a.display(), b.display());
    assert!(lines.is_empty(), "{a} and {b} differ:\n  {}\n", lines.join("\n  "));
}
