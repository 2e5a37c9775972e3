//! Looking what is in the trash: in all folders of all mounts, each mount on a thread of its own, so that one that does not
//! answer is named and holds up nobody.

use crate::error::{Action, During, Error, Result};
use crate::pool::{Pool, Task};
use crate::sys::mount;
use crate::trash::{Folder, Make, TrashItem, data_home, in_top, is_absence, is_top};
use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A disk that sleeps needs several seconds to wake up.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);

/// File systems that hold no files of people's, and some that would be mounted by a look.
const WITHOUT_TRASH: [&str; 23] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "fuse.portal",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// How something in the trash is named.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Trashed {
    /// As it was listed: nothing else is ever taken for it.
    Item(Box<TrashItem>),
    /// By its [`id`](TrashItem::id).
    Id(PathBuf),
    /// By where it was; of several the one trashed last.
    Original(PathBuf),
}

impl Trashed {
    /// Where the thing itself is, as far as that is known without a look.
    pub(super) fn place(&self) -> Option<PathBuf> {
        match self {
            Trashed::Item(item) => Some(item.folder.file_path(&item.name)),
            Trashed::Id(id) => Some(id.clone()),
            Trashed::Original(_) => None,
        }
    }

    pub(super) fn original(&self) -> Option<&Path> {
        match self {
            Trashed::Original(path) => Some(path),
            _ => None,
        }
    }
}

impl From<TrashItem> for Trashed {
    fn from(item: TrashItem) -> Trashed {
        Trashed::Item(Box::new(item))
    }
}

impl From<&TrashItem> for Trashed {
    fn from(item: &TrashItem) -> Trashed {
        item.clone().into()
    }
}

/// What is in the trash.
#[non_exhaustive]
#[derive(Debug, Default)]
#[must_use]
pub struct TrashListing {
    /// The items, the one trashed last first; those whose date is not known come last.
    pub items: Vec<TrashItem>,
    /// Trashes that could not be read, and mounts that did not answer.
    pub failures: Vec<Error>,
}

/// Lists everything in all trashes of this user: the home trash, and those at the tops of all mounts.
///
/// ```
/// let listing = fileops::block_on(async { fileops::trash_list().await });
/// for item in &listing.items {
///     println!("{} was {:?}", item.id.display(), item.original);
/// }
/// ```
pub fn trash_list() -> TrashList {
    TrashList { pool: None, patience: PATIENCE }
}

/// A look into the trash that has not begun; see [`trash_list`].
#[must_use = "nothing is listed until it is awaited"]
pub struct TrashList {
    pool: Option<Pool>,
    patience: Duration,
}

impl TrashList {
    /// Waits so long at most for mounts that do not answer; default 8 seconds. They are among the failures, with ETIMEDOUT.
    pub fn patience(mut self, time: Duration) -> TrashList {
        self.patience = time;
        self
    }

    /// Uses the threads of this pool, instead of the global one.
    pub fn pool(mut self, pool: &Pool) -> TrashList {
        self.pool = Some(pool.clone());
        self
    }
}

impl IntoFuture for TrashList {
    type Output = TrashListing;
    type IntoFuture = Listing;

    fn into_future(self) -> Listing {
        let pool = self.pool.unwrap_or_else(|| Pool::global().clone());
        let patience = self.patience;
        Listing(pool.clone().spawn(move || list(&pool, patience)))
    }
}

/// The future of a [`TrashListing`].
#[must_use = "nobody sees the list"]
pub struct Listing(Task<TrashListing>);

impl Future for Listing {
    type Output = TrashListing;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TrashListing> {
        Pin::new(&mut self.0).poll(context).map(|answer| {
            answer.unwrap_or_else(|error| {
                let error = Error::new(Action::Start, "", io::Error::other(error));
                TrashListing { items: Vec::new(), failures: vec![error] }
            })
        })
    }
}

/// What one mount answered: for each folder what is in it.
type Answer = (PathBuf, Vec<Result<Vec<TrashItem>>>);

