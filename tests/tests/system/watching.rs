//! `fileops::watch` on local file systems: everything is told, in order, by its right name.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fileops::watch::{Event, Events, Watch, Why, watch};
use fileops_tests::Tree;

use crate::{LONG, wait, wait_for};

/// Longer than two calls in a row take on a busy machine.
const WIDE: Duration = Duration::from_secs(3);

/// A watch, and what a reader makes of it.
pub(crate) struct Reader {
    events: Events,
    root: PathBuf,
    /// The names that are there, as the events say; below the root.
    names: BTreeSet<PathBuf>,
    log: Vec<Event>,
    marks: u32,
}

impl Reader {
    #[track_caller]
    pub(crate) fn begin(watch: Watch) -> Reader {
        let events = wait("the watch begins", watch.into_future()).unwrap();
        let root = events.path().to_owned();
        let names = listed(&root);
        Reader { events, root, names, log: Vec::new(), marks: 0 }
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        let event = wait_for(LONG, self.events.next());
        let event = event.unwrap_or_else(|| {
            panic!("nothing more is told; last {:?}", shown(&self.root, &self.log[self.log.len().saturating_sub(20)..]))
        });
        let event = event.expect("the stream goes on");
        self.apply(&event);
        self.log.push(event.clone());
        event
    }

    /// Takes what is told until nothing is told for a time.
    pub(crate) fn within(&mut self, time: Duration) {
        while let Some(event) = wait_for(time, self.events.next()) {
            let event = event.expect("the stream goes on");
            self.apply(&event);
            self.log.push(event);
        }
    }

    /// Reads until the names are those that are there.
    #[track_caller]
    pub(crate) fn agree(&mut self) {
        let end = Instant::now() + LONG;
        loop {
            self.within(Duration::from_millis(100));
            let there = listed(&self.root);
            if self.names == there {
                return;
            }
            let (missed, wrong) = (there.difference(&self.names).count(), self.names.difference(&there).count());
            let first = there.symmetric_difference(&self.names).next();
            let about =
                |event: &&Event| first.is_some_and(|first| format!("{event:?}").contains(&*first.to_string_lossy()));
            let told: Vec<_> = self.log.iter().filter(about).cloned().collect();
            let told = shown(&self.root, &told);
            assert!(Instant::now() < end, "{missed} missed, {wrong} wrong, first {first:?}, of which was told: {told}");
        }
    }

    /// What was told by now, as "+a -b ~c d>e".
    #[track_caller]
    pub(crate) fn told(&mut self) -> String {
        let mark = self.root.join(format!("mark-{}", self.marks));
        self.marks += 1;
        fs::write(&mark, "").unwrap();
        self.told_until(|event| matches!(event, Event::Created { path, .. } if *path == mark))
    }

    /// What is told until, and without, an event.
    #[track_caller]
    pub(crate) fn told_until(&mut self, is_last: impl Fn(&Event) -> bool) -> String {
        let mut all = Vec::new();
        loop {
            let event = self.next();
            if is_last(&event) {
                return shown(&self.root, &all);
            }
            all.push(event);
        }
    }

    fn apply(&mut self, event: &Event) {
        let below = |path: &Path| path.strip_prefix(&self.root).unwrap().to_owned();
        let remove = |names: &mut BTreeSet<PathBuf>, path: &Path| names.retain(|name| !name.starts_with(path));
        match event {
            Event::Created { path, .. } => drop(self.names.insert(below(path))),
            Event::Removed { path, .. } => remove(&mut self.names, &below(path)),
            Event::Renamed { from, to, .. } => {
                let (from, to) = (below(from), below(to));
                let moved: Vec<_> = self.names.iter().filter(|name| name.starts_with(&from)).cloned().collect();
                remove(&mut self.names, &from);
                remove(&mut self.names, &to);
                if moved.is_empty() {
                    // It had left that name before it was listed.
                    self.names.extend(listed(&self.root.join(&to)).into_iter().map(|name| joined(&to, &name)));
                }
                self.names.extend(moved.iter().map(|name| joined(&to, name.strip_prefix(&from).unwrap())));
            }
            Event::Rescan { path, .. } => {
                remove(&mut self.names, &below(path));
                self.names.extend(listed(path).into_iter().map(|name| joined(&below(path), &name)));
            }
            _ => {}
        }
    }
}

