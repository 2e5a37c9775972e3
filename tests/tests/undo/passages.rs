//! What was moved to another file system and came back has another inode, once for each journey: what was done to it before
//! is undone and redone all the same, at any level.

use std::fs;
use std::path::{Path, PathBuf};

use fileops::{OnConflict, Report};
use fileops_tests::snapshot::Snapshot;
use fileops_tests::{Ignore, Mount, Tree, alone, differences, require_root, snapshot};

use crate::{finish, redone, undo, undone};

/// Two places on different file systems.
struct Places {
    here: Tree,
    _there: Mount,
    /// Not its root, where things are kept.
    place: PathBuf,
}

impl Places {
    fn new(here: &str) -> Places {
        let there = Mount::tmpfs("size=64m").expect("a tmpfs can be mounted");
        let place = there.path().join("place");
        fs::create_dir(&place).expect("made");
        Places { here: Tree::new(here), _there: there, place }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.here.path(name)
    }

    fn there(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    fn look(&self) -> [Snapshot; 2] {
        [self.here.root(), &self.place].map(snapshot)
    }

    #[track_caller]
    fn assert(&self, then: &[Snapshot; 2], what: &str) {
        for (then, now) in then.iter().zip(&self.look()) {
            let found = differences(then, now, &Ignore::default());
            assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
        }
    }

    /// Does one after the other, undoes and redoes all of them, twice; each time the trees have to be what they were.
    #[track_caller]
    fn there_and_back(&self, deeds: Vec<Report>, states: &[[Snapshot; 2]]) {
        let mut ids: Vec<String> = Vec::new();
        for report in deeds {
            assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
            ids.push(report.id.expect("something to undo"));
        }
        for round in 0..3 {
            for (n, id) in ids.iter().enumerate().rev() {
                undone(id);
                self.assert(&states[n], &format!("round {round}: {n} is undone"));
            }
            for (n, id) in ids.iter_mut().enumerate() {
                *id = redone(id);
                self.assert(&states[n + 1], &format!("round {round}: {n} is redone"));
            }
        }
    }
}

/// Runs operations and keeps what there was before, between and after them.
macro_rules! levels {
    ($places:ident: $($operation:expr),* $(,)?) => {{
        let (mut reports, mut states) = (Vec::new(), vec![$places.look()]);
        $(
            reports.push(finish($operation.start()));
            states.push($places.look());
        )*
        $places.there_and_back(reports, &states);
    }};
}

#[test]
fn a_rename_before_a_move_across_is_undone_and_redone() {
    alone!();
    require_root!();
    let places = Places::new("a=hello dir/inner=x dir/deep/file#9000");
    levels!(places:
        fileops::rename(places.at("a"), "b"),
        fileops::rename(places.at("dir/inner"), "other"),
        fileops::rename(places.at("dir"), "new"),
        fileops::move_to([places.at("b"), places.at("new")], places.place.clone()),
    );
}

#[test]
fn what_was_made_before_a_move_across_is_taken_away_and_comes_back() {
    alone!();
    require_root!();
    let places = Places::new("from/one=hello from/two/three=x dir/old=y");
    levels!(places:
        fileops::copy([places.at("from")], places.at("dir")),
        fileops::create_file(places.at("dir/made")),
        fileops::create_dir(places.at("dir/empty")),
        fileops::symlink("made", places.at("dir/link")),
        fileops::move_to([places.at("dir")], places.place.clone()),
    );
}

#[test]
fn what_was_done_on_both_sides_is_undone_and_redone() {
    alone!();
    require_root!();
    let places = Places::new("dir/one=hello dir/two/three=x");
    levels!(places:
        fileops::rename(places.at("dir/one"), "uno"),
        fileops::move_to([places.at("dir")], places.place.clone()),
        fileops::rename(places.there("dir/uno"), "eins"),
        fileops::create_file(places.there("dir/two/four")),
        fileops::duplicate(places.there("dir/eins")),
        fileops::move_to([places.there("dir")], places.here.root()),
        fileops::rename(places.at("dir"), "end"),
        fileops::move_to([places.at("end")], places.place.clone()),
    );
}

#[test]
fn hard_links_before_a_move_across_are_undone_and_redone() {
    alone!();
    require_root!();
    let places = Places::new("dir/one=hello dir/sub/");
    levels!(places:
        fileops::hard_link(places.at("dir/one"), places.at("dir/sub/two")),
        fileops::rename(places.at("dir/one"), "first"),
        fileops::move_to([places.at("dir")], places.place.clone()),
    );
}

#[test]
fn names_of_one_file_that_were_carried_one_by_one_come_back_as_one_file() {
    alone!();
    require_root!();
    let places = Places::new("one=hello two=>one dir/three=>one dir/sub/four=>one");
    levels!(places:
        fileops::move_to(["one", "dir", "two"].map(|name| places.at(name)), places.place.clone()),
    );
    let again = Places::new("a/one=hello b/two=>a/one c/three=>a/one");
    levels!(again:
        fileops::move_to(["a", "b", "c"].map(|name| again.at(name)), again.place.clone()),
        fileops::rename(again.there("b/two"), "zwei"),
        fileops::move_to(["a", "b", "c"].map(|name| again.there(name)), again.here.root()),
    );
}

#[test]
fn a_merge_across_that_replaces_is_undone_with_what_came_before_and_after() {
    alone!();
    require_root!();
    let places = Places::new("dir/one=new dir/two=new dir/sub/three=new");
    fs::create_dir_all(places.there("dir/sub")).expect("made");
    fs::write(places.there("dir/one"), "old").expect("written");
    fs::write(places.there("dir/sub/three"), "old").expect("written");
    levels!(places:
        fileops::rename(places.there("dir/one"), "uno"),
        fileops::rename(places.there("dir/uno"), "one"),
        fileops::rename(places.at("dir/two"), "zwei"),
        fileops::move_to([places.at("dir")], places.place.clone()).on_conflict(OnConflict::Replace),
        fileops::rename(places.there("dir/one"), "last"),
    );
}

/// Whatever was changed while it was away is named, and stays.
#[track_caller]
fn refused(places: &Places, made: &str, change: impl FnOnce(&Path), path: &str) {
    let made = finish(fileops::copy([places.at("from")], places.at(made)).start());
    let moved = finish(fileops::move_to([places.at("dir")], places.place.clone()).start());
    change(&places.there("dir"));
    undone(&moved.id.expect("moved"));
    let back = places.look();
    let report = undo(&made.id.expect("made"));
    assert!(!report.is_complete(), "{report:?}");
    let named: Vec<_> = report.failures.iter().map(|error| error.path.clone()).collect();
    assert!(named.contains(&places.at(path)), "{named:?}");
    places.assert(&back, "nothing was taken away");
}

#[test]
fn what_was_changed_while_it_was_away_stays_and_is_named() {
    alone!();
    require_root!();
    let places = || Places::new("from/one=hello from/two/three=x dir/old=y");
    let write = |dir: &Path| fs::write(dir.join("from/two/three"), "changed").expect("written");
    refused(&places(), "dir", write, "dir/from/two/three");
    // Neither length nor time tell of this.
    let quiet = |dir: &Path| {
        let path = dir.join("from/one");
        let times = fs::metadata(&path).and_then(|meta| meta.modified()).expect("a time");
        fs::write(&path, "HELLO").expect("written");
        fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(times)).expect("set");
    };
    refused(&places(), "dir", quiet, "dir/from/one");
    let add = |dir: &Path| fs::write(dir.join("from/two/more"), "theirs").expect("written");
    refused(&places(), "dir", add, "dir/from/two");
}

#[test]
fn what_was_changed_before_it_went_away_stays_and_is_named() {
    alone!();
    require_root!();
    let places = Places::new("from/one=hello dir/old=y");
    let made = finish(fileops::copy([places.at("from")], places.at("dir")).start());
    let path = places.at("dir/from/one");
    let times = fs::metadata(&path).and_then(|meta| meta.modified()).expect("a time");
    fs::write(&path, "HELLO").expect("written");
    fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(times)).expect("set");
    let moved = finish(fileops::move_to([places.at("dir")], places.place.clone()).start());
    undone(&moved.id.expect("moved"));
    let report = undo(&made.id.expect("made"));
    assert_eq!(report.failures.iter().map(|error| error.path.clone()).collect::<Vec<_>>(), [path]);
}