/// Looks everywhere, and gives what is known when the time is over.
pub(super) fn list(pool: &Pool, patience: Duration) -> TrashListing {
    let tops = tops().into_iter().map(|top| (top, Top::Mount)).collect();
    look_at(tops, pool, patience)
}

/// Looks where something may be that was once at one of these paths: in the home trash, and at the tops above them.
pub(super) fn list_above(paths: &[PathBuf], pool: &Pool, patience: Duration) -> TrashListing {
    let mut tops = vec![(PathBuf::new(), Top::Mount)];
    for top in paths.iter().flat_map(|path| path.ancestors().skip(1)) {
        if !tops.iter().any(|(known, _)| known == top) {
            tops.push((top.to_owned(), Top::Perhaps));
        }
    }
    look_at(tops, pool, patience)
}

/// Whether a directory is known to be the top of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Top {
    Mount,
    /// It may be one, or that of a subvolume.
    Perhaps,
}

fn look_at(tops: Vec<(PathBuf, Top)>, pool: &Pool, patience: Duration) -> TrashListing {
    let end = Instant::now() + patience;
    let (sender, receiver) = channel::<Answer>();
    let mut waiting = HashSet::new();
    // A task that is dropped is given up, if it has not begun.
    let mut tasks = Vec::new();
    for (top, kind) in tops {
        let (sender, place) = (sender.clone(), top.clone());
        waiting.insert(top.clone());
        let look = move || {
            // Nobody may be waiting any more.
            let _ = sender.send((place.clone(), look(&place, kind)));
        };
        if pool.has_threads() {
            tasks.push(pool.run_at(lane(&top), look));
        } else {
            look();
        }
    }
    drop(sender);
    let mut answers = Vec::new();
    while !waiting.is_empty() {
        let Ok((place, answer)) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
        waiting.remove(&place);
        answers.extend(answer);
    }
    let late = |place| Err(Error::new(Action::List, place, io::Error::from_raw_os_error(libc::ETIMEDOUT)));
    answers.extend(waiting.into_iter().map(late));
    listing(answers)
}

/// The tops of all mounts that may have a trash; the home trash is an empty path.
fn tops() -> Vec<PathBuf> {
    let mut tops = vec![PathBuf::new()];
    for mount in mount::table().unwrap_or_default() {
        if !WITHOUT_TRASH.contains(&mount.kind.as_str()) && !tops.contains(&mount.point) {
            tops.push(mount.point);
        }
    }
    tops
}

/// A path on the mount that is looked at.
fn lane(top: &Path) -> PathBuf {
    if top.as_os_str().is_empty() { data_home().unwrap_or_default() } else { top.to_owned() }
}

fn look(top: &Path, kind: Top) -> Vec<Result<Vec<TrashItem>>> {
    let folders = match (top.as_os_str().is_empty(), kind) {
        (true, _) => vec![Folder::home(Make::No)],
        (_, Top::Perhaps) if !is_top(top) => Vec::new(),
        _ => in_top(top),
    };
    let there = folders.into_iter().filter(|folder| !folder.as_ref().is_err_and(is_absence));
    there.map(|folder| folder.and_then(|folder| Arc::new(folder).items()).during(Action::List, || top)).collect()
}

/// One list of all; a folder that is seen in two places is taken once.
fn listing(answers: Vec<Result<Vec<TrashItem>>>) -> TrashListing {
    let mut listing = TrashListing::default();
    let mut seen = HashSet::new();
    for answer in answers {
        match answer {
            Ok(items) => {
                let folder = items.first().map(|item| item.folder.id);
                if folder.is_some_and(|id| seen.insert(id)) {
                    listing.items.extend(items);
                }
            }
            Err(error) => listing.failures.push(error),
        }
    }
    // Of those of one second the times of the info files can tell which was first.
    let order = |item: &TrashItem| (item.deleted, item.info.map(|info| info.modified));
    listing.items.sort_by(|a, b| order(b).cmp(&order(a)).then_with(|| a.id.cmp(&b.id)));
    listing
}
