//! The power fails at any moment, and of what was not waited for anything may be lost: each thing is at its place, or in the
//! trash with an info file that tells where it was.

use std::fs;
use std::path::Path;

use fileops_tests::crash;
use fileops_tests::tree::make;
use fileops_tests::{require_fuse, snapshot};

use crate::faults::{ENTRIES, NAMES, where_they_are};
use crate::{alone, complete, own_trash, put};

#[test]
fn a_crash_at_any_moment_leaves_each_thing_at_its_place_or_in_the_trash_with_an_info_file() {
    alone!();
    require_fuse!();
    let fs = crate::uncached();
    fs::create_dir(fs.backing().join("dir")).expect("made");
    make(&fs.backing().join("dir"), ENTRIES);
    let shown = NAMES.map(|name| fs.path().join("dir").join(name));
    let trash = || drop(complete(put(&shown.each_ref().map(|path| path.as_path()))));
    crash::each(&fs, trash, |dir: &Path, at| {
        where_they_are(&dir.join("dir"), &own_trash(dir), at);
        assert!(fileops::search(dir).is_ok(), "{at}: {:?}", snapshot(dir).keys());
    });
}
