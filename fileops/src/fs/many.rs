//! Many entries in one call: one change of threads for all of a mount, and in order.

use super::ahead::{Ahead, Asking};
use super::metadata::Metadata;
use crate::control::lock;
use crate::error::{Action, Error, Result};
use crate::pool::{Pool, Priority};
use crate::sys::mount::{Mount, Watched};
use crate::sys::open::Follow;
use crate::sys::stat::{Full, HERE};
use crate::sys::thread;
use std::ffi::{CStr, OsStr};
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// Fewer paths than this are not worth a second thread.
const WORTH_A_THREAD: usize = 256;

/// Threads that one mount's part of a batch is given at most: more gain nothing where nobody waits, and where they wait
/// others want some of the lane too.
const THREADS: usize = 4;

/// What is at each of these paths, in their order; symbolic links are followed. As [`metadata`](super::metadata()), in one
/// hop to a thread for all that one mount serves, in a few where they are many.
///
/// Nothing happens before the first poll. Each mount's part is asked in the mount's own lane, so that one that hangs holds up
/// the answer, but no other calls. Dropping it ends it after the paths that are looked at just now.
///
/// # Errors
/// Each path has its own, as [`metadata`](super::metadata()) would give it.
///
/// ```
/// # fileops::block_on(async {
/// let answers = fileops::fs::metadata_many(["/etc", "/no/such/file", "/etc/passwd"]).await;
/// assert!(answers[0].as_ref().is_ok_and(|metadata| metadata.is_dir()));
/// assert_eq!(answers[1].as_ref().unwrap_err().path.to_str(), Some("/no/such/file"));
/// assert!(answers[2].as_ref().is_ok_and(|metadata| metadata.is_file()));
/// # });
/// ```
pub fn metadata_many<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> MetadataMany {
    MetadataMany::new(paths, Follow::Yes)
}

/// What is at each of these paths, of symbolic links themselves; otherwise as [`metadata_many`].
pub fn symlink_metadata_many<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> MetadataMany {
    MetadataMany::new(paths, Follow::No)
}

/// The future that [`metadata_many`] gives.
#[must_use = "nothing happens before a future is polled"]
pub struct MetadataMany {
    paths: Arc<Paths>,
    follow: Follow,
    asking: Asking,
    parts: Vec<Part>,
    is_begun: bool,
    is_dropped: Arc<AtomicBool>,
}

/// What one worker does.
struct Part {
    which: Which,
    call: Ahead<Vec<Result<Metadata>>>,
    answers: Option<Vec<Result<Metadata>>>,
}

/// Some of the paths, by their numbers.
#[derive(Clone)]
enum Which {
    Range(Range<usize>),
    /// Those of one mount among others, and a part of them.
    Some(Arc<Vec<usize>>, Range<usize>),
}

impl Which {
    fn len(&self) -> usize {
        let (Which::Range(range) | Which::Some(_, range)) = self;
        range.len()
    }

    fn get(&self, at: usize) -> usize {
        match self {
            Which::Range(range) => range.start + at,
            Which::Some(all, range) => all[range.start + at],
        }
    }

    fn part(&self, part: Range<usize>) -> Which {
        match self {
            Which::Range(range) => Which::Range(range.start + part.start..range.start + part.end),
            Which::Some(all, range) => Which::Some(Arc::clone(all), range.start + part.start..range.start + part.end),
        }
    }
}

