//! Random trees: what they consist of, and how they are made.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use crate::tree::noise;

/// What an entry is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A directory.
    Dir,
    /// So long, with data in these stretches of 4 KiB.
    File(u64, Vec<u8>),
    /// A symbolic link with this text.
    Link(Vec<u8>),
    /// Another name of an entry before it.
    Same(prop::sample::Index),
    /// A named pipe.
    Pipe,
}

/// An entry of a random tree.
#[derive(Clone, Debug)]
pub struct Item {
    /// Which of the directories before it holds it.
    pub parent: prop::sample::Index,
    /// Its name.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Its permissions.
    pub mode: u32,
    /// Its user and group.
    pub owner: (u32, u32),
    /// Its extended attributes.
    pub attributes: Vec<(u8, Vec<u8>)>,
    /// When it was read and written last.
    pub times: [(i64, u32); 2],
}

/// Names of all bytes, some as long as a name can be.
pub fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_map(|byte| if matches!(byte, 0 | b'/') { b'_' } else { byte });
    let long = vec(byte.clone(), 200..=255);
    prop_oneof![9 => vec(byte, 1..12), 1 => long].prop_map(|name| match &name[..] {
        b"." | b".." => b"dots".to_vec(),
        _ => name,
    })
}

/// Few names, so that two trees have many in common.
pub fn few_names() -> impl Strategy<Value = Vec<u8>> {
    let few = prop::sample::select(vec![&b"a"[..], b"b", b"c", b"d.txt", b"e.tar.gz"]).prop_map(<[u8]>::to_vec);
    prop_oneof![12 => few, 1 => name()]
}

fn kind(largest: u64) -> impl Strategy<Value = Kind> {
    let size = prop_oneof![3 => 0..20_000u64, 1 => 250_000..270_000u64, 1 => 0..largest];
    prop_oneof![
        4 => Just(Kind::Dir),
        8 => (size, vec(any::<u8>(), 0..4)).prop_map(|(size, data)| Kind::File(size, data)),
        2 => name().prop_map(Kind::Link),
        2 => any::<prop::sample::Index>().prop_map(Kind::Same),
        1 => Just(Kind::Pipe),
    ]
}

/// Times before 1970 too.
pub const ALL_TIMES: Range<i64> = -2_000_000_000..4_000_000_000;

/// Those that FUSE hands on as they are.
pub const FUSE_TIMES: Range<i64> = 0..4_000_000_000;

/// Entries with these names and times, files of fewer than `largest` bytes.
pub fn item(names: impl Strategy<Value = Vec<u8>>, largest: u64, seconds: Range<i64>) -> impl Strategy<Value = Item> {
    let time = || (seconds.clone(), 0..1_000_000_000u32);
    let owner = prop_oneof![2 => Just((0, 0)), 1 => (0..3000u32, 0..3000u32)];
    let attributes = prop_oneof![2 => Just(Vec::new()), 1 => vec((0..20u8, vec(any::<u8>(), 0..60)), 0..5)];
    let parent = any::<prop::sample::Index>();
    let all = (parent, names, kind(largest), 0..0o10000u32, owner, attributes, [time(), time()]);
    all.prop_map(|(parent, name, kind, mode, owner, attributes, times)| Item {
        parent,
        name,
        kind,
        mode,
        owner,
        attributes,
        times,
    })
}

/// Makes a tree; what would be there twice, or be a hard link of a directory, is left out.
///
/// # Panics
///
/// If it cannot be made.
pub fn make(root: &Path, items: &[Item]) {
    fs::create_dir(root).expect("made");
    let (mut dirs, mut others) = (vec![root.to_owned()], Vec::new());
    let mut taken = BTreeSet::new();
    let mut made: Vec<(PathBuf, &Item)> = Vec::new();
    for item in items {
        let path = item.parent.get(&dirs).join(OsStr::from_bytes(&item.name));
        if !taken.insert(path.clone()) {
            continue;
        }
        match &item.kind {
            Kind::Dir => {
                fs::create_dir(&path).expect("made");
                dirs.push(path.clone());
            }
            Kind::File(size, data) => {
                let file = File::create_new(&path).expect("made");
                file.set_len(*size).expect("long");
                for stretch in data {
                    let start = u64::from(*stretch) * 4096 % (size + 1);
                    let length = 4096.min(size - start);
                    file.write_all_at(&noise(length as usize), start).expect("written");
                }
            }
            Kind::Link(text) => symlink(OsStr::from_bytes(text), &path).expect("made"),
            Kind::Same(_) if others.is_empty() => continue,
            Kind::Same(first) => fs::hard_link(first.get(&others), &path).expect("linked"),
            Kind::Pipe => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("made"),
        }
        if !matches!(item.kind, Kind::Dir) {
            others.push(path.clone());
        }
        made.push((path, item));
    }
    for (path, item) in made.iter().rev() {
        let (kind, (uid, gid)) = (fs::symlink_metadata(path).expect("known").file_type(), item.owner);
        lchown(path, Some(uid), Some(gid)).expect("given");
        for (name, value) in item.attributes.iter().filter(|_| kind.is_file() || kind.is_dir()) {
            let space = if name % 2 == 0 { "user" } else { "trusted" };
            xattr::set(path, format!("{space}.{name}"), value).expect("an attribute");
        }
        if !kind.is_symlink() {
            fs::set_permissions(path, fs::Permissions::from_mode(item.mode)).expect("a mode");
        }
        let [accessed, modified] = item.times.map(|(tv_sec, nanos)| Timespec { tv_sec, tv_nsec: nanos.into() });
        let times = Timestamps { last_access: accessed, last_modification: modified };
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("times");
    }
}
