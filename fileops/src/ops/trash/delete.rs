//! Deleting what is in the trash for good: what was trashed first, then its info file, so that what is left of an
//! interruption is still an item.

use super::list::{PATIENCE, Trashed, list};
use super::restore::{Wanted, resolve};
use super::{drop_sizes, remember, report};
use crate::error::{Action, During};
use crate::operation::{Job, Operation, Running};
use crate::ops::delete::{self, Target};
use crate::ops::terms::{Terms, setters};
use crate::pool::Pool;
use crate::report::Report;
use crate::schedule::{Effort, Uses};
use crate::sys::clock;
use crate::trash::TrashItem;
use std::sync::Arc;

const DAY: i64 = 24 * 60 * 60;

/// Deletes single items of the trash for good: as they were listed, by their ids, or by their original paths.
///
/// # Errors
/// The [`Report`] names every entry that could not be deleted; its item stays in the trash.
pub fn trash_delete<I: Into<Trashed>>(items: impl IntoIterator<Item = I>) -> TrashDelete {
    TrashDelete { items: items.into_iter().map(Into::into).collect(), terms: Terms::default() }
}

/// Items of the trash to be deleted; see [`trash_delete`].
#[must_use = "nothing is deleted until it is started or awaited"]
pub struct TrashDelete {
    items: Vec<Trashed>,
    terms: Terms,
}

setters!(TrashDelete: on_error, retry, jobs, pool);

impl TrashDelete {
    /// Starts deleting, and gives the handle.
    pub fn start(self) -> Operation {
        let TrashDelete { items, terms } = self;
        let (job, pool) = terms.begin("trash-delete");
        let sources = items.iter().filter_map(Trashed::place).collect();
        let uses = Uses { sources, target: None, effort: Effort::Entries };
        Operation::start_in_turn(&pool.clone(), job, uses, move |job| {
            let wanted = resolve(items, &job, &pool);
            let found = wanted.iter().filter_map(|wanted| looked(wanted, &job)).collect();
            delete(found, &job, &pool, &terms)
        })
    }
}

impl IntoFuture for TrashDelete {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

/// Deletes everything that is in the trash, damaged items too, for good: in all trashes of this user, going on after failures.
///
/// # Errors
/// The [`Report`] names every entry that could not be deleted, and every trash that could not be read.
pub fn empty_trash() -> EmptyTrash {
    EmptyTrash { older_than: None, terms: Terms::default() }
}

/// A trash to be emptied; see [`empty_trash`].
#[must_use = "nothing is deleted until it is started or awaited"]
pub struct EmptyTrash {
    older_than: Option<u32>,
    terms: Terms,
}

setters!(EmptyTrash: on_error, retry, jobs, pool);

impl EmptyTrash {
    /// Only what was put into the trash more than so many days ago; what has no date stays.
    pub fn older_than(mut self, days: u32) -> EmptyTrash {
        self.older_than = Some(days);
        self
    }

    /// Starts deleting, and gives the handle.
    pub fn start(self) -> Operation {
        let EmptyTrash { older_than, terms } = self;
        let (job, pool) = terms.begin("empty-trash");
        Operation::start(&pool.clone(), job, move |job| {
            let mut listing = list(&pool, PATIENCE);
            listing.failures.drain(..).for_each(|error| job.fail(error));
            if let Some(days) = older_than {
                let until = clock::now().saturating_sub(i64::from(days) * DAY);
                listing.items.retain(|item| item.deleted.is_some_and(|deleted| deleted < until));
            }
            delete(listing.items, &job, &pool, &terms)
        })
    }
}

impl IntoFuture for EmptyTrash {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

fn looked(wanted: &Wanted, job: &Job) -> Option<TrashItem> {
    let item = wanted.item().during(Action::Remove, || wanted.path());
    item.map_err(|error| job.fail(error)).ok()
}

fn delete(items: Vec<TrashItem>, job: &Arc<Job>, pool: &Pool, terms: &Terms) -> Report {
    let mut folders = Vec::new();
    for item in items.iter().filter(|item| item.is_dir) {
        remember(&mut folders, &item.folder);
    }
    let targets = items.into_iter().map(target).collect();
    let is_over = delete::entries(targets, job, pool, terms);
    if is_over {
        drop_sizes(&folders, job);
    }
    report(job, pool, is_over)
}

/// The thing itself, and after it its info file.
fn target(item: TrashItem) -> Target {
    let forgotten = item.clone();
    let then = move || forgotten.forget().during(Action::Remove, || &forgotten.id);
    Target {
        dir: Arc::clone(&item.folder.files),
        path: item.folder.path.join("files"),
        id: item.file.map(|stat| stat.id),
        name: item.name,
        then: Some(Box::new(then)),
    }
}