/// Paths in one block of memory, each with a NUL at its end.
struct Paths {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Paths {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn with_nul(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    fn bytes(&self, at: usize) -> &[u8] {
        self.with_nul(at).split_last().map_or(&[], |(_, path)| path)
    }

    fn path(&self, at: usize) -> &Path {
        Path::new(OsStr::from_bytes(self.bytes(at)))
    }

    fn look(&self, at: usize, follow: Follow) -> Result<Metadata> {
        let name = CStr::from_bytes_with_nul(self.with_nul(at)).map_err(|_| io::ErrorKind::InvalidInput.into());
        let full = name.and_then(|name| Full::at(HERE, name, follow));
        full.map(Metadata).map_err(|error| Error::new(Action::Stat, self.path(at), error))
    }
}

impl MetadataMany {
    fn new<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, follow: Follow) -> MetadataMany {
        let paths = paths.into_iter();
        let mut all = Paths { bytes: Vec::new(), ends: Vec::with_capacity(paths.size_hint().0) };
        for path in paths {
            all.bytes.extend_from_slice(path.as_ref().as_os_str().as_bytes());
            all.bytes.push(0);
            all.ends.push(all.bytes.len());
        }
        MetadataMany {
            paths: Arc::new(all),
            follow,
            asking: Asking::default(),
            parts: Vec::new(),
            is_begun: false,
            is_dropped: Arc::default(),
        }
    }

    /// As [`Call::priority`](super::Call::priority).
    pub fn priority(mut self, priority: Priority) -> MetadataMany {
        self.asking.priority = priority;
        self
    }

    /// As [`Call::on`](super::Call::on).
    pub fn on(mut self, pool: &Pool) -> MetadataMany {
        self.asking.pool = Some(pool.clone());
        self
    }

    fn begin(&mut self) {
        for group in by_mount(&self.paths) {
            let threads = (group.len() / WORTH_A_THREAD).clamp(1, THREADS.min(thread::cores()));
            let cut = |number: usize| group.len() * number / threads;
            for number in 0..threads {
                let which = group.part(cut(number)..cut(number + 1));
                let call = self.ask(which.clone());
                self.parts.push(Part { which, call, answers: None });
            }
        }
    }

    fn ask(&self, which: Which) -> Ahead<Vec<Result<Metadata>>> {
        let (paths, follow, is_dropped) = (Arc::clone(&self.paths), self.follow, Arc::clone(&self.is_dropped));
        self.asking.begin(Action::Stat, self.paths.path(which.get(0)), move || {
            let numbers = (0..which.len()).map(|at| which.get(at));
            let wanted = numbers.take_while(|_| !is_dropped.load(Ordering::Relaxed));
            Ok(wanted.map(|number| paths.look(number, follow)).collect())
        })
    }

    /// All answers in the order of the paths.
    fn take(&mut self) -> Vec<Result<Metadata>> {
        let mut parts = std::mem::take(&mut self.parts);
        if let [part] = &mut parts[..] {
            return part.answers.take().unwrap_or_default();
        }
        if parts.iter().all(|part| matches!(part.which, Which::Range(_))) {
            let mut all = Vec::with_capacity(self.paths.len());
            parts.into_iter().for_each(|part| all.extend(part.answers.into_iter().flatten()));
            return all;
        }
        let mut all: Vec<Option<_>> = (0..self.paths.len()).map(|_| None).collect();
        for part in parts {
            for (at, answer) in part.answers.into_iter().flatten().enumerate() {
                all[part.which.get(at)] = Some(answer);
            }
        }
        all.into_iter().flatten().collect()
    }
}

impl Future for MetadataMany {
    type Output = Vec<Result<Metadata>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let many = &mut *self;
        if !std::mem::replace(&mut many.is_begun, true) {
            many.begin();
        }
        let mut is_whole = true;
        for part in many.parts.iter_mut().filter(|part| part.answers.is_none()) {
            match part.call.poll(context) {
                Poll::Pending => is_whole = false,
                Poll::Ready(Ok(answers)) => part.answers = Some(answers),
                // The pool was closed, say: then that is the answer for each.
                Poll::Ready(Err(error)) => {
                    let numbers = (0..part.which.len()).map(|at| part.which.get(at));
                    let blame = |number| Error { path: many.paths.path(number).into(), ..error.again() };
                    part.answers = Some(numbers.map(|number| Err(blame(number))).collect());
                }
            }
        }
        if is_whole { Poll::Ready(many.take()) } else { Poll::Pending }
    }
}

impl Drop for MetadataMany {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::Relaxed);
    }
}

