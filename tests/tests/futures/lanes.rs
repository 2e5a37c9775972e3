//! A mount that never answers holds up its own callers and nobody else.
//!
//! Each test runs in a process of its own, whose threads can be counted.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fileops::{Pool, Task, TaskError, block_on};
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Op, Options, Tree, as_user, require_fuse, test_name, user_part};

use crate::{LONG, wait, wait_until};

/// Threads that one mount can take: those of its lane, and those that are silent in a call.
const LANE: usize = 8;
const STUCK: usize = 16;

/// Calls into a mount that hangs: many more than it has threads for.
const CALLS: usize = 100;

/// The promise is 5 ms; a busy machine gets ten times that.
const P99: Duration = Duration::from_millis(50);

/// Runs the part of the test that is in this process's name, in a process of its own with `/` as its directory.
fn in_a_process(test: &str) {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    as_user(uid, gid, test, "alone", &[]);
}

type Stats = Vec<Task<io::Result<fs::Metadata>>>;

/// A file system in which to look for anything called `stuck` takes for ever.
fn hanging() -> FaultFs {
    let fs = Options { threads: LANE + STUCK + 8, ..Options::default() }.mount().unwrap();
    make(fs.backing(), "file=hello");
    fs.add(Fault::new(Op::Lookup, Action::Hang).name("stuck*"));
    fs
}

fn stat(pool: &Pool, path: PathBuf) -> Task<io::Result<fs::Metadata>> {
    pool.run_at(path.clone(), move || fs::metadata(path))
}

/// So many calls that hang, of which the first have begun.
#[track_caller]
fn hang(pool: &Pool, fs: &FaultFs) -> Stats {
    let calls = (0..CALLS).map(|number| stat(pool, fs.path().join(format!("stuck{number}")))).collect();
    assert!(fs.wait_hanging(LANE, LONG), "the lane has {LANE} threads");
    calls
}

/// All threads that the lane can have hang.
#[track_caller]
fn wait_full(fs: &FaultFs) {
    assert!(fs.wait_hanging(LANE + STUCK, LONG), "silent threads are replaced");
}

#[track_caller]
fn end(fs: &FaultFs, calls: Stats) {
    fs.clear();
    fs.release();
    for call in calls {
        let answer = block_on(call).expect("the pool is there");
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

/// The slowest but for one in a hundred of 1,000 calls, one after another.
#[track_caller]
fn p99(pool: &Pool, path: &Path) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let call = async || {
        let begun = Instant::now();
        let answer = tokio::time::timeout(LONG, stat(pool, path.to_owned())).await;
        answer.expect("it is held up").unwrap().unwrap();
        begun.elapsed()
    };
    let mut times: Vec<_> = (0..1000).map(|_| runtime.block_on(call())).collect();
    times.sort();
    times[989]
}

/// How many threads of this process belong to a pool.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "fileops").count()
}

#[test]
fn local_calls_stay_fast_while_a_mount_never_answers() {
    user_part!("alone", {
        let (tree, fs, pool) = (Tree::new("file=x a/file=x b/"), hanging(), Pool::new());
        let file = tree.path("file");
        let calls = hang(&pool, &fs);
        wait_full(&fs);
        // Twice as long as it takes to call a thread silent.
        assert!(!fs.wait_hanging(LANE + STUCK + 1, Duration::from_secs(2)), "no more than these are ever taken");
        // One more looks after the full lane, and has begun the workers one by one.
        assert!(threads() <= LANE + STUCK + LANE, "{} threads", threads());
        let p99 = p99(&pool, &file);
        println!("p99 {p99:?} beside a mount that never answers");
        assert!(p99 < P99, "{p99:?}");
        let all: Vec<_> = (0..1000).map(|_| stat(&pool, file.clone())).collect();
        assert!(all.into_iter().all(|call| block_on(call).unwrap().is_ok()));
        // Not one for each call, though one that has ended its work may not be free yet when the next is begun.
        assert!(threads() < CALLS, "{} threads", threads());
        assert_eq!(fs.count(Op::Lookup), (LANE + STUCK) as u64, "only that many calls reached the file system");
        let report = block_on(fileops::copy([tree.path("a")], tree.path("b")).pool(&pool).into_future());
        assert!(report.is_complete(), "operations go on too");
        end(&fs, calls);
        assert_eq!(block_on(stat(&pool, fs.path().join("file"))).unwrap().unwrap().len(), 5);
    });
    require_fuse!();
    in_a_process(test_name!());
}

