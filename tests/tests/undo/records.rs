//! What damaged, forged, missing and unwritable records do: nothing panics, nothing outside is touched, nothing is lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fileops::{NoteKind, OnConflict};
use fileops_tests::tree::{assert_tree, inode, make};
use fileops_tests::{Mount, Tree, alone, require_root, snapshot};

use crate::{assert_same, copied, errnos, finish, has_note, history, replaced, state, undo, undone};

/// A line as journals have it: fields apart by tabs, the CRC-32 of it all last.
fn line(fields: &[&str]) -> Vec<u8> {
    let mut line: Vec<u8> = Vec::new();
    for field in fields {
        for byte in field.bytes() {
            match byte {
                b'%' | 0..=0x20 | 0x7f.. => line.extend(format!("%{byte:02X}").bytes()),
                _ => line.push(byte),
            }
        }
        line.push(b'\t');
    }
    let sum = crc32(&line);
    line.extend(format!("{sum:08x}\n").bytes());
    line
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

fn journal(verb: &str, records: &[Vec<u8>]) -> Vec<u8> {
    [line(&["fileops-journal", "1", verb, "77", "1700000000"])].iter().chain(records).flatten().copied().collect()
}

/// The fields that say which file something is, and the name of its file system as journals of this process have it.
fn identity(path: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(path).expect("there");
    let time = |seconds: i64, nanoseconds: i64| format!("{seconds}.{nanoseconds:09}");
    vec![
        format!("{:o}", meta.mode()),
        meta.ino().to_string(),
        meta.size().to_string(),
        time(meta.mtime(), meta.mtime_nsec()),
        "0.000000000".to_owned(),
        "0".to_owned(),
    ]
}

/// How a journal names the file system of the temporary directory: what it wrote last.
fn file_system() -> String {
    let tree = Tree::new("a=x");
    let id = copied(tree.path("a"), tree.path("b"));
    let of = |path: &PathBuf| path.to_string_lossy().contains(&id);
    let text = fs::read_to_string(history().into_iter().find(of).expect("it is there")).expect("read");
    let created = text.lines().find(|line| line.contains("\tcreated\t")).expect("a step");
    created.split('\t').nth(3).expect("a file system").to_owned()
}

fn put(dir: &str, id: &str, bytes: &[u8]) -> PathBuf {
    fs::create_dir_all(state(dir)).expect("made");
    let name = if dir == "history" { format!("{:020}-{id}.journal", 5) } else { format!("{id}.journal") };
    fs::write(state(dir).join(&name), bytes).expect("written");
    state(dir).join(name)
}

#[test]
fn a_history_that_is_cut_anywhere_is_read_and_nothing_is_lost() {
    alone!();
    let tree = Tree::new("from/one=new from/two=new from/dir/three=new into/from/one=old1 into/from/two=old2");
    let before = snapshot(tree.path("into"));
    let id = replaced(tree.path("from"), tree.path("into"));
    let after = snapshot(tree.path("into"));
    let path = history().pop().expect("it is there");
    let whole = fs::read(&path).expect("read");
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).expect("written");
        assert!(fileops::history().is_ok(), "cut at {length}");
        let report = undo(&id);
        let texts = crate::contents(tree.root());
        assert!(texts.contains_key(b"new".as_slice()), "cut at {length}: {report:?}");
        // What could be read was undone: once more, and it is as it was after the operation.
        for past in fileops::undone().expect("read") {
            let report = finish(fileops::redo(past.id).start());
            assert!(report.is_complete(), "cut at {length}: {report:?}");
        }
        let ignore = fileops_tests::Ignore { dir_mtime: true, ..Default::default() };
        let found = fileops_tests::differences(&after, &snapshot(tree.path("into")), &ignore);
        assert!(found.is_empty(), "cut at {length}: {found:?}\n{report:?}");
        for path in history() {
            fs::remove_file(path).expect("removed");
        }
    }
    fs::write(&path, &whole).expect("written");
    let report = undo(&id);
    let refused = report.failures.iter().all(|error| error.refusal().is_some());
    assert!(refused, "{report:?}");
    assert!(report.is_complete() || snapshot(tree.path("into")) != before);
}

