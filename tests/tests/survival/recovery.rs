//! What recovery takes for its own, and what it leaves alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fileops::OnConflict;
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{Action, Fault, FaultFs, Mount, Op, Tree, require_fuse, require_root, test_name, user_part};

use crate::{PATIENCE, alone, finish, journals, part, stages, state, wait_for_child, wait_until};

/// A copy that is killed while it writes into INTO, by itself: on a full disk of no matter what kind.
macro_rules! killed_part {
    () => {
        user_part!("killed", {
            let into = PathBuf::from(variable("INTO"));
            let operation = fileops::copy([variable("FROM")], &into).on_conflict(OnConflict::Replace).jobs(1).start();
            wait_until("a stage", || !stages(&into).is_empty() && operation.progress().bytes_done > 1_000_000);
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).expect("killed");
        });
    };
}

/// A stage of a tree, and its journal, as a kill leaves them.
fn interrupted(test: &str, into: &Path) -> PathBuf {
    let source = Tree::new("");
    // Without data, and so of no cost; without holes that can be told.
    let hidden = FaultFs::over(source.root());
    make(source.root(), "top/a=x");
    let huge = fs::File::create(source.path("top/huge")).expect("made");
    huge.set_len(1 << 30).expect("sparse");
    let from = hidden.path().join("top");
    let set = [("FROM", from.as_os_str()), ("INTO", into.as_os_str())];
    let child = part(test, "killed", &set).spawn().expect("runs");
    let status = wait_for_child(child, PATIENCE).expect("it ends");
    assert!(std::os::unix::process::ExitStatusExt::signal(&status).is_some(), "{status}");
    let left = stages(into);
    assert_eq!((left.len(), journals().len()), (1, 1));
    left[0].clone()
}

#[test]
fn what_a_kill_left_is_listed_and_removed_with_its_journal() {
    killed_part!();
    alone!();
    require_fuse!();
    let into = Tree::new("other=stays");
    let stage = interrupted(test_name!(), into.root());
    let found = fileops::leftovers().expect("read");
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].path, found[0].wanted.as_deref()), (&stage, Some(into.path("top").as_path())));
    assert!(found[0].is_ours && found[0].verb.as_deref() == Some("copy"));
    let hour = 3600;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after").as_secs();
    assert!(found[0].started.is_some_and(|started| started <= now && started + hour > now));
    found[0].remove().expect("removed");
    into.assert("other=stays");
    drop(found);
    assert!(fileops::leftovers().expect("read").is_empty());
    assert!(journals().is_empty());
}

#[test]
fn what_somebody_else_put_at_a_stage_s_name_is_not_removed() {
    killed_part!();
    alone!();
    require_fuse!();
    let into = Tree::new("");
    let stage = interrupted(test_name!(), into.root());
    let before = fileops::leftovers().expect("read");
    fs::rename(&stage, into.path("away")).expect("moved");
    fs::write(&stage, "precious").expect("written");
    // Exchanged after it was found.
    assert!(before[0].is_ours);
    before[0].remove().expect_err("it is another file");
    drop(before);
    // And before.
    let found = fileops::leftovers().expect("read");
    assert_eq!((found.len(), found[0].is_ours), (1, false));
    let refused = found[0].remove().expect_err("it is not ours");
    assert_eq!(refused[0].errno(), Some(libc::EPERM));
    assert_eq!(fs::read_to_string(&stage).expect("it is there"), "precious");
    assert!(into.path("away/huge").exists());
}

#[test]
fn a_directory_that_took_the_place_of_a_stage_is_not_emptied() {
    killed_part!();
    alone!();
    require_fuse!();
    let into = Tree::new("");
    let stage = interrupted(test_name!(), into.root());
    fs::rename(&stage, into.path("away")).expect("moved");
    make(&stage, "precious=x");
    for found in fileops::leftovers().expect("read") {
        assert!(!found.is_ours);
        found.remove().expect_err("it is not ours");
    }
    fs::remove_dir_all(into.path("away")).expect("removed");
    let outside = Tree::new("precious=x");
    fs::remove_dir_all(&stage).expect("removed");
    symlink(outside.root(), &stage).expect("made");
    for found in fileops::leftovers().expect("read") {
        assert!(!found.is_ours);
        found.remove().expect_err("it is not ours");
    }
    outside.assert("precious=x");
}