#[test]
fn two_mounts_that_never_answer_do_not_delay_each_other() {
    user_part!("alone", {
        let (first, second, third, pool) = (hanging(), hanging(), FaultFs::new(), Pool::new());
        make(third.backing(), "file=x");
        let calls = hang(&pool, &first);
        let others = hang(&pool, &second);
        wait_full(&first);
        wait_full(&second);
        assert!(threads() <= 2 * (LANE + STUCK) + LANE, "{} threads", threads());
        assert!(p99(&pool, &third.path().join("file")) < P99);
        end(&first, calls);
        assert_eq!(block_on(stat(&pool, first.path().join("file"))).unwrap().unwrap().len(), 5);
        assert!(second.wait_hanging(LANE + STUCK, Duration::ZERO), "the second hangs as before");
        end(&second, others);
    });
    require_fuse!();
    in_a_process(test_name!());
}

#[test]
fn a_relative_path_is_in_the_lane_of_its_mount_and_a_link_in_its_own() {
    user_part!("alone", {
        let (tree, fs, pool) = (Tree::new(""), hanging(), Pool::new());
        let calls = hang(&pool, &fs);
        wait_full(&fs);
        let before = fs.count(Op::Lookup);
        // This process is in the root directory.
        let relative = fs.path().strip_prefix("/").unwrap().join("stuck");
        let has_run = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&has_run);
        let waits = pool.run_at(relative, move || flag.store(true, Ordering::SeqCst));
        symlink(fs.path(), tree.path("link")).unwrap();
        assert_eq!(wait(pool.run_at(tree.path("link/stuck"), || 1)), Some(Ok(1)), "the link is not followed");
        assert!(p99(&pool, tree.root()) < P99);
        assert!(!has_run.load(Ordering::SeqCst), "its lane is full");
        assert_eq!(fs.count(Op::Lookup), before, "no path was touched to find its lane");
        end(&fs, calls);
        assert_eq!(block_on(waits), Ok(()));
        assert!(has_run.load(Ordering::SeqCst));
    });
    require_fuse!();
    in_a_process(test_name!());
}

#[test]
fn a_mount_made_later_has_a_lane_of_its_own() {
    user_part!("alone", {
        let (tree, pool) = (Tree::new("file=x"), Pool::new());
        block_on(stat(&pool, tree.path("file"))).unwrap().unwrap();
        for _ in 0..2 {
            let fs = hanging();
            let calls = hang(&pool, &fs);
            assert!(p99(&pool, &tree.path("file")) < P99, "before the silent threads are replaced");
            wait_full(&fs);
            assert!(p99(&pool, &tree.path("file")) < P99);
            end(&fs, calls);
        }
    });
    require_fuse!();
    in_a_process(test_name!());
}

#[test]
fn dropping_a_pool_does_not_wait_for_a_mount_that_never_answers() {
    user_part!("alone", {
        let (fs, pool) = (hanging(), Pool::new());
        let mut calls = hang(&pool, &fs);
        let last = calls.pop().unwrap();
        let begun = Instant::now();
        drop(pool);
        assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
        assert!(matches!(wait(last), Some(Err(TaskError::PoolClosed))));
        fs.clear();
        fs.release();
        wait_until("the threads of the pool have ended", || threads() == 0);
        assert!(calls.into_iter().any(|call| block_on(call).is_ok()), "what was running has ended");
    });
    require_fuse!();
    in_a_process(test_name!());
}