fn joined(dir: &Path, name: &Path) -> PathBuf {
    if name.as_os_str().is_empty() { dir.to_owned() } else { dir.join(name) }
}

/// All names below a directory, links not followed; and the directory itself, if it is there.
fn listed(root: &Path) -> BTreeSet<PathBuf> {
    let (mut names, mut rest) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(dir) = rest.pop() {
        if fs::symlink_metadata(&dir).is_ok() {
            names.insert(dir.strip_prefix(root).unwrap().to_owned());
        }
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            names.insert(entry.path().strip_prefix(root).unwrap().to_owned());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                rest.push(entry.path());
            }
        }
    }
    names
}

/// Events as "+a -b ~c d>e"; directories end in a slash.
pub(crate) fn shown(root: &Path, events: &[Event]) -> String {
    let name = |path: &Path| match path.strip_prefix(root) {
        Ok(path) if path.as_os_str().is_empty() => ".".to_owned(),
        Ok(path) => path.display().to_string(),
        Err(_) => path.display().to_string(),
    };
    let slash = |is_dir: &bool| if *is_dir { "/" } else { "" };
    let shown = events.iter().map(|event| match event {
        Event::Created { path, is_dir } => format!("+{}{}", name(path), slash(is_dir)),
        Event::Removed { path, is_dir } => format!("-{}{}", name(path), slash(is_dir)),
        Event::Modified { path } => format!("~{}", name(path)),
        Event::Renamed { from, to, is_dir } => format!("{}>{}{}", name(from), name(to), slash(is_dir)),
        Event::Rescan { path, why } => format!("?{}:{why:?}", name(path)),
        Event::Polled { path, why } => format!("polled {}:{why:?}", name(path)),
        Event::Unwatched { path, why } => format!("unwatched {}:{why:?}", name(path)),
        other => format!("{other:?}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn each_change_of_a_directory_is_told_by_name() {
    let tree = Tree::new("a=x d/inner=x");
    let mut reader = Reader::begin(watch(tree.root()));
    fs::write(tree.path("new"), "x").unwrap();
    assert_eq!(reader.told(), "+new");
    fs::write(tree.path("a"), "y").unwrap();
    assert_eq!(reader.told(), "~a");
    fs::set_permissions(tree.path("a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(reader.told(), "~a");
    fs::rename(tree.path("a"), tree.path("b")).unwrap();
    assert_eq!(reader.told(), "a>b");
    fs::rename(tree.path("b"), tree.path("d/b")).unwrap();
    assert_eq!(reader.told(), "-b");
    fs::rename(tree.path("d/b"), tree.path("c")).unwrap();
    assert_eq!(reader.told(), "+c");
    fs::remove_file(tree.path("c")).unwrap();
    assert_eq!(reader.told(), "-c");
    fs::create_dir(tree.path("e")).unwrap();
    fs::rename(tree.path("e"), tree.path("f")).unwrap();
    assert_eq!(reader.told(), "+e/ e>f/");
    symlink("nowhere", tree.path("link")).unwrap();
    assert_eq!(reader.told(), "+link");
    fs::write(tree.path("d/inner"), "y").unwrap();
    assert_eq!(reader.told(), "", "what is below a directory is not asked for");
}

#[test]
fn attributes_are_told_as_changes() {
    let tree = Tree::new("a=x");
    if xattr::set(tree.path("a"), "user.test", b"x").is_err() {
        fileops_tests::skip!("no user attributes in the temporary directory");
    }
    let mut reader = Reader::begin(watch(tree.root()));
    xattr::set(tree.path("a"), "user.xdg.tags", b"red").unwrap();
    assert_eq!(reader.told(), "~a");
}

#[test]
fn what_happens_to_one_name_within_the_window_is_one_event_or_none() {
    let tree = Tree::new("a=x");
    let mut reader = Reader::begin(watch(tree.root()).window(WIDE));
    fs::write(tree.path("short"), "x").unwrap();
    fs::remove_file(tree.path("short")).unwrap();
    fs::write(tree.path(".a.tmp"), "y").unwrap();
    fs::rename(tree.path(".a.tmp"), tree.path("a")).unwrap();
    assert_eq!(reader.told(), "+a", "a file that is saved by a rename was created under its last name");
    fs::remove_file(tree.path("a")).unwrap();
    fs::write(tree.path("a"), "z").unwrap();
    assert_eq!(reader.told(), "-a +a");
}

#[test]
fn many_writes_to_a_file_are_few_events() {
    let tree = Tree::new("a=x");
    let mut reader = Reader::begin(watch(tree.root()).window(WIDE));
    let begun = Instant::now();
    let mut file = fs::File::options().append(true).open(tree.path("a")).unwrap();
    for _ in 0..2000 {
        file.write_all(b"x").unwrap();
    }
    let told = reader.told();
    let windows = begun.elapsed().as_secs_f64() / WIDE.as_secs_f64();
    let count = told.split_whitespace().count();
    assert!(told.starts_with("~a") && count as f64 <= windows + 2.0, "{count} events: {told}");
}

#[test]
fn none_of_ten_thousand_files_is_missed() {
    let tree = Tree::new("");
    let mut reader = Reader::begin(watch(tree.root()));
    for number in 0..10_000 {
        fs::File::create(tree.path(format!("file{number}"))).unwrap();
    }
    reader.agree();
    let created = reader.log.iter().filter(|event| matches!(event, Event::Created { .. })).count();
    assert_eq!(created, 10_000, "each is told once");
}

#[test]
fn deep_trees_that_appear_at_once_are_told_whole_and_once() {
    let tree = Tree::new("");
    let mut reader = Reader::begin(watch(tree.root()).tree());
    for number in 0..200 {
        let dir = tree.path(format!("a{number}/b/c/d"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("f"), "x").unwrap();
        fs::write(dir.join("../g"), "x").unwrap();
    }
    reader.agree();
    let created = reader.log.iter().filter(|event| matches!(event, Event::Created { .. }));
    let mut created: Vec<_> = created.map(Event::path).collect();
    let all = created.len();
    assert_eq!(all, 200 * 6);
    created.sort();
    created.dedup();
    assert_eq!(created.len(), all, "none is told twice");
    // Whatever is in them is watched too, wherever it was found.
    for number in 0..200 {
        fs::write(tree.path(format!("a{number}/b/c/d/late")), "x").unwrap();
    }
    reader.agree();
}

#[test]
fn trees_that_are_moved_in_and_out_and_about_are_followed() {
    let (tree, outside) = (Tree::new("a/b/c/file=x d/"), Tree::new("in/sub/file=x"));
    let mut reader = Reader::begin(watch(tree.root()).tree());
    fs::rename(tree.path("a/b"), tree.path("d/e")).unwrap();
    assert_eq!(reader.told(), "a/b>d/e/");
    fs::write(tree.path("d/e/c/file"), "y").unwrap();
    assert_eq!(reader.told(), "~d/e/c/file", "by its new name");
    fs::rename(outside.path("in"), tree.path("in")).unwrap();
    assert_eq!(reader.told(), "+in/ +in/sub/ +in/sub/file");
    fs::rename(tree.path("d/e"), outside.path("out")).unwrap();
    assert_eq!(reader.told(), "-d/e/");
    fs::write(outside.path("out/c/file"), "z").unwrap();
    fs::create_dir(outside.path("out/c/dir")).unwrap();
    assert_eq!(reader.told(), "", "what has left is not watched any more");
    fs::rename(outside.path("out"), tree.path("d/e")).unwrap();
    let told = reader.told();
    // A directory has no order.
    let is_all = ["+d/e/ +d/e/c/ +d/e/c/dir/ +d/e/c/file", "+d/e/ +d/e/c/ +d/e/c/file +d/e/c/dir/"].contains(&&*told);
    assert!(is_all, "{told}");
    fs::remove_dir_all(tree.path("d")).unwrap();
    fs::create_dir_all(tree.path("d/e/c")).unwrap();
    fs::write(tree.path("d/e/c/again"), "x").unwrap();
    reader.agree();
}

#[test]
fn after_a_storm_of_renames_every_name_is_right() {
    let tree = Tree::new("d0/ d1/ d2/e/");
    for number in 0..20 {
        fs::write(tree.path(format!("d{}/f{number}", number % 3)), "x").unwrap();
    }
    let mut reader = Reader::begin(watch(tree.root()).tree());
    let root = tree.root().to_owned();
    let mut seed = 1_u32;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize % below
    };
    for round in 0..3000 {
        // Files, and directories with all that is in them; some renames replace, some fail.
        let names: Vec<_> = listed(&root).into_iter().filter(|name| !name.as_os_str().is_empty()).collect();
        let from = &names[random(names.len())];
        let dirs: Vec<_> = names.iter().filter(|name| root.join(name).is_dir()).collect();
        let to = match random(4) {
            0 => names[random(names.len())].clone(),
            _ => dirs[random(dirs.len())].join(format!("n{}", random(30))),
        };
        let _ = fs::rename(root.join(from), root.join(to));
        if round % 500 == 0 {
            fs::create_dir_all(root.join(format!("new{round}/x/y"))).unwrap();
        }
    }
    reader.agree();
}

#[test]
fn a_reader_who_does_not_read_is_told_to_list_again() {
    let tree = Tree::new("");
    let mut reader = Reader::begin(watch(tree.root()).capacity(10).window(Duration::ZERO));
    for number in 0..1000 {
        fs::write(tree.path(format!("file{number}")), "x").unwrap();
    }
    // All that is remembered is that something was lost, and a few events after it.
    let rescan = Event::Rescan { path: tree.root().to_owned(), why: Why::NotRead };
    reader.told_until(|event| *event == rescan);
    reader.agree();
    fs::write(tree.path("later"), "x").unwrap();
    reader.told_until(|event| event.path().ends_with("later"));
}

#[test]
fn a_directory_that_goes_comes_back_with_what_is_in_it() {
    let tree = Tree::new("up/dir/file=x");
    let mut reader = Reader::begin(watch(tree.path("up/dir")));
    let (dir, up) = (tree.path("up/dir"), tree.path("up"));
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(reader.told_until(|event| matches!(event, Event::Removed { path, .. } if *path == dir)), "-file");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("new"), "x").unwrap();
    assert_eq!(reader.told(), "+./ +new");
    // And so when one above goes, by whatever way.
    fs::rename(&up, tree.path("away")).unwrap();
    assert_eq!(reader.told_until(|event| *event == Event::Removed { path: dir.clone(), is_dir: true }), "");
    fs::write(tree.path("away/dir/unseen"), "x").unwrap();
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("other"), "x").unwrap();
    assert_eq!(reader.told(), "+./ +other");
    fs::remove_dir_all(&up).unwrap();
    reader.told_until(|event| *event == Event::Removed { path: dir.clone(), is_dir: true });
    fs::rename(tree.path("away"), &up).unwrap();
    reader.told_until(|event| *event == Event::Created { path: dir.clone(), is_dir: true });
    reader.agree();
    fs::write(dir.join("last"), "x").unwrap();
    reader.told_until(|event| event.path().ends_with("last"));
    for _ in 0..100 {
        fs::remove_dir_all(&up).unwrap();
        fs::create_dir_all(dir.join("sub")).unwrap();
    }
    reader.agree();
    fs::write(dir.join("in the end"), "x").unwrap();
    reader.agree();
}

#[test]
fn a_watched_file_may_be_saved_by_a_rename_removed_and_made_again() {
    let tree = Tree::new("file=x other=x");
    let file = tree.path("file");
    let mut reader = Reader::begin(watch(&file));
    fs::write(&file, "y").unwrap();
    assert_eq!(reader.next(), Event::Modified { path: file.clone() });
    fs::write(tree.path("other"), "y").unwrap();
    fs::write(tree.path("new"), "y").unwrap();
    fs::rename(tree.path("new"), &file).unwrap();
    let created = Event::Created { path: file.clone(), is_dir: false };
    reader.told_until(|event| *event == created);
    fs::remove_file(&file).unwrap();
    reader.told_until(|event| *event == Event::Removed { path: file.clone(), is_dir: false });
    fs::write(&file, "z").unwrap();
    assert_eq!(reader.told_until(|event| *event == created), "");
    fs::write(&file, "z").unwrap();
    reader.told_until(|event| *event == Event::Modified { path: file.clone() });
    assert!(reader.log.iter().all(|event| event.path() == file), "nobody asked for the others");
}

#[test]
fn links_are_not_followed_but_for_the_watched_path_itself() {
    let (tree, outside) = (Tree::new("dir/"), Tree::new("target/sub/"));
    symlink(outside.path("target"), tree.path("dir/link")).unwrap();
    let mut reader = Reader::begin(watch(tree.path("dir")).tree());
    symlink(outside.path("target"), tree.path("dir/later")).unwrap();
    assert_eq!(reader.told(), "+later");
    fs::write(outside.path("target/sub/file"), "x").unwrap();
    assert_eq!(reader.told(), "", "a link leads nowhere");
    symlink(outside.path("target"), tree.path("way")).unwrap();
    let mut reader = Reader::begin(watch(tree.path("way")).tree());
    fs::write(outside.path("target/sub/other"), "x").unwrap();
    assert_eq!(reader.told(), "+sub/other");
    // A link that leads elsewhere is another directory.
    let second = Tree::new("x=y");
    symlink(second.root(), tree.path("way2")).unwrap();
    fs::rename(tree.path("way2"), tree.path("way")).unwrap();
    reader.told_until(|event| *event == Event::Rescan { path: tree.path("way"), why: Why::Replaced });
    fs::write(second.path("z"), "x").unwrap();
    assert_eq!(reader.told(), "+z");
}

#[test]
fn names_are_bytes() {
    let tree = Tree::new("");
    let dir = tree.path(OsStr::from_bytes(b"\xff\n \\040"));
    let mut reader = Reader::begin(watch(tree.root()).tree());
    fs::create_dir(&dir).unwrap();
    let file = dir.join(OsStr::from_bytes(b"\xc3"));
    fs::write(&file, "x").unwrap();
    assert_eq!(reader.next(), Event::Created { path: dir, is_dir: true });
    assert_eq!(reader.next(), Event::Created { path: file, is_dir: false });
}

#[test]
fn what_is_not_there_or_may_not_be_read_is_an_error_that_names_it() {
    let tree = Tree::new("file=x");
    let error = |path: PathBuf| wait("an answer", watch(path).into_future()).err().expect("it fails");
    let missing = error(tree.path("missing"));
    assert_eq!((missing.errno(), missing.to_string()), (Some(libc::ENOENT), shown_error(&tree.path("missing"))));
    assert_eq!(error(tree.path("file/x")).errno(), Some(libc::ENOTDIR));
}

fn shown_error(path: &Path) -> String {
    format!("watch {}", path.display())
}
