//! File systems for a test: in an image, in memory, over others. Each is unmounted when dropped.
//!
//! Mounts left by a test which was killed are found by their name and unmounted by the next one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::temp::{Temp, directory};

/// What the names of all mount points begin with; the number of the process follows.
const PREFIX: &str = "fileops-mnt-";

/// A mounted file system.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    /// The image.
    image: Option<Temp>,
    /// What the layers lie on.
    _below: Option<Box<Mount>>,
}

impl Mount {
    /// A new file system in a sparse image of so many MiB, made by `mkfs.KIND`.
    ///
    /// # Errors
    ///
    /// If a command fails; the error has what it said.
    pub fn image(kind: &str, mib: u64, mkfs: &[&str]) -> io::Result<Self> {
        let with = Temp::new("image")?;
        let image = with.path().join("image");
        File::create_new(&image)?.set_len(mib << 20)?;
        run(Command::new(format!("mkfs.{kind}")).args(mkfs).arg(&image))?;
        Self::mount_at_new(&["-t".as_ref(), kind.as_ref(), "-o".as_ref(), "loop".as_ref(), image.as_ref()], Some(with))
    }

    /// A new ext4 of so many MiB.
    ///
    /// # Errors
    ///
    /// If a command fails.
    pub fn ext4(mib: u64) -> io::Result<Self> {
        Self::image("ext4", mib, &["-q", "-F", "-E", "root_owner=0:0"])
    }

    /// A new xfs of so many MiB, at least the 300 it needs.
    ///
    /// # Errors
    ///
    /// If a command fails.
    pub fn xfs(mib: u64) -> io::Result<Self> {
        Self::image("xfs", mib.max(300), &["-q", "-m", "reflink=1"])
    }

    /// A new btrfs of so many MiB, at least the 128 it needs.
    ///
    /// # Errors
    ///
    /// If a command fails.
    pub fn btrfs(mib: u64) -> io::Result<Self> {
        Self::image("btrfs", mib.max(128), &["-q"])
    }

    /// A new tmpfs with these options, such as `size=1m,nr_inodes=100`.
    ///
    /// # Errors
    ///
    /// If it cannot be mounted.
    pub fn tmpfs(options: &str) -> io::Result<Self> {
        Self::mount_at_new(&["-t", "tmpfs", "-o", options, "tmpfs"].map(OsStr::new), None)
    }

    /// A new overlay on this directory; what is written goes to a directory of its own, which
    /// lies on a tmpfs as an overlay can be no upper layer of another.
    ///
    /// # Errors
    ///
    /// If it cannot be mounted.
    pub fn overlay(lower: &Path) -> io::Result<Self> {
        let upper = Self::tmpfs("size=64m")?;
        let (up, work) = (upper.path().join("upper"), upper.path().join("work"));
        fs::create_dir(&up)?;
        fs::create_dir(&work)?;
        let mut options = std::ffi::OsString::from("lowerdir=");
        for (text, path) in [("", lower), (",upperdir=", &up), (",workdir=", &work)] {
            options.push(text);
            options.push(path);
        }
        let args = ["-t".as_ref(), "overlay".as_ref(), "-o".as_ref(), &*options, "overlay".as_ref()];
        let mut mounted = Self::mount_at_new(&args, None)?;
        mounted._below = Some(Box::new(upper));
        Ok(mounted)
    }

    /// The directory in a second place.
    ///
    /// # Errors
    ///
    /// If it cannot be mounted.
    pub fn bind(directory: &Path) -> io::Result<Self> {
        Self::mount_at_new(&["--bind".as_ref(), directory.as_ref()], None)
    }

    /// The directory in a second place, which exists and lies on a file system of the test's own: what a test that is
    /// killed leaves goes with that.
    ///
    /// # Errors
    ///
    /// If it cannot be mounted.
    pub fn bind_at(directory: &Path, place: &Path) -> io::Result<Self> {
        run(Command::new("mount").arg("--bind").arg(directory).arg(place))?;
        Ok(Self { path: place.to_owned(), image: None, _below: None })
    }

