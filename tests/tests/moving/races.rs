//! Directories swapped for symbolic links before any request, at the source and at the target: nothing outside is read,
//! written or removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fileops::OnConflict;
use fileops_tests::skip::is_root;
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, Op, Tree, alone, require_fuse, snapshot};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{elsewhere, finish, stages, uncached, what_is};

fn swap(a: &Path, b: &Path) {
    let _ = renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE);
}

/// No file in the tree has what is outside.
#[track_caller]
fn assert_unmarked(root: &Path, at: &str) {
    for path in what_is(root).keys() {
        let path = root.join(String::from_utf8_lossy(path).as_ref());
        let is_file = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
        assert!(!is_file || fs::read(&path).expect("read") != b"MARK", "{at}: {} came from outside", path.display());
    }
}

/// At the `n`-th request a directory of the source, or of the target, is swapped for a link to a place outside.
fn swapped_at_every_request(
    is_source: bool,
    swapped: impl Fn(&Path) -> Option<PathBuf> + Send + Sync + Copy + 'static,
) {
    let (fs, disk, memory) = (uncached(), Tree::new(""), is_root().then(elsewhere));
    let plain = memory.as_ref().map_or(disk.root(), |memory| memory.path());
    let outside = Tree::new("one=MARK three=MARK deep/four=MARK");
    let before = snapshot(outside.root());
    for n in 1.. {
        assert!(n < 600, "still a request");
        let name = n.to_string();
        let on_fault = |part: &str| (fs.path().join(&name).join(part), fs.backing().join(&name).join(part));
        let on_plain = |part: &str| (plain.join(&name).join(part), plain.join(&name).join(part));
        let (from, from_backing) = if is_source { on_fault("from") } else { on_plain("from") };
        let (to, to_backing) = if is_source { on_plain("to") } else { on_fault("to") };
        for (dir, entries) in [
            (&from_backing, "top/one=1 top/dir/three=3 top/dir/deep/four#9000 top/old/one=1 top/z=26"),
            (&to_backing, "top/old/three=old top/old/one=old"),
        ] {
            fs::create_dir_all(dir).expect("made");
            make(dir, entries);
        }
        let link = fs.backing().join(&name).join("link");
        symlink(outside.root(), &link).expect("made");
        let root = if is_source { from_backing.clone() } else { to_backing.clone() };
        let act = Action::call(move || {
            if let Some(dir) = swapped(&root) {
                swap(&dir, &link);
            }
        });
        let fault = fs.add(Fault::new(Op::Any, act).nth(n));
        let relocation = fileops::move_to([from.join("top")], &to).on_conflict(OnConflict::Replace).jobs(1);
        let report = finish(relocation.start());
        let at = format!("swapped at {n}: {report:?}");
        assert_eq!(snapshot(outside.root()), before, "{at}");
        assert_unmarked(&to_backing, &at);
        if fs.hits(fault) == 0 {
            assert!(report.is_complete() && n > 30, "{n} requests, {report:?}");
            println!("seen: {n} swaps");
            return;
        }
        fs.remove(fault);
    }
}

#[test]
fn a_new_directory_of_the_source_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    swapped_at_every_request(true, |root| Some(root.join("top/dir")));
}

#[test]
fn a_merged_directory_of_the_source_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    swapped_at_every_request(true, |root| Some(root.join("top/old")));
}

#[test]
fn the_source_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    swapped_at_every_request(true, |root| Some(root.join("top")));
}

#[test]
fn a_merged_directory_of_the_target_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    swapped_at_every_request(false, |root| Some(root.join("top/old")));
}

#[test]
fn the_target_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    swapped_at_every_request(false, |root| Some(root.join("top")));
}

#[test]
fn a_stage_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    swapped_at_every_request(false, |root| stages(root).pop());
}
