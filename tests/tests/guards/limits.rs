//! Trees that are too deep, too wide, or too much for what the process may have.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fileops::OnConflict;
use fileops_tests::tree::{make, noise};
use fileops_tests::{
    Ignore, Mount, Tree, as_user, assert_same_tree_but, require_command, require_root, test_name, user::variable,
    user_part,
};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::process::Resource;

use crate::children::{alone, limit, status, without_proc};
use crate::{complete, errnos, run};

/// Where trees of many entries are made: in memory, where they can be.
struct Place {
    mount: Option<Mount>,
    tree: Tree,
}

impl Place {
    fn new(entries: &str) -> Place {
        let mount = fileops_tests::skip::is_root().then(|| Mount::tmpfs("size=512m").unwrap());
        let place = Place { mount, tree: Tree::new("") };
        make(&place.path(""), entries);
        place
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.mount.as_ref().map_or(self.tree.root(), Mount::path).join(name)
    }
}

const LEVELS: usize = 10_000;

/// Every so often a name is as long as it can be, and a file lies beside.
const OFTEN: usize = 50;

/// As few descriptors as a process may be expected to have.
const FEW: u64 = 64;

fn level_name(level: usize) -> String {
    if level % OFTEN == 0 { "l".repeat(255) } else { "d".to_owned() }
}

fn make_deep(root: &Path) {
    let mut dir = openat(CWD, root, OFlags::PATH, Mode::empty()).unwrap();
    for level in 0..LEVELS {
        let name = level_name(level);
        mkdirat(&dir, &*name, Mode::from_raw_mode(0o750)).unwrap();
        dir = openat(&dir, &*name, OFlags::PATH, Mode::empty()).unwrap();
        if level % OFTEN == 0 || level + 1 == LEVELS {
            let flags = OFlags::CREATE | OFlags::WRONLY;
            let file = openat(&dir, "file", flags, Mode::from_raw_mode(0o640)).unwrap();
            rustix::io::write(&file, level.to_string().as_bytes()).unwrap();
        }
    }
}

/// What there is on each level: names, kinds, modes, times and sizes of files.
fn levels(root: &Path) -> Vec<Vec<(OsString, u32, i64, u64)>> {
    use std::os::unix::ffi::OsStringExt;
    let mut dir = openat(CWD, root, OFlags::RDONLY, Mode::empty()).unwrap();
    let mut levels = Vec::new();
    loop {
        let (mut entries, mut next) = (Vec::new(), None);
        for entry in Dir::read_from(&dir).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_owned();
            if name.to_bytes().starts_with(b".") {
                continue;
            }
            let file = openat(&dir, &*name, OFlags::RDONLY, Mode::empty()).unwrap();
            let stat = fstat(&file).unwrap();
            let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
            let size = if is_dir { 0 } else { stat.st_size as u64 };
            let modified = stat.st_mtime as i64 * 1_000_000_000 + stat.st_mtime_nsec as i64;
            entries.push((OsString::from_vec(name.into_bytes()), stat.st_mode, modified, size));
            next = is_dir.then_some(file).or(next);
        }
        entries.sort();
        levels.push(entries);
        match next {
            Some(file) => dir = file,
            None => return levels,
        }
    }
}

#[test]
fn a_tree_of_10_000_levels_is_copied_and_measured_with_64_descriptors() {
    user_part!("alone", {
        let tree = Place::new("a/ b/");
        make_deep(&tree.path("a"));
        limit(Resource::Nofile, FEW);
        let copied = complete(fileops::copy([tree.path("a")], tree.path("b")));
        let files = LEVELS.div_ceil(OFTEN) + 1;
        assert_eq!((copied.directories, copied.files), (LEVELS as u64 + 1, files as u64));
        let measured = complete(fileops::measure([tree.path("b/a")]));
        assert_eq!(measured.entries, copied.entries);
        let (source, target) = (levels(&tree.path("a")), levels(&tree.path("b/a")));
        assert_eq!(source.len(), LEVELS + 1);
        let differs = source.iter().zip(&target).position(|(a, b)| a != b);
        assert_eq!(differs, None);
        assert_eq!(target.len(), source.len());
        // A second time everything is there: merged, level by level.
        let again = run(fileops::copy([tree.path("a")], tree.path("b")).on_conflict(OnConflict::Skip));
        assert_eq!((again.failures.len(), again.skipped.len()), (0, files));
    });
    alone(test_name!(), &[]);
}

