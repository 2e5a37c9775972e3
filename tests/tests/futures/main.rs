//! Tasks and operations as futures: on every executor, dropped at any time, beside mounts that never answer.

mod executors;
mod lanes;
mod operations;
mod pools;
mod tasks;

use std::future::Future;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fileops::{Pool, Task, block_on};

const SECOND: Duration = Duration::from_secs(1);

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// Waits until something is so, which others bring about.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not after {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The answer, if it comes in time.
fn wait<F: Future + Send + 'static>(future: F) -> Option<F::Output>
where
    F::Output: Send,
{
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(block_on(future)));
    receive.recv_timeout(LONG).ok()
}

/// Calls that hold their threads until the gate is opened; dropped, it opens.
struct Gate {
    hold: Arc<Mutex<Receiver<()>>>,
    begun: (Sender<()>, Receiver<()>),
    open: Option<Sender<()>>,
}

impl Gate {
    fn new() -> Gate {
        let (open, hold) = channel();
        Gate { hold: Arc::new(Mutex::new(hold)), begun: channel(), open: Some(open) }
    }

    /// A call that says when it begins and ends when the gate is open.
    fn call(&self) -> impl FnOnce() + Send + 'static {
        let (hold, begun) = (Arc::clone(&self.hold), self.begun.0.clone());
        move || {
            let _ = begun.send(());
            // Nothing is ever sent: the wait ends when the sender is dropped.
            let _ = hold.lock().unwrap().recv();
        }
    }

    /// Waits until so many calls have begun.
    #[track_caller]
    fn wait_begun(&self, calls: usize) {
        for _ in 0..calls {
            self.begun.1.recv_timeout(LONG).expect("the call begins");
        }
    }

    fn open(mut self) {
        drop(self.open.take());
    }
}

/// More calls than a lane ever has threads for, those of silent calls included.
const MORE_THAN_A_LANE: usize = 40;

/// Makes the lane of no mount so full that a further call has to wait.
fn fill(pool: &Pool, gate: &Gate) -> Vec<Task<()>> {
    let held = (0..MORE_THAN_A_LANE).map(|_| pool.run(gate.call())).collect();
    gate.wait_begun(1);
    held
}
