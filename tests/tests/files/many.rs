//! Many paths in one call.

use crate::{PATIENCE, odd, wait_until};
use fileops::{block_on, fs};
use fileops_tests::{Action, Fault, FaultFs, Mount, Op, Tree, require_fuse, require_root};
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[test]
fn each_path_has_its_answer_in_its_place() {
    let tree = Tree::new("link->0 dir/ loop->loop");
    (0..2000).for_each(|number| std::fs::write(tree.path(format!("{number}")), vec![0; number]).unwrap());
    std::fs::write(odd(tree.root()), "12345").unwrap();
    let mut paths: Vec<PathBuf> = (0..2000).map(|number| tree.path(format!("{number}"))).collect();
    paths.extend(["link", "dir", "loop", "missing", "0/x"].map(|name| tree.path(name)));
    paths.extend([odd(tree.root()), PathBuf::new(), PathBuf::from("/"), PathBuf::from("."), PathBuf::from("a\0b")]);
    let following = block_on(fs::metadata_many(&paths));
    let themselves = block_on(fs::symlink_metadata_many(&paths));
    assert_eq!((following.len(), themselves.len()), (paths.len(), paths.len()));
    for ((path, following), itself) in paths.iter().zip(following).zip(themselves) {
        let theirs = [std::fs::metadata(path), std::fs::symlink_metadata(path)];
        for (ours, theirs) in [following, itself].into_iter().zip(theirs) {
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(
                        (ours.len(), ours.inode(), ours.mode()),
                        (theirs.len(), theirs.ino(), theirs.mode() & 0o7777)
                    );
                }
                (Err(ours), Err(theirs)) => {
                    assert_eq!((ours.errno(), &ours.path), (theirs.raw_os_error(), path));
                    assert_eq!(ours.source.kind(), theirs.kind());
                }
                (ours, theirs) => panic!("{}: {ours:?}, {theirs:?}", path.display()),
            }
        }
    }
    assert!(block_on(fs::metadata_many(Vec::<PathBuf>::new())).is_empty());
}

#[test]
fn paths_of_several_mounts_keep_their_order() {
    require_root!();
    let tree = Tree::new("a=1 point/");
    let mount = Mount::tmpfs("size=16m").unwrap();
    let paths: Vec<_> = (0..1000)
        .map(|number| {
            let path = if number % 3 == 0 { mount.path() } else { tree.root() }.join(number.to_string());
            std::fs::write(&path, vec![0; number % 7]).unwrap();
            path
        })
        .collect();
    for (number, answer) in block_on(fs::metadata_many(&paths)).into_iter().enumerate() {
        assert_eq!(answer.unwrap().len(), number as u64 % 7, "{number}");
    }
}

#[test]
fn a_mount_that_hangs_holds_up_its_own_batch_only_and_a_dropped_one_ends() {
    require_fuse!();
    let fault = FaultFs::new();
    let tree = Tree::new("a=1");
    let names: Vec<_> = (0..50).map(|number| format!("file{number}")).collect();
    names.iter().for_each(|name| std::fs::write(fault.backing().join(name), "").unwrap());
    fault.add(Fault::new(Op::Lookup, Action::Hang).name("file*"));
    let mixed = names.iter().map(|name| fault.path().join(name)).chain([tree.path("a")]);
    let mut mixed = Box::pin(fs::metadata_many(mixed));
    assert!(poll(mixed.as_mut()).is_pending());
    assert!(fault.wait_hanging(1, PATIENCE));
    // The same lane as the batch's local part, and a lane of its own.
    assert_eq!(block_on(fs::metadata_many([tree.path("a")]))[0].as_ref().unwrap().len(), 1);
    drop(mixed);
    fault.release();
    wait_until("it was let go", || !fault.wait_hanging(1, Duration::ZERO));
    // Whoever went on would hang at the next name. That nobody does can only be seen by waiting for a while.
    assert!(!fault.wait_hanging(1, Duration::from_millis(300)), "it went on");
    fault.clear();
    assert!(block_on(fs::metadata_many([fault.path()]))[0].is_ok());
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn nothing_happens_before_the_first_poll() {
    let tree = Tree::new("");
    let many = fs::metadata_many([tree.path("late")]);
    std::fs::write(tree.path("late"), "1").unwrap();
    assert_eq!(block_on(pin!(many))[0].as_ref().unwrap().len(), 1);
}