#[test]
fn a_failure_at_the_bottom_of_10_000_levels_is_named_and_the_rest_is_there() {
    user_part!("alone", {
        let tree = Place::new("a/ b/");
        make_deep(&tree.path("a"));
        limit(Resource::Nofile, FEW);
        // Only the deepest file is larger than a few bytes.
        let mut dir = openat(CWD, tree.path("a"), OFlags::PATH, Mode::empty()).unwrap();
        for level in 0..LEVELS {
            dir = openat(&dir, &*level_name(level), OFlags::PATH, Mode::empty()).unwrap();
        }
        let file = openat(&dir, "file", OFlags::WRONLY, Mode::empty()).unwrap();
        rustix::io::write(&file, &noise(100_000)).unwrap();
        limit(Resource::Fsize, 50_000);
        let report = run(fileops::copy([tree.path("a")], tree.path("b")));
        assert_eq!(errnos(&report), [libc::EFBIG]);
        let path = &report.failures[0].path;
        assert!(path.as_os_str().len() > 60_000 && path.ends_with("d/file"));
        assert_eq!(report.directories, LEVELS as u64 + 1);
        assert_eq!(levels(&tree.path("b/a")).len(), LEVELS + 1);
    });
    alone(test_name!(), &[]);
}

#[test]
fn wide_directories_are_copied_with_64_descriptors() {
    user_part!("alone", {
        let tree = Place::new("a/files/ a/dirs/ b/");
        for number in 0..20_000 {
            fs::File::create(tree.path(format!("a/files/{number}"))).unwrap();
        }
        for number in 0..5_000 {
            fs::create_dir(tree.path(format!("a/dirs/{number}"))).unwrap();
        }
        limit(Resource::Nofile, FEW);
        let copied = complete(fileops::copy([tree.path("a")], tree.path("b")));
        assert_eq!((copied.files, copied.directories), (20_000, 5_003));
        assert_eq!(complete(fileops::measure([tree.path("b/a")])).entries, 25_003);
        // Into directories that are there.
        fs::remove_file(tree.path("b/a/files/777")).unwrap();
        let again = run(fileops::copy([tree.path("a")], tree.path("b")).on_conflict(OnConflict::Skip));
        assert_eq!((again.files, again.skipped.len(), again.failures.len()), (1, 19_999, 0));
    });
    alone(test_name!(), &[]);
}

#[test]
fn no_more_workers_are_asked_for_than_there_are_descriptors() {
    user_part!("alone", {
        let tree = Place::new("a/ b/");
        for number in 0..500 {
            fs::create_dir(tree.path(format!("a/{number}"))).unwrap();
            fs::write(tree.path(format!("a/{number}/file")), "x").unwrap();
        }
        limit(Resource::Nofile, FEW);
        let report = complete(fileops::copy([tree.path("a")], tree.path("b")).jobs(1000));
        assert_eq!(report.files, 500);
    });
    alone(test_name!(), &[]);
}

#[test]
fn three_thousand_names_of_one_file_stay_one_file() {
    let tree = Tree::new("a/1/ a/2/ a/3/ b/");
    fs::write(tree.path("a/1/0"), noise(300_000)).unwrap();
    for number in 1..3_000 {
        fs::hard_link(tree.path("a/1/0"), tree.path(format!("a/{}/{number}", number % 3 + 1))).unwrap();
    }
    let report = complete(fileops::copy([tree.path("a")], tree.path("b")));
    assert_eq!((report.files, report.bytes), (3_000, 300_000));
    let first = fs::metadata(tree.path("b/a/1/0")).unwrap();
    assert_eq!((first.nlink(), first.len()), (3_000, 300_000));
    assert!(fs::read(tree.path("b/a/3/2")).unwrap() == noise(300_000));
    assert_eq!(complete(fileops::measure([tree.path("b/a")])).bytes, 300_000);
}

/// How many KiB more than before this process had in memory at one time, at the most.
fn peak_of<T>(work: impl FnOnce() -> T) -> u64 {
    // Whatever was before does not count, where the kernel can set the mark back.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let before = status("VmRSS");
    drop(work());
    status("VmHWM").saturating_sub(before)
}

#[test]
fn a_directory_of_200_000_entries_takes_little_memory() {
    user_part!("alone", {
        let place = Place::new("a/ b/");
        let a = place.path("a");
        for number in 0..200_000 {
            fs::File::create(a.join(format!("a-file-with-a-usual-name-{number}"))).unwrap();
        }
        let copied = peak_of(|| complete(fileops::copy([&a], place.path("b"))));
        let measured = peak_of(|| complete(fileops::measure([&a])));
        println!("{copied} KiB to copy, {measured} KiB to measure");
        // 200 MiB are promised for 1,000,000 entries.
        assert!(copied < 16 << 10, "{copied} KiB");
        assert!(measured < 16 << 10, "{measured} KiB");
        assert_eq!(fs::read_dir(place.path("b/a")).unwrap().count(), 200_000);
    });
    require_root!();
    alone(test_name!(), &[]);
}

#[test]
fn a_hundred_thousand_names_of_one_file_take_little_memory() {
    user_part!("alone", {
        let place = Place::new("a/ b/");
        let a = place.path("a");
        fs::write(a.join("first"), "hello").unwrap();
        for number in 1..100_000 {
            fs::hard_link(a.join("first"), a.join(format!("name-{number}"))).unwrap();
        }
        let copied = peak_of(|| complete(fileops::copy([&a], place.path("b"))));
        println!("{copied} KiB");
        assert!(copied < 16 << 10, "{copied} KiB");
        assert_eq!(fs::metadata(place.path("b/a/first")).unwrap().nlink(), 100_000);
    });
    require_root!();
    alone(test_name!(), &[]);
}

