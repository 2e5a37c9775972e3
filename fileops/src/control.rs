//! Running, paused or cancelled: the one place where workers wait, so that a cancel ends every wait.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The caller cancelled; nothing further is started. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cancelled;

/// What the caller last asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Running,
    Paused,
    Cancelled,
}

/// Which change a waiter waits for: work to do wakes one of the idle, a change of state wakes everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Work,
    Change,
}

/// Takes a lock; a panic of another holder leaves our states whole, since each change of one is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
pub(crate) struct Control {
    state: AtomicU8,
    /// Held while a waiter looks and goes to sleep, so that no wake is lost in between.
    sleep: Mutex<()>,
    work: Condvar,
    change: Condvar,
    idle: AtomicUsize,
}

impl Control {
    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Running,
            1 => State::Paused,
            _ => State::Cancelled,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.state() == State::Cancelled
    }

    pub(crate) fn pause(&self) {
        self.change_from(State::Running, State::Paused);
    }

    pub(crate) fn resume(&self) {
        self.change_from(State::Paused, State::Running);
    }

    pub(crate) fn cancel(&self) {
        self.state.store(State::Cancelled as u8, Ordering::Release);
        self.wake_all();
    }

    fn change_from(&self, from: State, to: State) {
        if self.state.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.wake_all();
        }
    }

    /// Between two steps of work: goes on, waits while paused, or ends.
    #[inline]
    pub(crate) fn checkpoint(&self) -> Result<(), Cancelled> {
        if self.state.load(Ordering::Relaxed) == State::Running as u8 {
            return Ok(());
        }
        self.wait(For::Change, None, || (self.state() == State::Running).then_some(())).map(|_| ())
    }

    /// Waits until `ready` gives something, the time is over (`None`), or the operation is cancelled.
    /// `ready` is asked again after every [`wake`](Self::wake).
    pub(crate) fn wait<T>(
        &self,
        wanted: For,
        time: Option<Duration>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, Cancelled> {
        let end = time.map(|time| Instant::now() + time);
        let condition = if wanted == For::Work { &self.work } else { &self.change };
        let mut guard = lock(&self.sleep);
        let _idle = (wanted == For::Work).then(|| Idle::new(&self.idle));
        loop {
            if self.is_cancelled() {
                return Err(Cancelled);
            }
            if let Some(found) = ready() {
                return Ok(Some(found));
            }
            guard = match end {
                None => condition.wait(guard).unwrap_or_else(PoisonError::into_inner),
                Some(end) => {
                    let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                        return Ok(None);
                    };
                    condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
                }
            }
        }
    }

    /// Waits for a wake or for the time to be over, cancelled or not: for the one who cleans up.
    pub(crate) fn rest(&self, time: Duration) {
        let guard = lock(&self.sleep);
        drop(self.change.wait_timeout(guard, time));
    }

    /// How many wait for work. Cheap enough to be asked for every file.
    #[inline]
    pub(crate) fn idle(&self) -> usize {
        self.idle.load(Ordering::SeqCst)
    }

    /// There is work for so many; to be called after it can be found.
    pub(crate) fn wake(&self, workers: usize) {
        if self.idle() > 0 {
            let _guard = lock(&self.sleep);
            for _ in 0..workers {
                self.work.notify_one();
            }
        }
    }

    pub(crate) fn wake_all(&self) {
        let _guard = lock(&self.sleep);
        self.work.notify_all();
        self.change.notify_all();
    }
}

/// Counts a waiter for as long as it waits, also when it leaves by a panic.
struct Idle<'a>(&'a AtomicUsize);

impl<'a> Idle<'a> {
    fn new(idle: &'a AtomicUsize) -> Idle<'a> {
        idle.fetch_add(1, Ordering::SeqCst);
        Idle(idle)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn pause_and_resume_only_act_in_their_state() {
        let control = Control::default();
        control.resume();
        assert_eq!(control.state(), State::Running);
        control.pause();
        control.pause();
        assert_eq!(control.state(), State::Paused);
        control.resume();
        assert_eq!(control.state(), State::Running);
    }

    #[test]
    fn cancelled_is_final() {
        let control = Control::default();
        control.pause();
        control.cancel();
        control.resume();
        control.pause();
        assert_eq!(control.state(), State::Cancelled);
        assert_eq!(control.checkpoint(), Err(Cancelled));
    }

    #[test]
    fn a_cancel_ends_every_wait() {
        let control = Arc::new(Control::default());
        control.pause();
        let paused = Arc::clone(&control);
        let paused = thread::spawn(move || paused.checkpoint());
        let idle = Arc::clone(&control);
        let idle = thread::spawn(move || idle.wait(For::Work, None, || None::<()>));
        while control.idle() == 0 {
            thread::yield_now();
        }
        control.cancel();
        assert_eq!(paused.join().unwrap(), Err(Cancelled));
        assert_eq!(idle.join().unwrap(), Err(Cancelled));
    }

    #[test]
    fn a_paused_worker_goes_on_after_resume() {
        let control = Arc::new(Control::default());
        control.pause();
        let worker = Arc::clone(&control);
        let worker = thread::spawn(move || worker.checkpoint());
        control.resume();
        assert_eq!(worker.join().unwrap(), Ok(()));
    }
}