/// The mounts as they were the last time that somebody asked.
static MOUNTS: Mutex<Option<Watched>> = Mutex::new(None);

/// The paths apart by the mounts that serve them, as far as the paths tell; none is touched.
fn by_mount(paths: &Paths) -> Vec<Which> {
    let mut mounts = lock(&MOUNTS);
    let mounts = mounts.get_or_insert_default();
    mounts.refresh();
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    // All that has been so far is in the first group, which is not written down.
    let mut only: Option<usize> = None;
    let mut before: Option<(&[u8], usize)> = None;
    for number in 0..paths.len() {
        let path = paths.bytes(number);
        let parent = &path[..path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1)];
        let mount = match before {
            Some((other, mount)) if other == parent => mount,
            _ => {
                let (mount, is_whole) = serving(mounts.table(), path, parent);
                // Nothing is mounted in the directory: its other entries are on the same mount.
                before = is_whole.then_some((parent, mount));
                mount
            }
        };
        match only {
            None if groups.is_empty() => only = Some(mount),
            Some(other) if other == mount => {}
            _ => {
                if let Some(other) = only.take() {
                    groups.push((other, (0..number).collect()));
                }
                match groups.iter_mut().find(|(other, _)| *other == mount) {
                    Some((_, numbers)) => numbers.push(number),
                    None => groups.push((mount, vec![number])),
                }
            }
        }
    }
    if groups.is_empty() && paths.len() > 0 {
        return vec![Which::Range(0..paths.len())];
    }
    let whole = |(_, numbers): (usize, Vec<usize>)| {
        let range = 0..numbers.len();
        Which::Some(Arc::new(numbers), range)
    };
    groups.into_iter().map(whole).collect()
}

/// The number of the mount that serves a path, and whether it serves all that is in the path's directory.
fn serving(table: &[Mount], path: &[u8], parent: &[u8]) -> (usize, bool) {
    let is_plain =
        |path: &[u8]| path.first() == Some(&b'/') && !path.windows(2).any(|two| two == b"//" || two == b"/.");
    let absolute;
    let (path, parent) = if is_plain(path) {
        (path, parent)
    } else {
        absolute = std::path::absolute(OsStr::from_bytes(path)).unwrap_or_default();
        let path = absolute.as_os_str().as_bytes();
        (path, &path[..path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1)])
    };
    let (mut best, mut length, mut is_whole) = (usize::MAX, 0, true);
    for (number, mount) in table.iter().enumerate() {
        let point = mount.point.as_os_str().as_bytes();
        let is_above =
            path.starts_with(point) && (point.ends_with(b"/") || matches!(path.get(point.len()), None | Some(b'/')));
        // Of two on one point the later one hides the other.
        if is_above && point.len() >= length {
            (best, length) = (number, point.len());
        }
        is_whole &= !(point.len() > parent.len() && point.starts_with(parent));
    }
    (best, is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mount;

    #[test]
    fn a_path_is_served_by_the_deepest_and_latest_mount_above_it() {
        let lines: [&[u8]; 4] = [
            b"1 0 8:1 / / rw - ext4 a rw",
            b"2 1 8:2 / /mnt rw - ext4 b rw",
            b"3 1 8:3 / /mnt rw - ext4 c rw",
            b"4 1 8:4 / /a/b rw - ext4 d rw",
        ];
        let table: Vec<_> = lines.into_iter().filter_map(mount::parse).collect();
        let serving = |path: &str| serving(&table, path.as_bytes(), &path.as_bytes()[..path.rfind('/').unwrap() + 1]);
        assert_eq!(serving("/mnt/x"), (2, true));
        assert_eq!(serving("/mnt"), (2, false));
        assert_eq!(serving("/mntx"), (0, false));
        assert_eq!(serving("/a/x"), (0, false));
        assert_eq!(serving("/a/b/x"), (3, true));
        assert_eq!(serving("/b//x"), (0, true));
        assert_eq!(serving("/c/./../mnt/x").0, 0);
    }
}
