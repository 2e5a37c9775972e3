//! Other programs read what we wrote, and we read what they wrote: gio (with gvfs behind `trash:///`), trash-cli, and the
//! crate `trash`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fileops::Trashed;
use fileops_tests::tree::make;
use fileops_tests::{Mount, Tree, require_command, require_root, skip, skip_missing};

use crate::{alone, complete, home_trash, items_in, names, own_trash, put, set};

/// Plain, with spaces and escapes, not ASCII.
const ENTRIES: &str = "plain=1 two\\swords%41=2 \u{e4}\u{4e2d}=3 dir/sub/file=4 link->plain";
const NAMES: [&str; 5] = ["plain", "two words%41", "\u{e4}\u{4e2d}", "dir", "link"];

fn paths(dir: &Path) -> Vec<PathBuf> {
    NAMES.iter().map(|name| dir.join(name)).collect()
}

fn put_all(dir: &Path) {
    make(dir, ENTRIES);
    let paths = paths(dir);
    complete(put(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>()));
}

/// Takes everything that is in a trash out again.
fn restore_all(trash: &Path) {
    let items = items_in(trash);
    assert_eq!(items.len(), NAMES.len(), "{items:?}");
    assert!(items.iter().all(|item| item.damage.is_none()), "{items:?}");
    complete(fileops::block_on(async { fileops::restore(&items).await }));
    assert_eq!(names(trash).1, set(&[]));
}

/// Runs a command on a session bus of its own.
fn on_a_bus(script: &str, args: &[&Path]) -> String {
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", script, "sh"]).args(args);
    said(command.env("XDG_RUNTIME_DIR", home_trash().with_file_name("runtime")).output().expect("runs"))
}

