//! Limits: of one operation, of a pool, changed on the way, and ended by a cancel.

use std::time::{Duration, Instant};

use fileops::{Outcome, Phase, Pool};
use fileops_tests::{Tree, alone, assert_same_tree};

use crate::{MIB, finish};

#[test]
fn a_limit_holds_for_large_and_small_files_alike() {
    alone!();
    let many: String = (0..60).map(|n| format!("top/small/{n}#35000 ")).collect();
    let (source, into) = (Tree::new(&format!("{many} top/large#4000000")), Tree::new(""));
    let begun = Instant::now();
    let report = finish(fileops::copy([source.path("top")], into.root()).bandwidth(Some(3_000_000)).start());
    let seconds = begun.elapsed().as_secs_f64();
    assert!(report.is_complete());
    assert_same_tree(source.path("top"), into.path("top"));
    let rate = 6_100_000.0 / seconds;
    println!("seen: {rate:.0} bytes a second of 3000000");
    // Above by no more than a tenth; below only where the machine is too busy to copy so fast.
    assert!((1_000_000.0..3_300_000.0).contains(&rate), "{rate}");
}

#[test]
fn a_limit_can_be_changed_and_taken_away_on_the_way() {
    alone!();
    let (source, into) = (Tree::new("a#8000000"), Tree::new(""));
    // It would take two hours.
    let operation = fileops::copy([source.path("a")], into.root()).bandwidth(Some(1000)).start();
    std::thread::sleep(Duration::from_millis(300));
    assert!(operation.progress().bytes_done < 100_000);
    operation.set_bandwidth(Some(2_000_000));
    std::thread::sleep(Duration::from_millis(700));
    let done = operation.progress().bytes_done;
    assert!((200_000..4_000_000).contains(&done), "{done}");
    operation.set_bandwidth(None);
    assert!(finish(operation).is_complete());
    assert_same_tree(source.path("a"), into.path("a"));
}

#[test]
fn a_pool_limits_all_its_operations_together() {
    alone!();
    let (source, into) = (Tree::new("a#2000000 b#2000000"), Tree::new(""));
    let pool = Pool::new();
    pool.set_bandwidth(Some(2_000_000));
    assert_eq!(pool.bandwidth(), Some(2_000_000));
    let begun = Instant::now();
    let operations = ["a", "b"].map(|name| fileops::copy([source.path(name)], into.root()).pool(&pool).start());
    operations.into_iter().for_each(|operation| assert!(finish(operation).is_complete()));
    let seconds = begun.elapsed().as_secs_f64();
    assert!(seconds > 1.8, "{seconds} s for 4 MB at 2 MB/s");
}

#[test]
fn a_cancel_ends_a_limited_copy_at_once() {
    alone!();
    let source = Tree::new("a#8000000");
    // On a busy machine one of them is in time; without the wake none is.
    let times = (0..5).map(|_| {
        let into = Tree::new("");
        let operation = fileops::copy([source.path("a")], into.root()).bandwidth(Some(1000)).start();
        while operation.progress().phase != Phase::Running || operation.progress().elapsed < Duration::from_millis(50) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        operation.cancel();
        let report = finish(operation);
        assert_eq!(report.outcome, Outcome::Cancelled);
        begun.elapsed()
    });
    let best = times.min().expect("five of them");
    println!("seen: {best:?}");
    assert!(best < Duration::from_millis(100), "{best:?}");
}

#[test]
fn a_clone_takes_nothing_of_the_limit() {
    alone!();
    fileops_tests::require_root!();
    fileops_tests::require_command!("mkfs.xfs");
    let mount = fileops_tests::Mount::xfs(400).expect("mounted");
    crate::fill(&mount.path().join("from"), 8);
    let begun = Instant::now();
    let copy = fileops::copy_as(mount.path().join("from"), mount.path().join("to")).bandwidth(Some(MIB / 10));
    let report = finish(copy.start());
    assert_eq!(report.cloned, 1);
    assert!(begun.elapsed() < Duration::from_secs(20));
}
