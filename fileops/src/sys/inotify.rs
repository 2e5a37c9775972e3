//! What the kernel tells of changes in directories. Source: inotify(7).

use super::again;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The number of a watch; none is given a second time before two thousand millions of others were.
pub(crate) type Watch = i32;

/// Some 1,000 notices with short names.
const READ_BYTES: usize = 32 << 10;

/// What is asked of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Which names are in it.
    Names,
    /// That, and every change to what has these names.
    Everything,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Created,
    Deleted,
    /// It has left its name, for one that a `MovedTo` with the same cookie gives, if that is watched.
    MovedFrom,
    MovedTo,
    /// Contents or attributes, or it was open for writing and is closed.
    Modified,
    /// The watched directory itself got another name.
    SelfMoved,
    /// The watch is over: it was taken away, or the directory is gone, or its file system.
    Ended,
    /// Some notices are lost.
    Overflow,
    /// Nothing that matters here.
    Other,
}

/// One notice.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) watch: Watch,
    pub(crate) told: Told,
    pub(crate) is_dir: bool,
    pub(crate) cookie: u32,
    /// In the watched directory; none where the directory itself is meant.
    pub(crate) name: Option<CString>,
    /// Where it ends, in bytes that were read.
    pub(crate) end: u64,
}

/// An instance: a queue in the kernel, of which each user may have few (fs.inotify.max_user_instances: 128).
pub(crate) struct Inotify {
    fd: OwnedFd,
    /// Bytes of notices that were read so far.
    pub(crate) read: u64,
}

impl Inotify {
    /// EMFILE where this user has too many already.
    pub(crate) fn new() -> io::Result<Inotify> {
        let fd = again(|| inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK))?;
        Ok(Inotify { fd, read: 0 })
    }

    /// Watches an open directory; one that is watched already keeps its number. ENOSPC where this user watches too many
    /// directories (fs.inotify.max_user_watches).
    pub(crate) fn add(&self, dir: impl AsFd, interest: Interest) -> io::Result<Watch> {
        let names = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        let changes = WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::CLOSE_WRITE | WatchFlags::MOVE_SELF;
        let flags = WatchFlags::MASK_ADD
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK
            | match interest {
                Interest::Names => names,
                Interest::Everything => names | changes,
            };
        // There is no call that takes a descriptor; its entry in /proc leads to the directory whatever its name is now.
        let path = format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd());
        again(|| inotify::add_watch(&self.fd, path.as_str(), flags))
    }

    /// Ends a watch. It may have ended by itself.
    pub(crate) fn remove(&self, watch: Watch) {
        let _ = inotify::remove_watch(&self.fd, watch);
    }

    /// Reads the notices that are there, as many as one call gives.
    pub(crate) fn next(&mut self, mut take: impl FnMut(Notice)) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut reader = inotify::Reader::new(&self.fd, &mut space);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().filter(|name| !name.is_empty()).map(CStr::to_owned);
                    self.read += length(event.file_name());
                    take(Notice {
                        watch: event.wd(),
                        told: told(event.events()),
                        is_dir: event.events().contains(ReadFlags::ISDIR),
                        cookie: event.cookie(),
                        name,
                        end: self.read,
                    });
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if reader.is_buffer_empty() {
                return Ok(());
            }
        }
    }

    /// Where, in bytes that were read, the last notice ends that is there by now.
    pub(crate) fn end(&self) -> u64 {
        self.read + again(|| rustix::io::ioctl_fionread(&self.fd)).unwrap_or(0)
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The bytes of a notice. Its name is filled up with zeros to a multiple of the size of what comes before it, which is 16.
/// Source: fs/notify/inotify/inotify_user.c, round_event_name_len().
fn length(name: Option<&CStr>) -> u64 {
    const HEAD: usize = 16;
    (HEAD + name.map_or(0, |name| name.to_bytes_with_nul().len().next_multiple_of(HEAD))) as u64
}

fn told(events: ReadFlags) -> Told {
    let all = [
        (ReadFlags::QUEUE_OVERFLOW, Told::Overflow),
        (ReadFlags::IGNORED, Told::Ended),
        (ReadFlags::CREATE, Told::Created),
        (ReadFlags::DELETE, Told::Deleted),
        (ReadFlags::MOVED_FROM, Told::MovedFrom),
        (ReadFlags::MOVED_TO, Told::MovedTo),
        (ReadFlags::MODIFY | ReadFlags::ATTRIB | ReadFlags::CLOSE_WRITE, Told::Modified),
        (ReadFlags::MOVE_SELF, Told::SelfMoved),
    ];
    all.into_iter().find(|(flags, _)| events.intersects(*flags)).map_or(Told::Other, |(_, told)| told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_bytes_are_counted_as_are_read() {
        let dir = std::env::temp_dir().join(format!("fileops-inotify-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let mut inotify = Inotify::new().unwrap();
        inotify.add(std::fs::File::open(&dir).unwrap(), Interest::Names).unwrap();
        for length in [1, 15, 16, 17, 255] {
            std::fs::write(dir.join("x".repeat(length)), "").unwrap();
        }
        let end = inotify.end();
        let mut notices = Vec::new();
        inotify.next(|notice| notices.push(notice)).unwrap();
        assert_eq!((notices.len(), notices[4].end, inotify.read), (5, end, end));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
