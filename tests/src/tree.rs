//! Trees in a line of text.
//!
//! The entries are separated by white space, and parents need no entry of their own:
//!
//! | entry | is |
//! | --- | --- |
//! | `dir/` | a directory |
//! | `dir/file=hello` | a file with the content `hello` |
//! | `file#5000` | a file with 5000 bytes of noise, always the same |
//! | `link->file` | a symbolic link |
//! | `second=>file` | a hard link to an entry before it |
//! | `pipe\|` | a named pipe |
//! | `dir!700/`, `file!4755=x` | with this mode (in a comparison too; without it, any) |
//!
//! In names and contents, `\s` is a space, `\n` a line feed, `\t` a tab, `\xNN` a byte, and a
//! backslash takes the meaning from any other character.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::dsl::{Item, Kind, parse};
use crate::snapshot::snapshot;
use crate::temp::Temp;

/// A temporary directory with entries in it.
#[derive(Debug)]
pub struct Tree(Temp);

impl Tree {
    /// Makes the entries in a new directory.
    ///
    /// # Panics
    ///
    /// If the text is wrong or they cannot be made.
    #[track_caller]
    pub fn new(entries: &str) -> Self {
        let temp = Temp::new("tree").expect("a temporary directory");
        make(temp.path(), entries);
        Self(temp)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// A path in the directory; `""` is the directory.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        let relative = relative.as_ref();
        if relative.as_os_str().is_empty() { self.root().into() } else { self.root().join(relative) }
    }

    /// The directory has these entries and no others.
    ///
    /// # Panics
    ///
    /// If not; it prints both.
    #[track_caller]
    pub fn assert(&self, entries: &str) {
        assert_tree(self.root(), entries);
    }
}

/// So many bytes which do not repeat and do not change from run to run.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ bytes as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        noise.extend(next());
    }
    noise.truncate(bytes);
    noise
}

/// Makes entries in a directory which exists.
///
/// # Panics
///
/// If the text is wrong or they cannot be made.
#[track_caller]
pub fn make(root: &Path, entries: &str) {
    let mut modes = Vec::new();
    for (name, item) in parse(entries) {
        let path = root.join(OsStr::from_bytes(&name));
        let made = make_one(root, &path, &item.kind);
        made.unwrap_or_else(|e| panic!("making {}: {e}", path.display()));
        modes.extend(item.mode.map(|mode| (path, mode)));
    }
    // Last and from below, as they may close directories.
    for (path, mode) in modes.into_iter().rev() {
        let set = fs::set_permissions(&path, Permissions::from_mode(mode));
        set.unwrap_or_else(|e| panic!("the mode of {}: {e}", path.display()));
    }
}