    /// Whatever `mount` mounts with these arguments; the place is added.
    ///
    /// # Errors
    ///
    /// If it cannot be mounted.
    pub fn with(args: &[&str]) -> io::Result<Self> {
        Self::mount_at_new(&args.iter().map(OsStr::new).collect::<Vec<_>>(), None)
    }

    fn mount_at_new(args: &[&OsStr], image: Option<Temp>) -> io::Result<Self> {
        let path = mountpoint()?;
        let done = run(Command::new("mount").args(args).arg(&path));
        done.inspect_err(|_| drop(fs::remove_dir(&path)))?;
        Ok(Self { path, image, _below: None })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The power fails: what was not durable is gone, and the file system is mounted again. Only for ext4 and xfs in an image.
    ///
    /// # Errors
    ///
    /// If a command fails.
    pub fn fail_power(&self) -> io::Result<()> {
        self.cut_power()?;
        self.mount_again()
    }

    /// The file system stops as if its disk did: FS_IOC_SHUTDOWN without a flush of its log. Every call to it fails.
    ///
    /// # Errors
    ///
    /// If the command fails.
    pub fn cut_power(&self) -> io::Result<()> {
        run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.path))
    }

    /// Mounts the image once more.
    ///
    /// # Errors
    ///
    /// If it is in use, or has none.
    pub fn mount_again(&self) -> io::Result<()> {
        let image = self.image.as_ref().ok_or(io::ErrorKind::Unsupported)?.path().join("image");
        // Not lazily: as long as the old one lives, what it still writes is seen too.
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while let Err(error) = rustix::mount::unmount(&self.path, UnmountFlags::NOFOLLOW) {
            if error != Errno::BUSY || std::time::Instant::now() > end {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&self.path))
    }

    /// Mounts it again with other options, such as `ro`.
    ///
    /// # Errors
    ///
    /// If that cannot be.
    pub fn remount(&self, options: &str) -> io::Result<()> {
        let options = format!("remount,{options}");
        run(Command::new("mount").arg("-o").arg(options).arg(&self.path))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if unmount(&self.path) {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Runs a command; the error is what it said.
fn run(command: &mut Command) -> io::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output();
    let output = output.map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    Err(io::Error::other(format!("{program}: {status}: {text}")))
}

/// Unmounts what is mounted there, by force and lazily if it must be; `false` if it stays.
pub(crate) fn unmount(path: &Path) -> bool {
    for _ in 0..20 {
        match rustix::mount::unmount(path, UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => return true,
            Err(Errno::BUSY) => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => break,
        }
    }
    let lazily = UnmountFlags::FORCE | UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    rustix::mount::unmount(path, lazily).is_ok()
        || run(Command::new("fusermount3").args(["-u", "-z", "--"]).arg(path)).is_ok()
}

/// A new directory to mount something at. It is not removed by itself, as what is mounted there
/// must never be removed with it.
pub(crate) fn mountpoint() -> io::Result<PathBuf> {
    static SWEEP: Once = Once::new();
    SWEEP.call_once(sweep_stale);
    directory(&format!("{PREFIX}{}-", std::process::id()))
}

/// Unmounts what processes left which are dead, as is done before the first mount of each process.
/// Only root frees one which died waiting for its own file system: another user cannot by force.
pub fn sweep_stale() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().rev().filter_map(|line| line.split(' ').nth(4));
    for point in points.map(Path::new) {
        let name = point.file_name().and_then(OsStr::to_str).unwrap_or("");
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(is_dead) && unmount(point) {
            let _ = fs::remove_dir(point);
        }
    }
}

/// Has a process ended? One which waits for its own file system to answer is a zombie with a
/// thread that lives, and ends when that is unmounted.
fn is_dead(process: &str) -> bool {
    match fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")),
        Err(_) => true,
    }
}
