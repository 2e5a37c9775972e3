//! A tree with one of everything that a file system of Linux holds, and what is known of its entries without touching them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev, mknodat, utimensat};

use crate::skip::is_root;
use crate::tree::noise;

/// The tree which [`Rich::make`] made.
#[derive(Debug)]
pub struct Rich {
    root: PathBuf,
    names: Vec<PathBuf>,
    /// Set last, as they may close directories.
    modes: Vec<(PathBuf, u32)>,
    /// What may only be done by root is done.
    is_whole: bool,
}

/// What one entry says of itself when it is neither opened nor listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Below the root.
    pub name: PathBuf,
    /// Nanoseconds since 1970.
    pub accessed: i128,
    /// Nanoseconds since 1970.
    pub modified: i128,
    /// The bytes allocated for a regular file, 0 for others.
    pub allocated: u64,
    /// The length of a regular file, 0 for others.
    pub size: u64,
    /// Which file it is.
    pub inode: u64,
}

/// Who an entry of an access control list is for.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// The owner.
    Owner,
    /// A user by number.
    User(u32),
    /// The group of the file.
    OwningGroup,
    /// A group by number.
    Group(u32),
    /// The most that users and groups can have.
    Mask,
    /// Everybody else.
    Other,
}

/// The name of the attribute which holds a file's access control list.
pub const ACCESS_ACL: &str = "system.posix_acl_access";

/// The name of the attribute which holds what new entries of a directory get.
pub const DEFAULT_ACL: &str = "system.posix_acl_default";

