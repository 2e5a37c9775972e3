//! Processes that are killed at a request which they make.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::alone::wait_for_child;
use crate::{Action, Fault, FaultFs, Op};

/// Runs a command that is killed while the file system works on its `n`-th request; `false` if it made fewer, and so came to
/// its end.
///
/// # Panics
///
/// If it fails by itself, or takes longer than that.
pub fn killed_at(n: u64, fs: &FaultFs, mut command: Command, patience: Duration) -> bool {
    let child = Arc::new(AtomicI32::new(0));
    let victim = Arc::clone(&child);
    let kill = Action::call(move || {
        let pid = loop {
            match Pid::from_raw(victim.load(Ordering::Acquire)) {
                Some(pid) => break pid,
                None => std::thread::yield_now(),
            }
        };
        kill_process(pid, Signal::KILL).expect("killed");
    });
    let fault = fs.add(Fault::new(Op::Any, kill).nth(n));
    let running = command.spawn().expect("runs");
    child.store(i32::try_from(running.id()).expect("a process"), Ordering::Release);
    let status = wait_for_child(running, patience).expect("a killed process ends");
    let was_killed = fs.hits(fault) > 0;
    fs.remove(fault);
    assert!(was_killed || status.success(), "{status}");
    was_killed
}
