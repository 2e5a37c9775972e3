//! What the system tells: mounts, and changes of files.

mod edges;
mod examples;
mod mounts;
mod polling;
mod watching;

use std::future::Future;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// The answer of a future, which must come in time.
#[track_caller]
fn wait<F: Future>(what: &str, future: F) -> F::Output {
    wait_for(LONG, future).unwrap_or_else(|| panic!("{what}: not within {LONG:?}"))
}

/// The answer of a future, if it comes in time.
fn wait_for<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    let end = Instant::now() + time;
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(answer);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}
