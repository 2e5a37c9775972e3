//! Owner, mode, times and extended attributes: kept, or noted where the target cannot hold them.

use super::Copying;
use super::beside::Spoken;
use super::route::Route;
use crate::engine::{Visit, Worker};
use crate::error::{Action, During};
use crate::meta::sidecar::Attributes;
use crate::report::NoteKind;
use crate::sys::attributes::{self, Subject};
use crate::sys::mount;
use crate::sys::stat::Stat;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What a new entry got from the kernel when it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) owner: (u32, u32),
    pub(super) mode: u32,
}

/// A new entry whose attributes are to be set.
pub(super) enum Target<'a> {
    File(&'a OwnedFd),
    /// A name that is not opened: a symbolic link, a special file.
    Name(&'a OwnedFd, &'a CStr),
}

impl Target<'_> {
    fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        match self {
            Target::File(file) => attributes::set_owner(file, uid, gid),
            Target::Name(dir, name) => attributes::set_owner_at(dir, name, uid, gid),
        }
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        match self {
            Target::File(file) => attributes::set_mode(file, mode),
            Target::Name(dir, name) => attributes::set_mode_at(dir, name, mode),
        }
    }

    /// Of an open file, as it is now.
    fn mode(&self) -> Option<u32> {
        match self {
            Target::File(file) => Stat::of(file).ok().map(|stat| stat.permissions()),
            Target::Name(..) => None,
        }
    }

    fn set_times(&self, stat: &Stat) -> io::Result<()> {
        match self {
            Target::File(file) => attributes::set_times(file, stat.accessed, stat.modified),
            Target::Name(dir, name) => attributes::set_times_at(dir, name, stat.accessed, stat.modified),
        }
    }
}

/// Whether the target says that it does not hold such a thing, or that this user may not; anything else is a failure.
fn is_refused(error: &io::Error) -> bool {
    let refusals = [libc::EPERM, libc::EACCES, libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::EOVERFLOW];
    error.raw_os_error().is_some_and(|errno| refusals.contains(&errno))
}

/// Attributes that say something about this file system, not about the file, and those in which xfs shows root once more
/// the access control lists that it keeps: on another file system they would be dead, and back on xfs they would bring
/// old lists back. Source of these: xattr.conf of libattr.
fn is_of_the_system(name: &CStr) -> bool {
    const NAMES: [&CStr; 5] =
        [c"security.selinux", c"security.ima", c"security.evm", c"trusted.SGI_ACL_FILE", c"trusted.SGI_ACL_DEFAULT"];
    NAMES.contains(&name)
}