#[test]
fn a_stage_that_is_gone_takes_its_journal_along() {
    killed_part!();
    alone!();
    require_fuse!();
    let into = Tree::new("");
    let stage = interrupted(test_name!(), into.root());
    fs::remove_dir_all(stage).expect("removed");
    assert!(fileops::leftovers().expect("read").is_empty());
    assert!(journals().is_empty());
}

#[test]
fn a_journal_waits_for_a_medium_that_is_away() {
    killed_part!();
    alone!();
    require_fuse!();
    require_root!();
    let medium = Mount::ext4(16).expect("mounted");
    let into = medium.path().to_owned();
    let stage = interrupted(test_name!(), &into);
    let name = stage.file_name().expect("it has one").to_owned();
    // Another medium in its place, with somebody's file under the very name.
    let other = Mount::tmpfs("size=1m").expect("mounted");
    fs::write(other.path().join(&name), "").expect("written");
    rustix::mount::mount_bind(other.path(), &into).expect("mounted");
    let found = fileops::leftovers().expect("read");
    let covered = rustix::mount::unmount(&into, rustix::mount::UnmountFlags::empty());
    covered.expect("unmounted");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(journals().len(), 1);
    let found = fileops::leftovers().expect("read");
    assert_eq!((found.len(), found[0].is_ours), (1, true));
    found[0].remove().expect("removed");
    assert!(other.path().join(&name).exists());
}

#[test]
fn a_running_operation_s_stage_is_not_listed() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/file#70000"), FaultFs::new());
    target.add(Fault::new(Op::Write, Action::Hang));
    let operation = fileops::copy([source.path("top")], target.path()).start();
    assert!(target.wait_hanging(1, PATIENCE));
    assert_eq!((stages(target.backing()).len(), journals().len()), (1, 1));
    assert!(fileops::leftovers().expect("read").is_empty());
    // Not by a search either, for what no journal knows.
    let found = fileops::search(target.path()).expect("searched");
    assert!(found.is_empty(), "{found:?}");
    target.clear();
    target.release();
    assert!(finish(operation).is_complete());
    assert!(target.backing().join("top/file").exists());
    assert!(journals().is_empty());
}

#[test]
fn a_torn_or_damaged_journal_never_leads_to_what_is_not_ours() {
    killed_part!();
    alone!();
    require_fuse!();
    let into = Tree::new("");
    let stage = interrupted(test_name!(), into.root());
    let journal = journals().remove(0);
    let whole = fs::read(&journal).expect("read");
    let mut listed = 0;
    for length in (0..=whole.len()).rev() {
        fs::write(&journal, &whole[..length]).expect("written");
        let found = fileops::leftovers().expect("read");
        assert!(found.iter().all(|leftover| leftover.path == stage), "cut at {length}: {found:?}");
        listed += found.len();
    }
    assert!(listed > 0);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&journal, &damaged).expect("written");
        let found = fileops::leftovers().expect("read");
        assert!(found.iter().all(|leftover| leftover.path == stage), "damaged at {at}: {found:?}");
    }
    let mut tail = whole.clone();
    tail.extend(b"gone\t1\t00000000\nstage\t2\t%ZZ\n\xff\0\n");
    fs::write(&journal, &tail).expect("written");
    let found = fileops::leftovers().expect("read");
    assert_eq!((found.len(), found[0].is_ours), (1, true), "a damaged tail costs only itself");
}

#[test]
fn what_is_no_journal_of_ours_is_left_alone() {
    killed_part!();
    alone!();
    require_fuse!();
    let into = Tree::new("");
    let stage = interrupted(test_name!(), into.root());
    let whole = fs::read(journals().remove(0)).expect("read");
    let newer = line_of(&whole, |fields| fields[1] = "2".to_owned());
    let other = line_of(&whole, |fields| fields[0] = "other-journal".to_owned());
    let foreign = [("newer.journal", newer), ("other.journal", other), ("empty.journal", Vec::new())];
    let noise = ("noise.journal", fileops_tests::tree::noise(5000));
    for (name, bytes) in foreign.iter().chain([&noise]) {
        fs::write(state().join(name), bytes).expect("written");
    }
    fs::write(state().join("notes.txt"), &whole).expect("written");
    fs::create_dir(state().join("directory")).expect("made");
    let found = fileops::leftovers().expect("read");
    assert_eq!(found.iter().map(|leftover| &leftover.path).collect::<Vec<_>>(), [&stage]);
    found[0].remove().expect("removed");
    drop(found);
    assert!(fileops::leftovers().expect("read").is_empty());
    for (name, bytes) in foreign.iter().chain([&noise]) {
        assert!(fs::read(state().join(name)).expect("it is there") == *bytes, "{name}");
    }
    assert!(state().join("notes.txt").exists());
}

