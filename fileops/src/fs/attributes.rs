//! Permission bits, owner and times.

use super::call::Call;
use super::subject::{Subject, Wants};
use crate::error::Action;
use crate::sys::attributes;
use crate::sys::stat::{HERE, Time};
use std::path::Path;
use std::time::SystemTime;

/// Sets the permission bits with setuid, setgid and sticky (`0o644`) of what a path names; links are followed.
///
/// # Errors
/// `PermissionDenied` for whoever does not own it, and whatever the file system answers.
pub fn set_permissions(path: impl AsRef<Path>, mode: u32) -> Call<()> {
    let subject = Subject::new(Action::SetMode, path.as_ref(), Wants::Target);
    Call::new(subject, move |subject| Ok(attributes::set_mode_following(HERE, subject.at()?.path, mode)?))
}

/// Sets the numbers of owner and group of what a path names, `None` for what is to stay; links are followed.
///
/// # Errors
/// `PermissionDenied` for most who are not root, and whatever the file system answers.
pub fn chown(path: impl AsRef<Path>, uid: Option<u32>, gid: Option<u32>) -> Call<()> {
    let subject = Subject::new(Action::SetOwner, path.as_ref(), Wants::Target);
    Call::new(subject, move |subject| Ok(attributes::set_owner_following(HERE, subject.at()?.path, uid, gid)?))
}

/// As [`chown`], of a symbolic link itself.
///
/// # Errors
/// As for [`chown`].
pub fn lchown(path: impl AsRef<Path>, uid: Option<u32>, gid: Option<u32>) -> Call<()> {
    let subject = Subject::new(Action::SetOwner, path.as_ref(), Wants::Entry);
    Call::new(subject, move |subject| Ok(attributes::set_owner_at(HERE, subject.at()?.path, uid, gid)?))
}

/// Times to be set, to the nanosecond where the file system keeps them so; `None` for what is to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When it was read last.
    pub accessed: Option<SystemTime>,
    /// When its contents were changed last.
    pub modified: Option<SystemTime>,
}

impl Times {
    pub(super) fn both(self) -> (Time, Time) {
        let time = |moment: Option<SystemTime>| moment.map_or(Time::AS_IT_IS, Time::from);
        (time(self.accessed), time(self.modified))
    }
}

/// Sets the times of what a path names; links are followed.
///
/// # Errors
/// `PermissionDenied` for whoever does not own it, and whatever the file system answers.
pub fn set_times(path: impl AsRef<Path>, times: Times) -> Call<()> {
    let subject = Subject::new(Action::SetTimes, path.as_ref(), Wants::Target);
    Call::new(subject, move |subject| {
        let (accessed, modified) = times.both();
        Ok(attributes::set_times_following(HERE, subject.at()?.path, accessed, modified)?)
    })
}

/// As [`set_times`], of a symbolic link itself.
///
/// # Errors
/// As for [`set_times`].
pub fn set_symlink_times(path: impl AsRef<Path>, times: Times) -> Call<()> {
    let subject = Subject::new(Action::SetTimes, path.as_ref(), Wants::Entry);
    Call::new(subject, move |subject| {
        let (accessed, modified) = times.both();
        Ok(attributes::set_times_at(HERE, subject.at()?.path, accessed, modified)?)
    })
}