impl Copying {
    /// Sets owner, extended attributes, mode and times of a new entry, in this order: a new owner clears capabilities and
    /// setuid, and nothing may follow the times.
    pub(super) fn keep_all(
        &self,
        worker: &mut Worker<Self>,
        route: &Route,
        (source, target): (Target<'_>, Target<'_>),
        (stat, beside): (&Stat, Option<Spoken<'_>>),
        made: Made,
        path: &dyn Fn() -> PathBuf,
    ) -> Visit {
        let mode = self.keep_owner(worker, &target, stat, made, path)?;
        let mut setting = Setting { route, target: &target, made, is_opened: false, lost: Attributes::new(), path };
        self.keep_xattrs(worker, &mut setting, &source)?;
        if let Some(of) = beside {
            for (name, value) in self.attributes_beside(worker, of, stat) {
                self.set_users(worker, &mut setting, &name, &value)?;
            }
        }
        let Setting { is_opened, lost, .. } = setting;
        let is_link = stat.kind() == rustix::fs::FileType::Symlink;
        if !is_link && (mode != made.mode || is_opened) {
            let is_set = noted(worker, NoteKind::ModeNotKept, target.set_mode(mode), Action::SetMode, path)?;
            if is_set && route.has_own_modes() && target.mode().is_some_and(|now| now != mode) {
                worker.job().note(NoteKind::ModeNotKept, None, path);
            }
        }
        noted(worker, NoteKind::TimesNotKept, target.set_times(stat), Action::SetTimes, path)?;
        match beside {
            Some(of) => Ok(self.keep_beside(of, &target, lost).during(Action::Stat, path)?),
            None => Ok(()),
        }
    }

    /// Gives the mode that is right for the owner the entry has then, as `cp -p` does: neither setuid nor setgid where
    /// owner or group is another.
    fn keep_owner(
        &self,
        worker: &Worker<Self>,
        target: &Target<'_>,
        stat: &Stat,
        made: Made,
        path: &dyn Fn() -> PathBuf,
    ) -> Visit<u32> {
        let mut mode = stat.permissions();
        let wrong = (stat.uid != made.owner.0, stat.gid != made.owner.1);
        if wrong == (false, false) {
            return Ok(mode);
        }
        let uid = (wrong.0 && self.may_give_away).then_some(stat.uid);
        let gid = wrong.1.then_some(stat.gid);
        let answer = match (uid, gid) {
            (None, None) => Ok(()),
            (uid, gid) => target.set_owner(uid, gid),
        };
        let is_kept = answer.is_ok();
        let kept = noted(worker, NoteKind::OwnerNotKept, answer, Action::SetOwner, path)?;
        if kept && uid.is_none() && wrong.0 {
            worker.job().note(NoteKind::OwnerNotKept, None, path);
        }
        let is_lost = !is_kept || wrong.0 && uid.is_none();
        let dropped = if is_lost { mode & 0o6000 } else { 0 };
        if dropped != 0 {
            worker.job().note(NoteKind::SetIdNotKept, None, path);
            mode &= !dropped;
        }
        // chown cleared these bits, or the file was made without them: the mode is set again in any case.
        Ok(mode)
    }

    fn keep_xattrs(&self, worker: &mut Worker<Self>, setting: &mut Setting<'_>, source: &Target<'_>) -> Visit {
        if !setting.route.has_attributes() {
            return Ok(());
        }
        let (mut names, mut value) = (std::mem::take(&mut worker.names), std::mem::take(&mut worker.value));
        let kept = self.keep_each_xattr(worker, setting, source, (&mut names, &mut value));
        (worker.names, worker.value) = (names, value);
        kept
    }

    fn keep_each_xattr(
        &self,
        worker: &Worker<Self>,
        setting: &mut Setting<'_>,
        source: &Target<'_>,
        (names, value): (&mut Vec<u8>, &mut Vec<u8>),
    ) -> Visit {
        let (route, path) = (setting.route, setting.path);
        let from_path = subject_path(source);
        let from = subject(source, &from_path);
        match attributes::xattr_names(from, names) {
            Ok(()) => {}
            Err(error) if crate::sys::is_unsupported(&error) => {
                // Said of a link, it is about links.
                if from_path.is_none() {
                    route.no_attributes();
                }
                return Ok(());
            }
            Err(error) if is_refused(&error) => {
                worker.job().note(NoteKind::AttributesNotKept, Some(&error), path);
                return Ok(());
            }
            // A link seen through /proc where there is none.
            Err(error) if from_path.is_some() && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).during(Action::ReadXattr, path).map_err(Into::into),
        }
        for name in names.split_inclusive(|&byte| byte == 0) {
            let name = CStr::from_bytes_with_nul(name).expect("the kernel ends each name with a NUL");
            if is_of_the_system(name) {
                continue;
            }
            let is_users = name.to_bytes().starts_with(b"user.");
            if is_users && !route.takes_user_attributes() && !self.keeps_beside() {
                worker.job().note(NoteKind::AttributesNotKept, None, path);
                continue;
            }
            match attributes::xattr(from, name, value) {
                Ok(()) => {}
                // Gone since the list was made, or one that only some may read.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::EPERM | libc::EACCES)) => {
                    continue;
                }
                Err(error) if is_refused(&error) => {
                    worker.job().note(NoteKind::AttributesNotKept, Some(&error), path);
                    continue;
                }
                Err(error) => return Err(error).during(Action::ReadXattr, path).map_err(Into::into),
            }
            if is_users {
                self.set_users(worker, setting, name, value)?;
            } else {
                let set = setting.set(name, value);
                setting.settle(worker, set)?;
            }
        }
        Ok(())
    }

    /// Sets an attribute of the user's; where the target has no place for it, it is to be kept beside, if that was asked for.
    fn set_users(&self, worker: &Worker<Self>, setting: &mut Setting<'_>, name: &CStr, value: &[u8]) -> Visit {
        let goes_beside = self.keeps_beside() && matches!(setting.target, Target::File(_));
        if goes_beside && !setting.route.takes_user_attributes() {
            setting.lost.push((name.to_owned(), value.to_vec()));
            return Ok(());
        }
        let mut set = setting.set(name, value);
        // Only who may write to a file by its mode may give it attributes, whatever the descriptor was opened for.
        if set.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EACCES)) {
            if let (false, Target::File(file)) = (setting.is_opened, setting.target) {
                setting.is_opened = attributes::set_mode(file, setting.made.mode | 0o200).is_ok();
                set = setting.set(name, value);
            }
        }
        if set.as_ref().is_err_and(crate::sys::is_unsupported) {
            setting.route.no_user_attributes();
            if goes_beside {
                setting.lost.push((name.to_owned(), value.to_vec()));
                return Ok(());
            }
        }
        setting.settle(worker, set)
    }

    /// Takes away what a new entry inherits from the directory it was made in, and the source does not have.
    pub(super) fn disinherit(&self, target: &Target<'_>) {
        let path = subject_path(target);
        let subject = subject(target, &path);
        // Where there are no lists there is nothing to remove.
        let _ = attributes::remove_xattr(subject, c"system.posix_acl_access");
        let _ = attributes::remove_xattr(subject, c"system.posix_acl_default");
    }
}