/// A journal with another first line.
fn line_of(journal: &[u8], change: impl Fn(&mut Vec<String>)) -> Vec<u8> {
    let end = journal.iter().position(|&byte| byte == b'\n').expect("a first line");
    let first = String::from_utf8(journal[..end].to_vec()).expect("text");
    let mut fields: Vec<String> = first.split('\t').map(str::to_owned).collect();
    let sum = fields.pop().expect("a sum");
    let text = |fields: &[String]| fields.iter().map(|field| format!("{field}\t")).collect::<String>();
    assert_eq!(sum, format!("{:08x}", crc(text(&fields).as_bytes())), "the sum is what it was thought to be");
    change(&mut fields);
    let text = text(&fields);
    [format!("{text}{:08x}", crc(text.as_bytes())).as_bytes(), &journal[end..]].concat()
}

/// CRC-32 as in Ethernet.
fn crc(bytes: &[u8]) -> u32 {
    let shift = |sum: u32, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), shift))
}

#[test]
fn search_finds_stages_that_no_journal_knows() {
    alone!();
    let tree = Tree::new(
        "a/b/.fileops-abcdefg2-1.part/inside=x a/.fileops-zzzzzzz7-12.part#70000 .fileops-abcdefg2.part=not a/file.part=not",
    );
    let found = fileops::search(tree.root()).expect("searched");
    let paths: Vec<_> = found.iter().map(|leftover| leftover.path.clone()).collect();
    assert_eq!(paths, [tree.path("a/.fileops-zzzzzzz7-12.part"), tree.path("a/b/.fileops-abcdefg2-1.part")]);
    assert!(found.iter().all(|leftover| leftover.is_ours && leftover.wanted.is_none()));
    found.iter().for_each(|leftover| leftover.remove().expect("removed"));
    tree.assert("a/b/ .fileops-abcdefg2.part=not a/file.part=not");
}

#[test]
fn search_does_not_leave_its_tree_and_follows_no_link() {
    alone!();
    let outside = Tree::new(".fileops-abcdefg2-1.part/precious=x");
    let tree = Tree::new("dir/");
    symlink(outside.root(), tree.path("dir/link")).expect("made");
    symlink(outside.path(".fileops-abcdefg2-1.part"), tree.path(".fileops-abcdefg2-2.part")).expect("made");
    for leftover in fileops::search(tree.root()).expect("searched") {
        let _ = leftover.remove();
    }
    outside.assert(".fileops-abcdefg2-1.part/precious=x");
}

#[test]
fn what_a_kill_left_below_a_relative_destination_on_a_mount_is_found_and_removed() {
    user_part!("killed", {
        std::env::set_current_dir(variable("INTO")).expect("it is there");
        let operation = fileops::copy([variable("FROM")], "sub").jobs(1).start();
        wait_until("a stage", || !stages(Path::new("sub")).is_empty() && operation.progress().bytes_done > 1_000_000);
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).expect("killed");
    });
    alone!();
    require_fuse!();
    let target = FaultFs::new();
    make(target.backing(), "sub/other=stays");
    let stage = interrupted(test_name!(), target.path());
    let found = fileops::leftovers().expect("read");
    assert_eq!(found.len(), 1, "{:?}", fs::read_to_string(journals().remove(0)));
    assert_eq!((&found[0].path, found[0].is_ours), (&stage, true));
    assert_eq!(found[0].wanted, Some(target.path().join("sub/top")));
    found[0].remove().expect("removed");
    drop(found);
    assert!(fileops::leftovers().expect("read").is_empty());
    assert_eq!((stages(target.backing()), journals()), (vec![], vec![]));
}