/// A user whom nobody else is, so that only the test's own threads count.
const NOBODY: u32 = 54_321;

#[test]
fn a_copy_goes_on_without_a_single_thread_to_be_had() {
    user_part!("none", {
        let tree = variable("TREE");
        let tree = Path::new(&tree);
        limit(Resource::Nproc, 0);
        assert!(std::thread::Builder::new().spawn(|| ()).is_err());
        let report = complete(fileops::copy([tree.join("a")], tree.join("b")));
        assert_eq!((report.files, report.workers), (3, 1));
        assert_eq!(complete(fileops::measure([tree.join("b/a")])).files, 3);
        assert_eq!(fileops::block_on(fileops::Pool::global().run(|| 1)), Ok(1));
    });
    user_part!("few", {
        let tree = variable("TREE");
        let tree = Path::new(&tree);
        limit(Resource::Nproc, status("Threads") + 1);
        let report = complete(fileops::copy([tree.join("a")], tree.join("c")));
        assert_eq!(report.files, 3);
        drop(fileops::copy([tree.join("a")], tree.join("d")).start());
        crate::wait_until("the copy that nobody awaits is whole", || tree.join("d/a").exists());
    });
    require_root!();
    let tree = Tree::new("a/x=1 a/y=2 a/sub/z=3 b!777/ c!777/ d!777/");
    as_user(NOBODY, NOBODY, test_name!(), "none", &[("TREE", tree.root().as_ref())]);
    as_user(NOBODY, NOBODY, test_name!(), "few", &[("TREE", tree.root().as_ref())]);
    for copy in ["b/a", "c/a", "d/a"] {
        assert_eq!(fs::read_to_string(tree.path(copy).join("sub/z")).unwrap(), "3");
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_a_failure_and_not_the_end() {
    user_part!("alone", {
        let tree = Tree::new("a/large#3000000 a/small=new dst/large=old dst/small=old");
        limit(Resource::Fsize, 1 << 20);
        let sources = [tree.path("a/large"), tree.path("a/small")];
        let report = run(fileops::copy(sources, tree.path("dst")).on_conflict(OnConflict::Replace));
        assert_eq!(errnos(&report), [libc::EFBIG]);
        let new = run(fileops::copy([tree.path("a")], tree.path("dst")));
        assert_eq!(errnos(&new), [libc::EFBIG]);
        tree.assert("a/large#3000000 a/small=new dst/large=old dst/small=new dst/a/small=new");
    });
    alone(test_name!(), &[]);
}

#[test]
fn trees_files_and_pipes_are_copied_whole_without_proc() {
    user_part!("without", {
        assert!(fs::metadata("/proc/self").is_err());
        let tree = variable("TREE");
        let tree = Path::new(&tree);
        let tops = ["a", "file", "pipe"].map(|name| tree.join(name));
        for umask in [0o022, 0o077, 0o777] {
            rustix::process::umask(Mode::from_raw_mode(umask));
            let report = complete(fileops::copy(&tops, tree.join(format!("{umask:o}"))));
            assert_eq!((report.files, report.specials, report.directories), (25, 2, 3));
            assert!(report.notes.is_empty(), "{:?}", report.notes);
            let old = tree.join(format!("over{umask:o}"));
            complete(fileops::copy(&tops, old).on_conflict(OnConflict::Replace));
        }
    });
    require_root!();
    require_command!("unshare");
    let top = "a!2751/ a/x!604=1 a/large!640#300000 a/run!4755=x a/pipe!622| a/link->x a/sub!1777/ a/sub/z!0=3 a/sub/closed!500/ \
               file!640=hello pipe!606|";
    let tree = Tree::new(top);
    // Of files that one umask changes and files that it does not, some come first and some later.
    make(tree.root(), &(0..10).map(|n| format!("a/own{n}!600=x a/all{n}!644=x ")).collect::<String>());
    fs::set_permissions(tree.path("a"), fs::Permissions::from_mode(0o2751)).unwrap();
    for umask in ["22", "77", "777"] {
        fs::create_dir(tree.path(umask)).unwrap();
        make(&tree.path(format!("over{umask}")), "a/x=old a/pipe| file=old pipe=old");
        xattr::set(tree.path("file"), "user.kept", b"value").unwrap();
    }
    let state = Tree::new("");
    without_proc(test_name!(), &[("TREE", tree.root().as_ref()), ("XDG_STATE_HOME", state.root().as_ref())]);
    for into in ["22", "77", "777", "over22", "over77", "over777"] {
        for name in ["a", "file", "pipe"] {
            let ignore = Ignore { root: into.starts_with("over"), ..Default::default() };
            let ignore = if name == "a" { ignore } else { Default::default() };
            assert_same_tree_but(tree.path(name), tree.path(into).join(name), &ignore);
        }
        assert_eq!(fs::read_dir(tree.path(into)).unwrap().count(), 3, "nothing else is there");
    }
}
