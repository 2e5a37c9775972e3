//! What a tree holds, entry by entry.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, lgetxattr, llistxattr, openat, readlinkat, statat};

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// File, directory, link, …
    pub kind: FileType,
    /// The permissions, with set-user-id and the like.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The length of a file or link.
    pub size: u64,
    /// When it was last modified, in nanoseconds since 1970.
    pub mtime: i128,
    /// The extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where a link leads.
    pub target: Option<Vec<u8>>,
    /// The number of a device.
    pub rdev: u64,
    /// The first path in the tree of a file which has more than one there.
    pub group: Option<Vec<u8>>,
    /// A hash of the content of a file.
    pub hash: Option<u64>,
}

/// All entries, by their path below the root, whose own path is empty.
pub type Snapshot = BTreeMap<Vec<u8>, Entry>;

/// Reads a whole tree, by descriptors, so that it can be deeper than a path is long. Files whose
/// content cannot be read have no hash.
///
/// # Panics
///
/// If the tree cannot be read, or changes meanwhile.
pub fn snapshot(root: impl AsRef<Path>) -> Snapshot {
    let mut tree = BTreeMap::new();
    let mut files: BTreeMap<(u64, u64), Vec<Vec<u8>>> = BTreeMap::new();
    let root = root.as_ref();
    let whole = |e| panic!("a snapshot of {}: {e}", root.display());
    let mut walk = || -> rustix::io::Result<()> {
        let top = statat(CWD, root, AtFlags::SYMLINK_NOFOLLOW)?;
        tree.insert(Vec::new(), entry(CWD, root, &top)?);
        if !FileType::from_raw_mode(top.st_mode).is_dir() {
            return Ok(());
        }
        let mut dir = open_dir(CWD, root)?;
        let mut path = Vec::new();
        let mut levels = vec![names(&dir)?];
        while let Some(left) = levels.last_mut() {
            let Some(name) = left.pop() else {
                levels.pop();
                if !levels.is_empty() {
                    dir = open_dir(&dir, "..".as_ref())?;
                    path.truncate(path.iter().rposition(|c| *c == b'/').unwrap_or(0));
                }
                continue;
            };
            let stat = statat(&dir, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
            let mut full = path.clone();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend(&name);
            let name = Path::new(std::ffi::OsStr::from_bytes(&name));
            tree.insert(full.clone(), entry(dir.as_fd(), name, &stat)?);
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                dir = open_dir(&dir, name)?;
                levels.push(names(&dir)?);
                path = full;
            } else if stat.st_nlink > 1 {
                files.entry((stat.st_dev, stat.st_ino)).or_default().push(full);
            }
        }
        Ok(())
    };
    walk().unwrap_or_else(whole);
    for group in files.values().filter(|group| group.len() > 1) {
        let first = group.iter().min();
        for entry in group {
            tree.entry(entry.clone()).and_modify(|entry| entry.group = first.cloned());
        }
    }
    tree
}

fn open_dir(at: impl AsFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn entry(dir: BorrowedFd<'_>, name: &Path, stat: &Stat) -> rustix::io::Result<Entry> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let target = match kind {
        FileType::Symlink => Some(readlinkat(dir, name, Vec::new())?.into_bytes()),
        _ => None,
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let hash = match kind {
        FileType::RegularFile => openat(dir, name, flags, Mode::empty()).ok().and_then(hash),
        _ => None,
    };
    let device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
    Ok(Entry {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: if kind.is_dir() { 0 } else { stat.st_size as u64 },
        mtime: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        xattrs: xattrs(dir, name),
        target,
        rdev: if device { stat.st_rdev } else { 0 },
        group: None,
        hash,
    })
}

fn hash(file: OwnedFd) -> Option<u64> {
    let (mut file, mut hasher) = (std::fs::File::from(file), DefaultHasher::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hasher.finish()),
            n => hasher.write(&buffer[..n]),
        }
    }
}

/// The extended attributes, none where the file system has none. Those in which xfs shows root an access control list for
/// the second time are left out.
fn xattrs(dir: BorrowedFd<'_>, name: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let path = match dir.as_raw_fd() {
        fd if fd >= 0 => Path::new(&format!("/proc/self/fd/{fd}")).join(name),
        _ => name.to_owned(),
    };
    let mut list = vec![0; 1 << 16];
    let length = llistxattr(&path, &mut list[..]).unwrap_or(0);
    let names = list[..length].split(|c| *c == 0);
    let names = names.filter(|name| !name.is_empty() && !name.starts_with(b"trusted.SGI_ACL_"));
    let mut value = vec![0; 1 << 16];
    names
        .filter_map(|name| {
            let length = lgetxattr(&path, name, &mut value[..]).ok()?;
            Some((name.to_vec(), value[..length].to_vec()))
        })
        .collect()
}