/// Attributes that are being set.
struct Setting<'a> {
    route: &'a Route,
    target: &'a Target<'a>,
    made: Made,
    /// The target's mode was changed to do so.
    is_opened: bool,
    /// What the target has no place for.
    lost: Attributes,
    path: &'a dyn Fn() -> PathBuf,
}

impl Setting<'_> {
    fn set(&self, name: &CStr, value: &[u8]) -> io::Result<()> {
        let path = subject_path(self.target);
        attributes::set_xattr(subject(self.target, &path), name, value)
    }

    fn settle(&self, worker: &Worker<Copying>, set: io::Result<()>) -> Visit {
        if set.as_ref().is_err_and(|error| is_too_large(error, self.target)) {
            worker.job().note(NoteKind::AttributesNotKept, set.err().as_ref(), self.path);
            return Ok(());
        }
        noted(worker, NoteKind::AttributesNotKept, set, Action::WriteXattr, self.path).map(|_| ())
    }
}

/// ext4 says ENOSPC for an attribute that is too large for its place; a full disk says it too, but has no room for anything.
fn is_too_large(error: &io::Error, target: &Target<'_>) -> bool {
    const ROOM: u64 = 1 << 20;
    let (Target::File(file) | Target::Name(file, _)) = target;
    match error.raw_os_error() {
        Some(libc::E2BIG | libc::ERANGE) => true,
        Some(libc::ENOSPC) => mount::free_bytes(file).is_ok_and(|free| free > ROOM),
        _ => false,
    }
}

/// A refusal is noted (`false`), another error fails the entry.
fn noted(
    worker: &Worker<Copying>,
    kind: NoteKind,
    answer: io::Result<()>,
    action: Action,
    path: &dyn Fn() -> PathBuf,
) -> Visit<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if is_refused(&error) => {
            worker.job().note(kind, Some(&error), path);
            Ok(false)
        }
        Err(error) => Err(error).during(action, path).map_err(Into::into),
    }
}

fn subject_path(target: &Target<'_>) -> Option<CString> {
    match target {
        Target::File(_) => None,
        Target::Name(dir, name) => Some(attributes::subject_path(dir, name)),
    }
}

fn subject<'a>(target: &'a Target<'_>, path: &'a Option<CString>) -> Subject<'a, OwnedFd> {
    match (target, path) {
        (Target::Name(..), Some(path)) => Subject::Name(path),
        (Target::File(file) | Target::Name(file, _), _) => Subject::File(file),
    }
}
