//! Putting things into the trash: an info file, then a rename. Nothing is ever copied, and nothing deleted instead.

use super::{NewDirectory, keep_sizes, report};
use crate::control::lock;
use crate::engine::{Side, Visit};
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::{Identity, Location, Step};
use crate::meta::sidecar::Kept;
use crate::operation::{Job, Operation, Running};
use crate::ops::copy::{Metadata, add_lines};
use crate::ops::delete::{self, Target};
use crate::ops::each::{self, Acting, Turn};
use crate::ops::terms::{Terms, setters};
use crate::ops::{sidecar, source, steps};
use crate::question::{OnNoTrash, Question, Resolution};
use crate::report::Report;
use crate::schedule::{Effort, Uses};
use crate::sys::clock;
use crate::sys::mount::Watched;
use crate::sys::name::handle;
use crate::sys::open::Follow;
use crate::sys::stat::Stat;
use crate::trash::{Claim, Folder, Place, Serving, claim};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

/// Puts files and trees into the trash, as the FreeDesktop.org specification 1.0 has it: into the home trash what is on its
/// mount, and everything else into a trash at the top of its own mount. Other programs list and restore it.
///
/// Nothing is copied, so that a full disk is no obstacle and everything stays as it is. Where no trash can serve, the entry
/// fails with [`Refusal::NoTrash`], or is asked about ([`Trash::on_no_trash`]): it is never deleted instead by itself. A
/// symbolic link is trashed itself; mount points, directories
/// with something mounted in them, and the trash itself are refused.
///
/// ```no_run
/// # fileops::block_on(async {
/// let report = fileops::trash(["/home/me/old"]).await;
/// for moved in &report.moved {
///     println!("{} is {} now", moved.path.display(), moved.target.display());
/// }
/// report.into_result()?;
/// # Ok::<_, fileops::Incomplete>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The [`Report`] names every entry that stays where it is, and says of all others what they are called in the trash.
pub fn trash<S: Into<PathBuf>>(paths: impl IntoIterator<Item = S>) -> Trash {
    let paths = paths.into_iter().map(Into::into).collect();
    Trash { paths, on_no_trash: OnNoTrash::default(), metadata: Metadata::default(), terms: Terms::default() }
}

/// Something to put into the trash that was not started yet; see [`trash`].
#[must_use = "nothing is put into the trash until it is started or awaited"]
pub struct Trash {
    paths: Vec<PathBuf>,
    on_no_trash: OnNoTrash,
    metadata: Metadata,
    terms: Terms,
}

setters!(Trash: on_error, retry, undoable, jobs, pool);

impl Trash {
    /// What becomes of tags and other attributes that are kept beside the files, where the file system has no place for them;
    /// default [`Metadata::Note`]. With [`Metadata::Sidecar`] they go into the trash with the files. Attributes of the files
    /// themselves always do.
    pub fn metadata(mut self, metadata: Metadata) -> Trash {
        self.metadata = metadata;
        self
    }

    /// What happens to what no trash can take; default [`OnNoTrash::Fail`].
    pub fn on_no_trash(mut self, rule: OnNoTrash) -> Trash {
        self.on_no_trash = rule;
        self
    }

    /// Starts, and gives the handle.
    pub fn start(self) -> Operation {
        let Trash { paths, on_no_trash, metadata, terms } = self;
        let (job, pool) = terms.begin("trash");
        let uses = Uses { sources: paths.clone(), target: None, effort: Effort::Names };
        Operation::start_in_turn(&pool.clone(), job, uses, move |job| {
            let (serving, mounts, directories, doomed, lines) = Default::default();
            let putting = Putting { paths, on_no_trash, metadata, serving, mounts, directories, doomed, lines };
            let over = each::run(putting, &job, &pool, terms.workers, terms.retries);
            let mut is_over = over.is_some();
            if let Some(putting) = &over {
                let done = std::mem::take(&mut *lock(&putting.directories));
                keep_sizes(&done, &job, &pool);
                let lines = std::mem::take(&mut *lock(&putting.lines));
                for Beside { folder, lines } in lines {
                    let added = add_lines(&job, &folder.dir, &folder.path, &lines);
                    added.err().into_iter().for_each(|error| job.fail(error));
                }
                let doomed = std::mem::take(&mut *lock(&putting.doomed));
                is_over = doomed.is_empty() || delete::entries(doomed, &job, &pool, &terms);
            }
            report(&job, &pool, is_over)
        })
    }
}