#[test]
fn what_was_recorded_after_a_torn_line_is_read_again() {
    alone!();
    let tree = Tree::new("from/one=new from/two=new into/from/one=old1 into/from/two=old2");
    let before = snapshot(tree.path("into"));
    let id = replaced(tree.path("from"), tree.path("into"));
    let path = history().pop().expect("it is there");
    let mut bytes = fs::read(&path).expect("read");
    bytes.truncate(bytes.len() - 3);
    fs::write(&path, bytes).expect("written");
    undone(&id);
    // Nothing is done twice.
    undone(&id);
    let ignore = fileops_tests::Ignore { dir_mtime: true, ..Default::default() };
    let found = fileops_tests::differences(&before, &snapshot(tree.path("into")), &ignore);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn rubbish_among_the_journals_hides_no_other() {
    alone!();
    let tree = Tree::new("from=new into=old");
    let id = {
        let report =
            finish(fileops::copy_as(tree.path("from"), tree.path("into")).on_conflict(OnConflict::Replace).start());
        report.id.expect("done")
    };
    for dir in ["operations", "history"] {
        put(dir, "aaaaaaaa", b"rubbish\n\xff\0\t\t\t\n");
        put(dir, "bbbbbbbb", b"");
        put(dir, "cccccccc", &line(&["fileops-journal", "2", "copy", "77", "1700000000"]));
        put(
            dir,
            "dddddddd",
            &journal("copy", &[line(&[]), line(&[""]), line(&["step"]), line(&["did", "1", "created"])]),
        );
        put(dir, "eeeeeeee", &[0xff; 70_000]);
        fs::create_dir(state(dir).join("ffffffff.journal")).expect("made");
        symlink("/etc/passwd", state(dir).join("gggggggg.journal")).expect("made");
        symlink("nowhere", state(dir).join("hhhhhhhh.journal")).expect("made");
        fs::write(state(dir).join("-.journal"), "x").expect("written");
        fs::write(state(dir).join(".journal"), "x").expect("written");
    }
    let past = fileops::history().expect("read");
    assert_eq!(past.iter().map(|past| past.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    fileops::leftovers().expect("read");
    fileops::undone().expect("read");
    undone(&id);
    tree.assert("from=new into=old");
    assert_eq!(fileops::undone().expect("read").len(), 1);
}

#[test]
fn a_journal_of_another_version_stays_and_is_not_used() {
    alone!();
    let tree = Tree::new("a=x");
    let id = copied(tree.path("a"), tree.path("b"));
    let path = history().pop().expect("it is there");
    let text = fs::read_to_string(&path).expect("read");
    let mut lines = text.lines().skip(1).map(|line| format!("{line}\n").into_bytes());
    let other = [line(&["fileops-journal", "2", "copy", "77", "1700000000"])].into_iter().chain(lines.by_ref());
    fs::write(&path, other.flatten().collect::<Vec<u8>>()).expect("written");
    let bytes = fs::read(&path).expect("read");
    assert!(!undo(&id).failures.is_empty());
    assert!(fileops::history().expect("read").is_empty());
    assert_eq!(fs::read(&path).expect("read"), bytes);
    tree.assert("a=x b=x");
}

#[test]
fn a_forged_step_leads_nowhere_else() {
    alone!();
    let file_system = file_system();
    let tree = Tree::new("in/dir/ out/precious=x kept/");
    let precious = tree.path("out/precious");
    let inside = tree.path("in/dir").to_string_lossy().into_owned();
    symlink("../out", tree.path("in/link")).expect("made");
    let through = tree.path("in/link").to_string_lossy().into_owned();
    let up = format!("{inside}/../../out");
    let relative = "x".to_owned() + tree.path("out").to_str().expect("letters");
    let names = [
        (inside.as_str(), "../../out/precious"),
        (inside.as_str(), ".."),
        (inside.as_str(), "."),
        (inside.as_str(), ""),
        (through.as_str(), "precious"),
        (up.as_str(), "precious"),
        (relative.as_str(), "precious"),
    ];
    for (dir, name) in names {
        let which = identity(&precious);
        let mut fields = vec!["did", "1", "created", &file_system, dir, name];
        fields.extend(which.iter().map(String::as_str));
        let bytes = journal("copy", &[line(&fields), line(&["end", "done", "9000000000000000000"])]);
        let path = put("history", "forgedid", &bytes);
        let report = undo("forgedid");
        assert!(precious.exists(), "{dir} {name}: {report:?}");
        fs::remove_file(path).expect("removed");
        // The same as a stage.
        let number = inode(&precious).to_string();
        let stage = line(&["stage", "1", &file_system, dir, name, "wanted"]);
        let path = put("operations", "forgedid", &journal("copy", &[stage, line(&["made", "1", &number])]));
        for leftover in fileops::leftovers().expect("read") {
            let _ = leftover.remove();
        }
        let _ = undo("forgedid");
        assert!(precious.exists(), "{dir} {name}: removed as a stage");
        let _ = fs::remove_file(path);
    }
}

#[test]
fn a_step_that_speaks_of_another_file_does_nothing() {
    alone!();
    let file_system = file_system();
    let tree = Tree::new("dir/file=x dir/other=y");
    let (dir, which) = (tree.path("dir"), identity(&tree.path("dir/other")));
    let mut fields = vec!["did", "1", "created", &file_system, dir.to_str().expect("letters"), "file"];
    fields.extend(which.iter().map(String::as_str));
    put("history", "forgedid", &journal("copy", &[line(&fields), line(&["end", "done", "9000000000000000000"])]));
    assert!(!undo("forgedid").failures.is_empty());
    tree.assert("dir/file=x dir/other=y");
}

/// Replaces `old` where no journal can be written: the old file is not kept where nobody would find it.
#[track_caller]
fn without_a_journal() {
    let memory = Mount::tmpfs("size=1m").expect("tmpfs");
    make(memory.path(), "from=new into=old");
    let (from, into) = (memory.path().join("from"), memory.path().join("into"));
    let report = finish(fileops::copy_as(from, into).on_conflict(OnConflict::Replace).start());
    assert!(report.is_complete(), "{report:?}");
    assert!(has_note(&report, NoteKind::NotJournalled) && has_note(&report, NoteKind::NotKept), "{report:?}");
    assert_eq!(report.id, None);
    // Not even an area.
    assert_tree(memory.path(), "from=new into=new");
}

#[test]
fn without_a_state_directory_a_copy_works_and_says_that_it_is_not_recorded() {
    alone!();
    require_root!();
    let home = PathBuf::from(std::env::var_os("XDG_STATE_HOME").expect("set"));
    fs::write(home, "a file is in its place").expect("written");
    without_a_journal();
}

#[test]
fn with_a_full_state_directory_a_copy_works_and_an_undo_does_nothing_half() {
    alone!();
    require_root!();
    let home = PathBuf::from(std::env::var_os("XDG_STATE_HOME").expect("set"));
    fs::create_dir_all(&home).expect("made");
    let memory = Mount::tmpfs("size=1m").expect("tmpfs");
    make(memory.path(), "from/one=new from/two=new into/from/one=old1 into/from/two=old2");
    let (from, into) = (memory.path().join("from"), memory.path().join("into"));
    let full = Mount::tmpfs("size=64k,nr_inodes=60").expect("tmpfs");
    let at = Mount::bind_at(full.path(), &home).expect("mounted");
    let before = snapshot(&into);
    let id = replaced(&from, &into);
    let after = snapshot(&into);
    let filler = full.path().join("filler");
    while fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&filler)
        .and_then(|mut file| {
            use std::io::Write;
            file.write_all(&[0; 4096])
        })
        .is_ok()
    {}
    let report = undo(&id);
    assert_eq!(errnos(&report), [libc::ENOSPC], "{report:?}");
    assert_same(&into, &after, "nothing was done");
    without_a_journal();
    fs::remove_file(filler).expect("removed");
    undone(&id);
    assert_same(&into, &before, "undone");
    drop(at);
}

#[test]
fn a_history_that_cannot_be_written_stays_with_the_operations() {
    alone!();
    let tree = Tree::new("from=new into=old");
    fs::create_dir_all(state("")).expect("made");
    fs::write(state("history"), "a file is in its place").expect("written");
    let copy = fileops::copy_as(tree.path("from"), tree.path("into")).on_conflict(OnConflict::Replace);
    let report = finish(copy.start());
    assert!(report.is_complete() && has_note(&report, NoteKind::NotJournalled), "{report:?}");
    let id = report.id.expect("done");
    let report = undo(&id);
    assert!(report.failures.is_empty(), "{report:?}");
    tree.assert("from=new into=old");
}

#[test]
fn a_journal_that_only_root_may_read_hides_no_other() {
    fileops_tests::user_part!("list", {
        let past = fileops::history().expect("read");
        assert_eq!(past.len(), 0);
        fileops::leftovers().expect("read");
        let tree = Tree::new("a=x");
        let id = copied(tree.path("a"), tree.path("b"));
        undone(&id);
        tree.assert("a=x");
    });
    alone!();
    require_root!();
    let home = Tree::new("state/fileops/history/ state/fileops/operations/");
    fileops_tests::user::give(home.root(), 1234, 1234);
    for dir in ["history", "operations"] {
        let path = home.path("state/fileops").join(dir).join("00000000000000000005-rootroot.journal");
        fs::write(&path, journal("copy", &[])).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
    }
    let place = home.path("state");
    let set = [("XDG_STATE_HOME", place.as_os_str())];
    fileops_tests::as_user(1234, 1234, fileops_tests::test_name!(), "list", &set);
}

/// The number of a loop device, or the letter of a stick, is another one the next time.
#[test]
fn a_btrfs_is_recorded_by_its_uuid() {
    alone!();
    fileops_tests::require_root!();
    fileops_tests::require_filesystem!("btrfs");
    fileops_tests::require_command!("mkfs.btrfs");
    let mount = fileops_tests::Mount::btrfs(128).expect("btrfs");
    make(mount.path(), "one=x");
    crate::copied(mount.path().join("one"), mount.path().join("two"));
    let journal = fs::read_to_string(&crate::history()[0]).expect("text");
    assert!(journal.contains("uuid:") && !journal.contains("btrfs:"), "{journal}");
}
