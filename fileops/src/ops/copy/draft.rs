//! A new file, link or special file that is not whole yet: where it is meanwhile, and how it gets its name.

use super::names;
use super::place::{Ledger, Place, Spot, Staged};
use crate::engine::{End, Node};
use crate::error::{Action, Error, Result};
use crate::sys::open::Access;
use crate::sys::stat::Stat;
use crate::sys::{name, open, process};
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
/// A new file, link or special file that is not whole yet. Dropped before it is, it leaves nothing behind.
pub(super) struct Draft {
    pub(super) dir: Arc<OwnedFd>,
    pub(super) on_disk: OnDisk,
}

pub(super) enum OnDisk {
    /// Nothing, or nothing any more.
    Nothing,
    /// Under its final name, in a directory of our own.
    Final(CString),
    /// A file that has no name yet.
    Unnamed,
    /// Under a name of ours.
    Staged(Arc<Ledger>, Arc<Staged>),
}

impl Draft {
    /// A file to write to. `mode` is subject to the umask.
    pub(super) fn file(
        ledger: &Arc<Ledger>,
        node: &Node<Place>,
        dir: Arc<OwnedFd>,
        spot: &Spot,
        (mode, access): (u32, Access),
        size: u64,
    ) -> Result<(Draft, OwnedFd)> {
        if let Spot::New(_) = spot {
            // A file without a name needs no cleaning up after a kill; a large one has a name, so that it can be resumed.
            // Where errors may come as late as the close, the file is closed before it gets its name.
            let may_be_unnamed = process::has_proc() && !node.data.route().target.may_fail_at_close();
            if size <= UNNAMED_MAX && may_be_unnamed {
                if let Ok(file) = open::create_unnamed(&*dir, mode, access) {
                    ledger.touches(node, &dir);
                    return Ok((Draft { dir, on_disk: OnDisk::Unnamed }, file));
                }
            }
        }
        Draft::named(ledger, node, dir, spot, |dir, name| open::create_for(dir, name, mode, access), Action::Create)
    }

    /// Anything that has a name from the beginning.
    pub(super) fn named<T>(
        ledger: &Arc<Ledger>,
        node: &Node<Place>,
        dir: Arc<OwnedFd>,
        spot: &Spot,
        mut make: impl FnMut(&OwnedFd, &CStr) -> io::Result<T>,
        action: Action,
    ) -> Result<(Draft, T)> {
        let on_disk = match spot {
            Spot::Direct(name) => OnDisk::Final(name.clone()),
            Spot::New(name) | Spot::Replace(name, _) => {
                OnDisk::Staged(Arc::clone(ledger), ledger.intend(node, &dir, name))
            }
        };
        let mut draft = Draft { dir, on_disk };
        // An error may have come after the name was made (a lost reply): the draft removes it, unless it is somebody else's.
        let name = draft.name().expect("a draft with a name");
        match make(&draft.dir, &name) {
            Ok(made) => {
                if let OnDisk::Staged(ledger, staged) = &draft.on_disk {
                    if let Ok(stat) = Stat::at(&*draft.dir, staged.name()) {
                        ledger.made(staged, stat.id);
                    }
                }
                drop(name);
                Ok((draft, made))
            }
            Err(error) => {
                drop(name);
                if error.kind() == io::ErrorKind::AlreadyExists {
                    draft.forget();
                }
                let error = names::explained(error, spot.name(), node.data.route().target);
                Err(Error::new(action, node.path_of(End::Target, spot.name()), error))
            }
        }
    }

    /// A file of an adopted stage of its own.
    pub(super) fn adopted(ledger: &Arc<Ledger>, staged: Arc<Staged>) -> Draft {
        Draft { dir: Arc::clone(&staged.dir), on_disk: OnDisk::Staged(Arc::clone(ledger), staged) }
    }

    /// A file in an adopted stage.
    pub(super) fn in_stage(dir: &Arc<OwnedFd>, name: &CStr) -> Draft {
        Draft { dir: Arc::clone(dir), on_disk: OnDisk::Final(name.to_owned()) }
    }

    /// The stage that it is.
    pub(super) fn staged(&self) -> Option<&Arc<Staged>> {
        match &self.on_disk {
            OnDisk::Staged(_, staged) => Some(staged),
            _ => None,
        }
    }

    /// What it is called on disk now.
    pub(super) fn name(&self) -> Option<Cow<'static, CStr>> {
        match &self.on_disk {
            OnDisk::Nothing | OnDisk::Unnamed => None,
            OnDisk::Final(name) => Some(Cow::Owned(name.clone())),
            OnDisk::Staged(_, staged) => Some(Cow::Owned(staged.name().to_owned())),
        }
    }

    pub(super) fn is_unnamed(&self) -> bool {
        matches!(self.on_disk, OnDisk::Unnamed)
    }

    /// It is where it belongs, or was never ours.
    pub(super) fn forget(&mut self) {
        if let OnDisk::Staged(ledger, staged) = std::mem::replace(&mut self.on_disk, OnDisk::Nothing) {
            ledger.gone(&staged);
        }
    }

    /// Gives it its final name, which must be free; `file` is the open file of an unnamed one.
    ///
    /// # Errors
    /// `AlreadyExists` if somebody took the name; the draft is then still there, and another name can be tried.
    pub(super) fn publish(&mut self, name: &CStr, file: Option<&OwnedFd>) -> io::Result<()> {
        match (&self.on_disk, file) {
            (OnDisk::Nothing | OnDisk::Final(_), _) => {}
            (OnDisk::Unnamed, Some(file)) => name::link_unnamed(file, &*self.dir, name)?,
            (OnDisk::Unnamed, None) => return Err(io::ErrorKind::InvalidInput.into()),
            (OnDisk::Staged(_, staged), _) => staged.publish(name)?,
        }
        self.forget();
        Ok(())
    }
}

/// Above this a new file has a name of ours while it is written: DESIGN's limit between "again" and "resume".
const UNNAMED_MAX: u64 = 64 << 20;

impl Drop for Draft {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.on_disk, OnDisk::Nothing) {
            OnDisk::Nothing | OnDisk::Unnamed => {}
            OnDisk::Staged(_, staged) if staged.is_doubtful() => {}
            OnDisk::Final(name) => {
                let _ = name::unlink(&*self.dir, &name);
            }
            OnDisk::Staged(ledger, staged) => {
                let found = Stat::at(&*self.dir, staged.name());
                let is_ours = |stat: &Stat| staged.id().is_none_or(|id| id == stat.id);
                let removed = match found {
                    Ok(stat) if is_ours(&stat) => name::unlink(&*self.dir, staged.name()),
                    // The old file, if the answer to the exchange was lost: it stays, and the report says so.
                    Ok(_) => return,
                    Err(error) => Err(error),
                };
                if removed.is_ok() || removed.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                    ledger.gone(&staged);
                }
            }
        }
    }
}
