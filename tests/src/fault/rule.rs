//! The rules which make requests fail, wait or lie.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::op::Op;

/// What a rule does to the requests which it matches.
#[derive(Clone)]
pub enum Action {
    /// Answer this error and do nothing.
    Errno(i32),
    /// Wait this long, then go on.
    Latency(Duration),
    /// Wait until released, then go on; when the file system goes away instead, answer `EIO`.
    Hang,
    /// Write this many bytes at most and say so.
    ShortWrite(usize),
    /// Read this many bytes at most.
    ShortRead(usize),
    /// Write nothing and say that nothing was written.
    ZeroWrite,
    /// Remove the file (or the directory with all in it) from the backing directory, then go on.
    Vanish,
    /// Do what was asked, then answer this error.
    LostReply(i32),
    /// Flip one bit of the data which are written or read.
    Flip,
    /// Call this first, then go on; a panic in it is answered with `EIO`.
    Call(Arc<dyn Fn() + Send + Sync>),
}

impl Action {
    /// [`Action::Call`] of a closure.
    pub fn call(f: impl Fn() + Send + Sync + 'static) -> Self {
        Action::Call(Arc::new(f))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Errno(e) => write!(f, "Errno({:?})", Errno::from_raw_os_error(*e)),
            Action::Latency(d) => write!(f, "Latency({d:?})"),
            Action::Hang => f.write_str("Hang"),
            Action::ShortWrite(n) => write!(f, "ShortWrite({n})"),
            Action::ShortRead(n) => write!(f, "ShortRead({n})"),
            Action::ZeroWrite => f.write_str("ZeroWrite"),
            Action::Vanish => f.write_str("Vanish"),
            Action::LostReply(e) => write!(f, "LostReply({:?})", Errno::from_raw_os_error(*e)),
            Action::Flip => f.write_str("Flip"),
            Action::Call(_) => f.write_str("Call"),
        }
    }
}

/// Which of the requests that a rule matches it acts on; they are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All of them.
    Every,
    /// This one only.
    Nth(u64),
    /// This one and all after it.
    From(u64),
    /// So many, then none: a fault which goes away.
    First(u64),
}

/// A rule: an action on the requests of one kind, perhaps of one file, perhaps once only.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The kind of request.
    pub op: Op,
    /// A pattern (`*`, `?`) for the file's name, or for its whole path if it has a `/` in it.
    pub name: Option<String>,
    /// Which of the matching requests.
    pub when: When,
    /// What happens to them.
    pub action: Action,
}

impl Fault {
    /// A rule for every request of this kind.
    pub fn new(op: Op, action: Action) -> Self {
        let (name, when) = (None, When::Every);
        Self { op, name, when, action }
    }

    /// Only for files of this name (see [`Fault::name`]).
    pub fn name(self, pattern: impl Into<String>) -> Self {
        Self { name: Some(pattern.into()), ..self }
    }

    /// Only for the `n`-th matching request, from 1.
    pub fn nth(self, n: u64) -> Self {
        self.when(When::Nth(n))
    }

    /// Only for the first `n` matching requests.
    pub fn first(self, n: u64) -> Self {
        self.when(When::First(n))
    }

    /// For the `n`-th matching request and all after it.
    pub fn from(self, n: u64) -> Self {
        self.when(When::From(n))
    }

    /// Only for these of the matching requests.
    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    pub(super) fn matches(&self, op: Op, paths: &[PathBuf]) -> bool {
        let named = |pattern: &str| {
            paths.iter().any(|path| {
                let name = path.file_name().map_or(Path::new(""), Path::new);
                let on = if pattern.contains('/') { path } else { name };
                glob(pattern.as_bytes(), on.as_os_str().as_encoded_bytes())
            })
        };
        self.op.covers(op) && self.name.as_deref().is_none_or(named)
    }
}

/// Does `text` match a pattern of bytes, `?` for any one and `*` for any number of any?
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some((b'*', rest)), _) => (0..=text.len()).any(|n| glob(rest, &text[n..])),
        (Some((p, rest)), Some((t, tail))) => (*p == b'?' || p == t) && glob(rest, tail),
        (Some(_), None) => false,
    }
}
