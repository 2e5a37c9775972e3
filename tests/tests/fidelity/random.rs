//! Random trees, each copied and compared entry by entry.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use fileops::{Copy, copy_as};
use fileops_tests::skip::is_root;
use fileops_tests::temp::Temp;
use fileops_tests::tree::noise;
use fileops_tests::{Mount, assert_same_tree, require_root};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use crate::run_whole;

#[derive(Clone, Debug)]
enum Kind {
    Dir,
    /// So long, with data in these stretches of 4 KiB.
    File(u64, Vec<u8>),
    Link(Vec<u8>),
    /// Another name of an entry before it.
    Same(prop::sample::Index),
    Pipe,
}

#[derive(Clone, Debug)]
struct Item {
    parent: prop::sample::Index,
    name: Vec<u8>,
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
    attributes: Vec<(u8, Vec<u8>)>,
    times: [(i64, u32); 2],
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_map(|byte| if matches!(byte, 0 | b'/') { b'_' } else { byte });
    let long = vec(byte.clone(), 200..=255);
    prop_oneof![9 => vec(byte, 1..12), 1 => long].prop_map(|name| match &name[..] {
        b"." | b".." => b"dots".to_vec(),
        _ => name,
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let size = prop_oneof![3 => 0..20_000u64, 1 => 250_000..270_000u64, 1 => 0..3_000_000u64];
    prop_oneof![
        4 => Just(Kind::Dir),
        8 => (size, vec(any::<u8>(), 0..4)).prop_map(|(size, data)| Kind::File(size, data)),
        2 => name().prop_map(Kind::Link),
        2 => any::<prop::sample::Index>().prop_map(Kind::Same),
        1 => Just(Kind::Pipe),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let time = || (-2_000_000_000..4_000_000_000i64, 0..1_000_000_000u32);
    let owner = prop_oneof![2 => Just((0, 0)), 1 => (0..3000u32, 0..3000u32)];
    let attributes = prop_oneof![2 => Just(Vec::new()), 1 => vec((0..20u8, vec(any::<u8>(), 0..60)), 0..5)];
    let parent = any::<prop::sample::Index>();
    let all = (parent, name(), kind(), 0..0o10000u32, owner, attributes, [time(), time()]);
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
fn make(root: &Path, items: &[Item]) {
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
            Kind::Same(first) if others.is_empty() => {
                let _ = first;
                continue;
            }
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

/// Copies random trees, always the same ones.
fn check(to: &Path, cases: u32, with: impl Fn(Copy) -> Copy) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let done = runner.run(&vec(item(), 0..60), |items| {
        let from = Temp::new("random").expect("a directory");
        let (source, target) = (from.path().join("src"), to.join("dst"));
        make(&source, &items);
        run_whole(with(copy_as(&source, &target)));
        assert_same_tree(&source, &target);
        fs::remove_dir_all(&target).expect("removed");
        Ok(())
    });
    done.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn random_trees_are_the_same_on_a_disk() {
    require_root!();
    let target = Temp::new("target").expect("a directory");
    check(target.path(), 20, |copy| copy);
    assert!(is_root());
}

#[test]
fn random_trees_are_the_same_in_memory_and_with_many_workers() {
    require_root!();
    let memory = Mount::tmpfs("size=128m").expect("tmpfs");
    check(memory.path(), 20, |copy| copy.jobs(8));
}
