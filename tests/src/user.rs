//! Parts of a test which another user runs.
//!
//! The test binary is started again for the one test, as that user, and there the part is run
//! which was asked for. So the parts stand first in a test:
//!
//! ```no_run
//! use fileops_tests::{Tree, as_user, require_root, test_name, user_part};
//!
//! // #[test]
//! fn another_users_file_stays_closed() {
//!     user_part!("read", {
//!         let path = fileops_tests::user::variable("FILE");
//!         assert!(std::fs::read(path).is_err());
//!     });
//!     require_root!();
//!     let tree = Tree::new("secret!600=x");
//!     let file = tree.path("secret");
//!     as_user(1000, 1000, test_name!(), "read", &[("FILE", file.as_ref())]);
//! }
//! ```

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::lchown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::temp::Temp;

/// The variable which has the name of the part.
pub(crate) const PART: &str = "FILEOPS_TEST_PART";

/// Runs these statements, and no more of the test, where [`as_user`] asked for this part.
#[macro_export]
macro_rules! user_part {
    ($part:expr, $body:block) => {
        if $crate::user::part().as_deref() == Some($part) {
            // A closure, so that the statements may end in whatever they like.
            (|| $body)();
            return;
        }
    };
}

/// The part which this process shall run.
pub fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// A variable which was given to [`as_user`].
///
/// # Panics
///
/// If it was not.
#[track_caller]
pub fn variable(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set"))
}

/// Runs a part of the test `name` (see [`test_name!`](crate::test_name)) as another user, in no
/// other group, with `/` as its directory and these variables. Returns what it printed.
///
/// # Panics
///
/// If the part fails; it prints what the part said.
#[track_caller]
pub fn as_user(uid: u32, gid: u32, name: &str, part: &str, set: &[(&str, &OsStr)]) -> String {
    let temp = Temp::new("user").expect("a temporary directory");
    // The user may not be able to enter the directory where the binary is.
    let copy = temp.path().join("test");
    let binary = std::env::current_exe().expect("this is a program");
    fs::copy(binary, &copy).expect("the test binary can be copied");
    let mut command = Command::new(copy);
    command.args(["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"]);
    command.uid(uid).gid(gid).current_dir("/").env(PART, part).envs(set.iter().copied());
    // Another thread may have forked while the copy was being written; its child holds it open until it is another program.
    let output = loop {
        match command.output() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy => std::thread::sleep(Duration::from_millis(5)),
            output => break output.expect("the test binary runs"),
        }
    };
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let text = text.concat();
    let ran = output.status.success() && text.contains("1 passed");
    assert!(ran, "as user {uid}, {name} ({part}) failed:\n{text}");
    text
}

/// Gives a tree to another user, with the modes it has (a new owner alone takes away set-user-id).
///
/// # Panics
///
/// If that cannot be.
pub fn give(path: &Path, uid: u32, gid: u32) {
    let meta = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    lchown(path, Some(uid), Some(gid)).expect("root may give away");
    if meta.is_dir() {
        let entries = fs::read_dir(path).expect("root may list");
        entries.for_each(|entry| give(&entry.expect("an entry").path(), uid, gid));
    }
    if !meta.is_symlink() {
        fs::set_permissions(path, meta.permissions()).expect("root may change modes");
    }
}