impl IntoFuture for Trash {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

/// What is to be kept beside the files of a folder.
struct Beside {
    folder: Arc<Folder>,
    lines: BTreeMap<CString, Kept>,
}

struct Putting {
    paths: Vec<PathBuf>,
    on_no_trash: OnNoTrash,
    metadata: Metadata,
    lines: Mutex<Vec<Beside>>,
    serving: Serving,
    mounts: Mutex<Watched>,
    directories: Mutex<Vec<NewDirectory>>,
    /// What no trash can take, and what somebody said is to be deleted instead.
    doomed: Mutex<Vec<Target>>,
}

/// What is to be put into the trash.
struct Entry<'a> {
    /// As the caller calls it.
    path: &'a Path,
    dir: Arc<OwnedFd>,
    name: CString,
    stat: Stat,
    place: Arc<Place>,
}

impl Acting for Putting {
    fn count(&self) -> usize {
        self.paths.len()
    }

    fn path(&self, index: usize) -> PathBuf {
        self.paths[index].clone()
    }

    fn act(&self, turn: &Turn<'_>, index: usize) -> Visit {
        if turn.answer.is_some() {
            self.serving.forget_failures();
        }
        let entry = self.look(&self.paths[index])?;
        for folder in self.serving.folders(&entry.place) {
            if entry.place.is_around(&folder, entry.stat.id) {
                return Err(Error::new(Action::Trash, entry.path, Refusal::IsTrash).into());
            }
            match self.put(&entry, &folder, turn.job) {
                Err(error) if is_of_the_folder(&error) => {}
                put => {
                    put?;
                    each::count(turn.counters, entry.stat.kind());
                    return Ok(());
                }
            }
        }
        let refused = Error::new(Action::Trash, entry.path, Refusal::NoTrash);
        match (turn.answer, self.on_no_trash) {
            (Some((Resolution::Delete, _)), _) | (_, OnNoTrash::Delete) => {
                // When everything else is in the trash.
                let Entry { path, dir, name, stat, .. } = entry;
                let path = path.parent().unwrap_or(Path::new("")).to_owned();
                lock(&self.doomed).push(Target { dir, path, name, id: Some(stat.id), then: None });
                Ok(())
            }
            (_, OnNoTrash::Ask) => Err(Question::NoTrash(Arc::new(refused)).into()),
            (_, OnNoTrash::Fail) => Err(refused.into()),
        }
    }
}