fn said(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// The lines of a program, the last word of each.
fn last_fields(text: &str, separator: char) -> Vec<String> {
    let mut fields: Vec<_> = text.lines().filter_map(|line| line.rsplit(separator).next()).map(str::to_owned).collect();
    fields.sort();
    fields
}

fn as_text(paths: &[PathBuf]) -> Vec<String> {
    let mut text: Vec<_> = paths.iter().map(|path| path.to_str().expect("text").to_owned()).collect();
    text.sort();
    text
}

/// What `gio trash --list` escapes.
fn gio_escaped(paths: &[PathBuf]) -> Vec<String> {
    let escape = |text: String| {
        let bytes = text.into_bytes();
        bytes
            .iter()
            .map(|&byte| if byte.is_ascii() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") })
            .collect()
    };
    let mut text: Vec<String> = as_text(paths).into_iter().map(escape).collect();
    text.sort();
    text
}

fn has_gvfs() -> bool {
    ["/usr/libexec/gvfsd-trash", "/usr/lib/gvfs/gvfsd-trash", "/usr/lib/gvfsd-trash"]
        .iter()
        .any(|path| Path::new(path).exists())
}

macro_rules! require_gvfs {
    () => {
        require_command!("gio", "dbus-run-session");
        if !has_gvfs() {
            skip_missing!("gvfsd-trash");
        }
    };
}

#[test]
fn gio_lists_and_restores_what_we_trashed() {
    alone!();
    require_gvfs!();
    let tree = Tree::new("");
    put_all(tree.root());
    let text = on_a_bus("gio trash --list", &[]);
    assert_eq!(last_fields(&text, '\t'), gio_escaped(&paths(tree.root())));
    let listed = on_a_bus("gio list trash:///", &[]);
    assert_eq!(listed.lines().count(), NAMES.len(), "{listed}");
    on_a_bus("gio trash --restore 'trash:///two words%2541' trash:///plain trash:///dir", &[]);
    tree.assert("plain=1 two\\swords%41=2 dir/sub/file=4");
}

#[test]
fn we_list_and_restore_what_gio_trashed() {
    alone!();
    require_command!("gio", "dbus-run-session");
    let tree = Tree::new(ENTRIES);
    let paths = paths(tree.root());
    on_a_bus("gio trash -- \"$@\"", &paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    tree.assert("");
    restore_all(&home_trash());
    tree.assert(ENTRIES);
}

#[test]
fn gio_and_we_share_the_trash_of_a_top_directory() {
    alone!();
    require_root!();
    require_gvfs!();
    require_command!("mkfs.ext4");
    let mount = Mount::ext4(32).expect("mounted");
    make(mount.path(), "in/ mine=1 its=2");
    put_all(&mount.path().join("in"));
    let text = on_a_bus("gio trash --list", &[]);
    let seen = last_fields(&text, '\t');
    if seen.is_empty() {
        skip!("gio does not show the trash of this mount");
    }
    assert_eq!(seen, gio_escaped(&paths(&mount.path().join("in"))));
    on_a_bus("gio trash -- \"$1\"", &[&mount.path().join("its")]);
    let items = items_in(&own_trash(mount.path()));
    assert!(items.iter().any(|item| item.original == Some(mount.path().join("its"))), "{items:?}");
}

#[test]
fn trash_cli_lists_and_restores_what_we_trashed() {
    alone!();
    require_command!("trash-list", "trash-restore");
    let tree = Tree::new("");
    put_all(tree.root());
    let run = |program: &str| Command::new(program).env("LC_ALL", "C.UTF-8").output().expect("runs");
    let text = said(run("trash-list"));
    let listed: Vec<_> = text.lines().map(|line| line.splitn(3, ' ').nth(2).expect("a path").to_owned()).collect();
    let expected = as_text(&paths(tree.root()));
    assert_eq!(expected.iter().filter(|path| !listed.contains(path)).count(), 0, "{text}");
    let mut restore = Command::new("trash-restore");
    restore.current_dir(tree.root()).env("LC_ALL", "C.UTF-8").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = restore.spawn().expect("runs");
    child.stdin.take().expect("piped").write_all(b"0\n").expect("answered");
    assert!(child.wait().expect("a child").success());
    assert_eq!(fs::read_dir(tree.root()).expect("read").count(), 1);
    assert_eq!(items_in(&home_trash()).len(), NAMES.len() - 1);
}

#[test]
fn we_list_and_restore_what_trash_cli_trashed() {
    alone!();
    require_command!("trash-put");
    let tree = Tree::new(ENTRIES);
    let output = Command::new("trash-put").args(paths(tree.root())).env("LC_ALL", "C.UTF-8").output();
    said(output.expect("runs"));
    tree.assert("");
    restore_all(&home_trash());
    tree.assert(ENTRIES);
}

#[test]
fn trash_cli_and_we_share_the_trashes_of_a_top_directory() {
    alone!();
    require_root!();
    require_command!("trash-put", "trash-list");
    for shared in [false, true] {
        let mount = Mount::tmpfs("size=1m").expect("mounted");
        if shared {
            make(mount.path(), ".Trash!1777/");
        }
        make(mount.path(), "in/mine=1 in/its=2");
        complete(put(&[&mount.path().join("in/mine")]));
        said(Command::new("trash-put").arg(mount.path().join("in/its")).output().expect("runs"));
        let trash =
            if shared { mount.path().join(format!(".Trash/{}", crate::user())) } else { own_trash(mount.path()) };
        assert_eq!(names(&trash).0, set(&["mine", "its"]), "shared: {shared}");
        complete(fileops::block_on(async { fileops::restore(items_in(&trash)).await }));
        fileops_tests::tree::assert_tree(&mount.path().join("in"), "mine=1 its=2");
    }
}

#[test]
fn the_trash_crate_lists_and_restores_what_we_trashed() {
    alone!();
    let tree = Tree::new("");
    put_all(tree.root());
    let of_ours = |item: &trash::TrashItem| item.original_parent == tree.root();
    let items: Vec<_> = trash::os_limited::list().expect("listed").into_iter().filter(of_ours).collect();
    let listed: BTreeMap<_, _> = items.iter().map(|item| (item.name.clone(), item.time_deleted)).collect();
    assert_eq!(listed.keys().filter_map(|name| name.to_str()).collect::<Vec<_>>(), sorted(&NAMES));
    for item in items_in(&home_trash()) {
        let name = item.original.as_ref().and_then(|path| path.file_name()).expect("known");
        assert_eq!(Some(listed[name]), item.deleted);
    }
    trash::os_limited::restore_all(items).expect("restored");
    tree.assert(ENTRIES);
    assert_eq!(names(&home_trash()), Default::default());
}

fn sorted(names: &[&'static str]) -> Vec<&'static str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

#[test]
fn we_list_and_restore_what_the_trash_crate_trashed() {
    alone!();
    let tree = Tree::new(ENTRIES);
    trash::delete_all(paths(tree.root())).expect("trashed");
    tree.assert("");
    restore_all(&home_trash());
    tree.assert(ENTRIES);
}

#[test]
fn what_the_trash_crate_trashed_with_an_absolute_path_in_a_top_directory_comes_back() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "dir/a\\sfile=x");
    let path = mount.path().join("dir/a file");
    trash::delete(&path).expect("trashed");
    let report = fileops::block_on(async { fileops::restore([Trashed::Original(path.clone())]).await });
    complete(report);
    assert_eq!(fs::read_to_string(path).expect("it is back"), "x");
}