fn make_one(root: &Path, path: &Path, kind: &Kind) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match kind {
        Kind::Dir => fs::create_dir_all(path),
        Kind::File(content) => fs::write(path, content),
        Kind::Link(target) => symlink(OsStr::from_bytes(target), path),
        Kind::Same(first) => fs::hard_link(root.join(OsStr::from_bytes(first)), path),
        Kind::Pipe => {
            let mode = Mode::from_raw_mode(0o644);
            Ok(mknodat(CWD, path, FileType::Fifo, mode, 0)?)
        }
        Kind::Other => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// A directory has these entries and no others.
///
/// # Panics
///
/// If not; it prints both.
#[track_caller]
pub fn assert_tree(root: &Path, entries: &str) {
    let mut expected: BTreeMap<_, _> = parse(entries).into_iter().collect();
    for name in expected.keys().cloned().collect::<Vec<_>>() {
        for (at, _) in name.iter().enumerate().filter(|(_, c)| **c == b'/') {
            let parent = Item { kind: Kind::Dir, mode: None };
            expected.entry(name[..at].to_vec()).or_insert(parent);
        }
    }
    let modes = |name: &[u8]| expected.get(name).is_some_and(|item| item.mode.is_some());
    let actual = read(root, modes);
    let (expected, actual) = (lines(&normal(expected)), lines(&actual));
    if expected != actual {
        let root = root.display();
        panic!("{root} differs (- expected, + there):\n{}", diff(&expected, &actual));
    }
}

/// Of the names of a file, the first has its content here and the others refer to that name.
fn normal(mut items: BTreeMap<Vec<u8>, Item>) -> BTreeMap<Vec<u8>, Item> {
    let mut groups: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for (name, mut item) in &items {
        let mut file = name;
        while let Kind::Same(other) = &item.kind {
            file = other;
            item = items.get(other).unwrap_or_else(|| panic!("no {}", other.escape_ascii()));
        }
        groups.entry(file.clone()).or_default().push(name.clone());
    }
    for (file, names) in groups {
        let kind = items[&file].kind.clone();
        let (first, others) = names.split_first().expect("the file itself is one");
        items.entry(first.clone()).and_modify(|item| item.kind = kind);
        for name in others {
            items.entry(name.clone()).and_modify(|item| item.kind = Kind::Same(first.clone()));
        }
    }
    items
}

fn read(root: &Path, modes: impl Fn(&[u8]) -> bool) -> BTreeMap<Vec<u8>, Item> {
    let kind = |name: &Vec<u8>, entry: &crate::snapshot::Entry| match entry.kind {
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Link(entry.target.clone().unwrap_or_default()),
        FileType::Fifo => Kind::Pipe,
        FileType::RegularFile => match &entry.group {
            Some(first) if first != name => Kind::Same(first.clone()),
            _ => Kind::File(content(&root.join(OsStr::from_bytes(name)))),
        },
        _ => Kind::Other,
    };
    let all = snapshot(root);
    let below = all.iter().filter(|(name, _)| !name.is_empty());
    let item = |(name, entry): (&Vec<u8>, &crate::snapshot::Entry)| {
        let mode = modes(name).then_some(entry.mode);
        (name.clone(), Item { kind: kind(name, entry), mode })
    };
    below.map(item).collect()
}

fn content(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    let read = fs::File::open(path).and_then(|mut file| file.read_to_end(&mut content));
    read.unwrap_or_else(|e| panic!("reading {}: {e}", path.display()));
    content
}

fn lines(items: &BTreeMap<Vec<u8>, Item>) -> Vec<String> {
    let line = |(name, item): (&Vec<u8>, &Item)| {
        let mode = item.mode.map_or(String::new(), |mode| format!("!{mode:o}"));
        let kind = match &item.kind {
            Kind::Dir => "/".to_owned(),
            Kind::File(content) => format!("={}", shown(content)),
            Kind::Link(target) => format!("->{}", target.escape_ascii()),
            Kind::Same(first) => format!("=>{}", first.escape_ascii()),
            Kind::Pipe => "|".to_owned(),
            Kind::Other => " (a socket or device)".to_owned(),
        };
        format!("{}{mode}{kind}", name.escape_ascii())
    };
    items.iter().map(line).collect()
}

fn shown(content: &[u8]) -> String {
    if content.len() <= 100 {
        return content.escape_ascii().to_string();
    }
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    format!("({} bytes, {:016x})", content.len(), hasher.finish())
}

fn diff(expected: &[String], actual: &[String]) -> String {
    let mut all: Vec<_> = expected.iter().chain(actual).collect();
    all.sort();
    all.dedup();
    let mark = |line: &&String| match (expected.contains(line), actual.contains(line)) {
        (true, true) => ' ',
        (true, false) => '-',
        _ => '+',
    };
    all.iter().map(|line| format!("{} {line}\n", mark(line))).collect()
}

/// The number of the file, to see whether it is still the same one.
///
/// # Panics
///
/// If there is none.
pub fn inode(path: impl AsRef<Path>) -> u64 {
    let path = path.as_ref();
    let found = fs::symlink_metadata(path).map(|meta| meta.ino());
    found.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