impl Putting {
    fn look<'a>(&self, path: &'a Path) -> Result<Entry<'a>> {
        let refuse = |refusal: Refusal| Error::new(Action::Trash, path, refusal);
        if source::has_no_name(path) && !path.as_os_str().is_empty() {
            return Err(refuse(Refusal::NoName));
        }
        let (side, name): (Side, CString) = source::open(path)?;
        let dir = side.open_descriptor().expect("a root's side is open");
        let stat = handle(&*dir, &name, Follow::No).and_then(Stat::of_dir).during(Action::Stat, || path)?;
        let shown = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let place = self.serving.place(&dir, shown).during(Action::Open, || shown)?;
        if stat.on_mount() != place.mount || (stat.is_dir() && self.has_mount_inside(&place, &name)) {
            return Err(refuse(Refusal::MountPoint));
        }
        if place.is_in_trash(&name) {
            return Err(refuse(Refusal::IsTrash));
        }
        Ok(Entry { path, dir, name, stat, place })
    }

    /// A mount would come along, and be emptied with the trash.
    fn has_mount_inside(&self, place: &Place, name: &CString) -> bool {
        let path = place.path.join(OsStr::from_bytes(name.to_bytes()));
        lock(&self.mounts).has_point_in(&path)
    }

    /// Takes a name in the folder and moves the entry there.
    fn put(&self, entry: &Entry<'_>, folder: &Arc<Folder>, job: &Job) -> Result<()> {
        let original = entry.place.path.join(OsStr::from_bytes(entry.name.to_bytes()));
        let Some(recorded) = folder.recorded(&original) else {
            return Err(Error::new(Action::Trash, entry.path, io::Error::from_raw_os_error(libc::EXDEV)));
        };
        let text = crate::trash::info_text(recorded, clock::now());
        let named = |error: Error| Error { path: entry.path.to_owned(), target: Some(error.path), ..error };
        let mut claimed = claim(folder, &entry.name, &text, 1, &job.journal).map_err(named)?;
        self.touch(entry, job);
        loop {
            match steps::rename(&entry.dir, &entry.name, &folder.files, &claimed.name, entry.stat.id) {
                Ok(()) => {
                    self.finish(entry, folder, claimed, job);
                    return Ok(());
                }
                // A thing without an info file came between.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    claimed = claimed.next(folder, &entry.name, &text, &job.journal).map_err(named)?;
                }
                Err(error) => {
                    // Where it is unknown what became of it, the info file is what can tell.
                    if !Stat::at(&*folder.files, &claimed.name).is_ok_and(|stat| stat.id == entry.stat.id) {
                        claimed.give_up(folder);
                    }
                    return Err(Error::new(Action::Trash, entry.path, error).with_target(&folder.path));
                }
            }
        }
    }

    /// Records when the entry's directory was changed last, so that an undo leaves it so.
    fn touch(&self, entry: &Entry<'_>, job: &Job) {
        if !entry.place.is_touched.swap(true, Relaxed) {
            let dir = job.journal.dir(&*entry.dir, &entry.place.path);
            job.journal.did(&Step::Touched { dir, modified: entry.place.modified });
        }
    }

    fn add_line(&self, folder: &Arc<Folder>, name: &CStr, kept: Kept) {
        let mut all = lock(&self.lines);
        let index = all.iter().position(|beside| beside.folder.id == folder.id).unwrap_or_else(|| {
            all.push(Beside { folder: Arc::clone(folder), lines: BTreeMap::new() });
            all.len() - 1
        });
        all[index].lines.insert(name.to_owned(), kept);
    }

    /// Records what was done, so that it can be told and undone.
    fn finish(&self, entry: &Entry<'_>, folder: &Arc<Folder>, claimed: Claim, job: &Job) {
        let journal = &job.journal;
        let (files, info) = claimed.dirs(folder, journal);
        let from = Location { dir: journal.dir(&*entry.dir, &entry.place.path), name: entry.name.clone() };
        let to = Location { dir: files, name: claimed.name.clone() };
        journal.did(&Step::Created {
            at: Location { dir: info, name: claimed.info_name() },
            identity: Identity::from(&claimed.info),
        });
        journal.did(&Step::Moved { from, to, identity: Identity::from(&entry.stat) });
        if self.metadata == Metadata::Sidecar {
            let kept = sidecar::line_of(&entry.dir, &entry.name, &entry.stat);
            kept.into_iter().for_each(|kept| self.add_line(folder, &claimed.name, kept));
        }
        job.moved(entry.path.to_owned(), folder.info_path(&claimed.name));
        if entry.stat.is_dir() {
            lock(&self.directories).push(NewDirectory {
                folder: Arc::clone(folder),
                name: claimed.name,
                info: claimed.info,
            });
        }
    }
}

/// Whether another folder may do better: this one is read-only, or not really on the entry's file system.
fn is_of_the_folder(error: &Error) -> bool {
    let is_claim = error.action != Action::Trash;
    match error.source.raw_os_error() {
        Some(libc::EXDEV) => true,
        Some(libc::EROFS | libc::EACCES | libc::EPERM) => is_claim,
        _ => false,
    }
}