/// An access control list as the kernel takes it. Source: linux/posix_acl_xattr.h.
pub fn acl(entries: &[(Who, u16)]) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (who, rights) in entries {
        let (tag, id): (u16, u32) = match *who {
            Who::Owner => (0x01, u32::MAX),
            Who::User(id) => (0x02, id),
            Who::OwningGroup => (0x04, u32::MAX),
            Who::Group(id) => (0x08, id),
            Who::Mask => (0x10, u32::MAX),
            Who::Other => (0x20, u32::MAX),
        };
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// A list that gives more than a mode can say.
pub fn shared_acl() -> Vec<u8> {
    let (owner, other) = ((Who::Owner, 7), (Who::Other, 0));
    acl(&[owner, (Who::User(1234), 6), (Who::OwningGroup, 5), (Who::Group(4321), 1), (Who::Mask, 7), other])
}

/// CAP_NET_RAW, permitted and effective. Source: capabilities(7), linux/capability.h.
pub const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const BLOCK: u64 = 4096;

impl Rich {
    /// Makes the tree in a directory which does not exist yet; root makes owners, devices and more.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub fn make(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        fs::create_dir(&root).expect("a new directory");
        let names = vec![PathBuf::new()];
        let mut rich = Self { root, names, modes: Vec::new(), is_whole: is_root() };
        rich.files();
        rich.holes();
        rich.names();
        rich.links();
        rich.specials();
        rich.attributes();
        rich.modes();
        rich.times();
        rich
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All entries, below the root, whose own name is empty and the first.
    pub fn entries(&self) -> &[PathBuf] {
        &self.names
    }

    /// What the same entries below this directory say now.
    ///
    /// # Panics
    ///
    /// If one is missing.
    pub fn facts(&self, root: impl AsRef<Path>) -> Vec<Facts> {
        let facts = |name: &PathBuf| {
            let path = join(root.as_ref(), name);
            let meta = fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let time = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
            Facts {
                name: name.clone(),
                accessed: time(meta.atime(), meta.atime_nsec()),
                modified: time(meta.mtime(), meta.mtime_nsec()),
                allocated: if meta.is_file() { meta.blocks() * 512 } else { 0 },
                size: if meta.is_file() { meta.size() } else { 0 },
                inode: meta.ino(),
            }
        };
        self.names.iter().map(facts).collect()
    }

    fn add(&mut self, name: impl AsRef<OsStr>) -> PathBuf {
        let name = PathBuf::from(name.as_ref());
        let path = self.root.join(&name);
        self.names.push(name);
        path
    }

    fn dir(&mut self, name: impl AsRef<OsStr>) {
        fs::create_dir(self.add(name)).expect("a directory");
    }

    fn file(&mut self, name: impl AsRef<OsStr>, bytes: usize) {
        fs::write(self.add(name), noise(bytes)).expect("a file");
    }

    fn sparse(&mut self, name: &str, size: u64, data: &[Range<u64>]) {
        let path = self.add(name);
        let file = File::create_new(path).expect("a file");
        file.set_len(size).expect("a hole");
        for data in data {
            file.write_all_at(&noise((data.end - data.start) as usize), data.start).expect("written");
        }
    }

    fn link(&mut self, name: &str, target: impl AsRef<OsStr>) {
        symlink(target.as_ref(), self.add(name)).expect("a link");
    }

    fn same(&mut self, name: &str, first: &str) {
        let first = self.root.join(first);
        fs::hard_link(first, self.add(name)).expect("a second name");
    }

    fn special(&mut self, name: &str, kind: FileType, device: u64) {
        let path = self.add(name);
        mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device).expect("a special file");
    }

    fn mode(&mut self, name: &str, mode: u32) {
        self.modes.push((PathBuf::from(name), mode));
    }

    fn owner(&self, name: &str, uid: u32, gid: u32) {
        if self.is_whole {
            lchown(self.root.join(name), Some(uid), Some(gid)).expect("another owner");
        }
    }

    fn attribute(&self, name: &str, attribute: &str, value: &[u8]) {
        let set = xattr::set(self.root.join(name), attribute, value);
        set.unwrap_or_else(|e| panic!("{attribute} of {name}: {e}"));
    }

    /// Around the sizes where copiers change their ways, and enough data for a per cent of it to mean something.
    fn files(&mut self) {
        self.dir("files");
        for size in [0, 1, 4095, 4096, 4097, 65_536, 262_143, 262_144, 262_145, 1_048_577, 3_000_000] {
            self.file(format!("files/{size}"), size);
        }
        self.dir("empty");
        self.dir("empty/inside");
        let deep = (0..20).fold("deep".to_owned(), |path, level| {
            self.dir(&path);
            format!("{path}/{level}")
        });
        self.file(deep, 10);
        self.dir("many");
        (0..100).for_each(|n| self.file(format!("many/{n}"), n * 7));
    }

    fn holes(&mut self) {
        self.dir("holes");
        let mib = 1 << 20;
        self.sparse("holes/only", 5 * mib, &[]);
        self.sparse("holes/first", mib, std::slice::from_ref(&(mib - BLOCK..mib)));
        self.sparse("holes/last", mib, std::slice::from_ref(&(0..BLOCK)));
        self.sparse("holes/middle", 3 * mib, &[0..mib, 2 * mib..3 * mib]);
        self.sparse("holes/small", 2 * BLOCK, std::slice::from_ref(&(BLOCK..2 * BLOCK)));
        self.sparse("holes/odd", 3 * mib + 123, &[mib + 5..mib + 77, 2 * mib..2 * mib + 1]);
    }

    fn names(&mut self) {
        self.dir("names");
        let long = ["n".repeat(255).into_bytes(), "ä".repeat(127).into_bytes()];
        let odd = [
            &b"new\nline"[..],
            b"\xff\xfe not UTF-8",
            b" leading and trailing ",
            b"-rf",
            b"*",
            b"a:b?.txt",
            b"\x01\x1b[31m",
            b".hidden",
            b"...",
            b"back\\slash",
            b".fileops-but-not-ours.part",
        ];
        for name in long.iter().map(Vec::as_slice).chain(odd) {
            let name = [b"names/", name].concat();
            self.file(OsStr::from_bytes(&name), 3);
            if name.len() < 100 {
                self.dir(OsStr::from_bytes(&[&name, &b" (directory)"[..]].concat()));
                self.file(OsStr::from_bytes(&[&name, &b" (directory)/\xf0\x28"[..]].concat()), 4);
            }
        }
        let longest = format!("names/{}", "d".repeat(255));
        self.dir(&longest);
        self.file(format!("{longest}/{}", "f".repeat(255)), 5);
    }

    fn links(&mut self) {
        self.dir("links");
        self.dir("links/a");
        self.dir("links/b");
        self.file("links/one", 100_000);
        self.same("links/two", "links/one");
        self.same("links/a/three", "links/one");
        self.same("links/b/four", "links/one");
        self.file("links/a/small", 10);
        self.same("links/b/small", "links/a/small");
        self.sparse("links/a/sparse", 1 << 20, std::slice::from_ref(&(0..10)));
        self.same("links/sparse", "links/a/sparse");
        self.link("links/to-file", "one");
        self.same("links/to-file-too", "links/to-file");
        self.link("links/to-dir", "a");
        self.link("links/to-nothing", "no such file");
        self.link("links/to-itself", "to-itself");
        self.link("links/up", "..");
        self.link("links/absolute", "/no such/file");
        self.link("links/far", OsStr::from_bytes(&b"x/".repeat(500)));
        self.link("links/odd", OsStr::from_bytes(b"\xff\n"));
    }

    fn specials(&mut self) {
        self.dir("special");
        self.special("special/pipe", FileType::Fifo, 0);
        self.same("special/pipe-too", "special/pipe");
        self.special("special/socket", FileType::Socket, 0);
        self.mode("special/pipe", 0o622);
        if self.is_whole {
            self.special("special/null", FileType::CharacterDevice, makedev(1, 3));
            self.special("special/loop", FileType::BlockDevice, makedev(7, 200));
            self.mode("special/null", 0o666);
            self.owner("special/pipe", 1111, 2222);
            self.owner("special/null", 5, 6);
            self.attribute("special/loop", "trusted.loop", b"x");
            self.attribute("special/pipe", "trusted.pipe", b"y");
        }
        self.attribute("special/socket", ACCESS_ACL, &shared_acl());
    }

    fn attributes(&mut self) {
        self.dir("attributes");
        for name in ["plain", "setuid", "list", "capable", "closed", "long", "foreign"] {
            self.file(format!("attributes/{name}"), 50);
        }
        self.attribute("attributes/plain", "user.comment", b"hello");
        self.attribute("attributes/plain", "user.empty", b"");
        self.attribute("attributes/plain", "user.binary", b"\0\xff\n");
        (0..20).for_each(|n| self.attribute("attributes/long", &format!("user.{n}"), &[n; 20]));
        self.attribute("attributes/long", "user.long", &noise(1500));
        self.attribute("attributes/list", ACCESS_ACL, &shared_acl());
        self.attribute("attributes/closed", "user.kept", b"although nobody may write");
        self.mode("attributes/closed", 0o400);
        self.owner("attributes/setuid", 0, 4321);
        self.mode("attributes/setuid", 0o6755);
        self.owner("attributes/foreign", 1234, 4321);
        self.mode("attributes/foreign", 0o4711);
        for (name, mode) in [("none", 0), ("all", 0o7777), ("write", 0o222), ("setgid", 0o2710)] {
            self.file(format!("attributes/{name}"), 5);
            self.mode(&format!("attributes/{name}"), if self.is_whole { mode } else { mode | 0o400 });
        }
        let dirs = [("read-only", 0o555), ("sticky", 0o1777), ("group", 0o2775), ("private", 0o700), ("lists", 0o755)];
        for (name, mode) in dirs {
            let name = format!("attributes/{name}");
            self.dir(&name);
            self.file(format!("{name}/file"), 6);
            self.dir(format!("{name}/dir"));
            self.file(format!("{name}/dir/file"), 7);
            self.mode(&name, mode);
        }
        self.owner("attributes/group", 0, 4321);
        self.owner("attributes/group/dir", 77, 78);
        self.attribute("attributes/lists", ACCESS_ACL, &shared_acl());
        self.attribute("attributes/lists", DEFAULT_ACL, &shared_acl());
        self.attribute("attributes/read-only", "user.of-a-directory", b"1");
        self.link("attributes/link", "plain");
        self.owner("attributes/link", 1234, 4321);
        if self.is_whole {
            self.attribute("attributes/plain", "trusted.secret", b"for root");
            self.attribute("attributes/capable", "security.capability", &CAPABILITY);
            self.attribute("attributes/link", "trusted.of-a-link", b"2");
            self.attribute("attributes/private", "trusted.of-a-directory", b"3");
        }
    }

    fn modes(&self) {
        for (name, mode) in self.modes.iter().rev() {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(*mode);
            fs::set_permissions(self.root.join(name), mode).expect("a mode");
        }
    }

    /// Each entry gets its own; some before 1970 and after 2038. All have been read long ago, so that a careless reader
    /// moves the time of access even where that happens only once a day.
    fn times(&self) {
        for (n, name) in self.names.iter().enumerate().rev() {
            let n = n as i64;
            let seconds = match n % 50 {
                7 => -1_000_000_000 - n,
                8 => 2_300_000_000 + n,
                _ => 1_000_000_000 + 86_400 * n,
            };
            let nanos = |n: i64| (n * 7_919 + 123_456_789) % 1_000_000_000;
            let time = |tv_sec, n| Timespec { tv_sec, tv_nsec: nanos(n) as _ };
            let times = Timestamps { last_access: time(900_000_000 + n, n + 1), last_modification: time(seconds, n) };
            let set = utimensat(CWD, join(&self.root, name), &times, AtFlags::SYMLINK_NOFOLLOW);
            set.map_err(io::Error::from).expect("times");
        }
    }
}

/// Without the slash at the end that an empty name would leave: it follows links.
fn join(root: &Path, name: &Path) -> PathBuf {
    if name.as_os_str().is_empty() { root.to_owned() } else { root.join(name) }
}
