//! The trash: putting things into it, looking what is in it, taking them out again, deleting them for good.

mod delete;
mod list;
mod put;
mod restore;

pub use delete::{EmptyTrash, TrashDelete, empty_trash, trash_delete};
pub use list::{Listing, TrashList, TrashListing, Trashed, trash_list};
pub use put::{Trash, trash};
pub use restore::{Restore, restore};

use super::{steps, undo};
use crate::journal::{Identity, Location, Step};
use crate::operation::Job;
use crate::pool::Pool;
use crate::report::{Outcome, Report};
use crate::sys::stat::Stat;
use crate::trash::{Folder, Size, TrashItem, update_sizes};
use std::ffi::CString;
use std::io;
use std::sync::Arc;

/// A directory that is in a trash since, and its info file.
struct NewDirectory {
    folder: Arc<Folder>,
    name: CString,
    info: Stat,
}

/// Brings the sizes in the trashes that got new directories up to date.
fn keep_sizes(new: &[NewDirectory], job: &Arc<Job>, pool: &Pool) {
    let mut folders = Vec::new();
    new.iter().for_each(|directory| remember(&mut folders, &directory.folder));
    for folder in folders {
        let in_folder = new.iter().filter(|directory| directory.folder.id == folder.id);
        let sizes: Vec<_> = in_folder.filter_map(|directory| size_of(directory, job, pool)).collect();
        // It is a cache: without it somebody walks the directory who wants to know.
        let _ = update_sizes(&folder, sizes, &job.journal);
    }
}

/// Drops the sizes of directories that are gone.
fn drop_sizes(folders: &[Arc<Folder>], job: &Job) {
    for folder in folders {
        let _ = update_sizes(folder, Vec::new(), &job.journal);
    }
}

fn size_of(directory: &NewDirectory, job: &Arc<Job>, pool: &Pool) -> Option<(CString, Size)> {
    let NewDirectory { folder, name, info } = directory;
    let path = folder.path.join("files");
    let bytes = super::measure::allocated(Arc::clone(&folder.files), path, name.clone(), job, pool)?;
    Some((name.clone(), Size { bytes, modified: info.modified.seconds }))
}

/// Takes an info file away that has nothing more to tell of; an undo brings it back.
fn put_info_away(item: &TrashItem, job: &Job) -> io::Result<()> {
    let Some(info) = &item.info else { return Ok(()) };
    let (dir, path, name) = (&item.folder.info, item.folder.path.join("info"), item.info_name());
    let journal = &job.journal;
    let Some(place) = job.kept.place(dir, &path, journal).filter(|_| journal.keeps_steps()) else {
        return item.forget();
    };
    let at = Location { dir: journal.dir(&**dir, &path), name: name.clone() };
    let pending = journal.intend(&Step::Removed { at, kept: place.at.clone(), identity: Identity::from(info) });
    let taken = steps::rename(dir, &name, place.area(), &place.at.name, info.id);
    match steps::settle(job, pending, taken) {
        // Somebody else took it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => item.forget(),
        Ok(()) => {
            job.kept.add(info.allocated);
            Ok(())
        }
    }
}

/// Adds a folder, unless it is there.
fn remember(folders: &mut Vec<Arc<Folder>>, folder: &Arc<Folder>) {
    if !folders.iter().any(|known| known.id == folder.id) {
        folders.push(Arc::clone(folder));
    }
}

/// The report, when all is over. `is_over`: no call is under way any more.
fn report(job: &Job, pool: &Pool, is_over: bool) -> Report {
    let is_cancelled = job.control.is_cancelled();
    if is_over {
        steps::put_back_times(job);
    }
    undo::finish(job, pool, is_over, is_cancelled);
    job.report(if is_cancelled { Outcome::Cancelled } else { Outcome::Done })
}
