//! Trying again what failed, as often as was asked for.

use crate::engine::{Stop, Visit};
use crate::error::{Error, Refusal};
use crate::operation::Job;
use std::time::Duration;

/// Before the first retry; each further one waits four times as long.
const FIRST: Duration = Duration::from_millis(50);

/// What is left of the tries at one entry.
pub(super) struct Retries {
    left: u32,
    pause: Duration,
}

impl Retries {
    pub(super) fn new(times: u32) -> Retries {
        Retries { left: times, pause: FIRST }
    }

    /// Pauses before another try; gives the error back where there is none. What a guard of ours refused would be again.
    pub(super) fn another(&mut self, job: &Job, error: Error) -> Visit {
        let is_final = |refusal| !matches!(refusal, Refusal::Changed | Refusal::Mismatch);
        if self.left == 0 || error.refusal().is_some_and(is_final) {
            return Err(error.into());
        }
        self.left -= 1;
        job.sleep(self.pause)?;
        self.pause *= 4;
        Ok(())
    }
}

/// Tries until it is done, or was tried so many times more.
pub(super) fn persist<T>(times: u32, job: &Job, mut attempt: impl FnMut() -> Visit<T>) -> Visit<T> {
    let mut retries = Retries::new(times);
    loop {
        match attempt() {
            Err(Stop::Failed(error)) => retries.another(job, error)?,
            answer => return answer,
        }
    }
}
