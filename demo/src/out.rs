//! The two streams. A reader that went away is no failure, and nothing here panics when there is none.

use crate::text;
use std::io::{self, Write};

/// Standard output: what was asked for.
#[derive(Default)]
pub(crate) struct Out {
    /// Why nothing more is written.
    lost: Option<io::Error>,
}

impl Out {
    /// Writes a line, and does not keep it back.
    pub(crate) fn line(&mut self, line: &str) {
        self.bytes(format!("{line}\n").as_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if self.lost.is_none() {
            let mut stdout = io::stdout().lock();
            self.lost = stdout.write_all(bytes).and_then(|()| stdout.flush()).err();
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Whether everything went where somebody wanted it; complains if not.
    pub(crate) fn is_whole(&self) -> bool {
        match &self.lost {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                complain(&format!("fileops: write standard output: {}", text::reason(error)));
                false
            }
            _ => true,
        }
    }
}

/// Writes a line to standard error, in one piece.
pub(crate) fn complain(line: &str) {
    // There is nobody to tell when this fails.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
