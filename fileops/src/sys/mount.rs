//! Mounted file systems: which one serves a path, what kind it is, how much room it has.

use super::open::{self, Follow};
use super::stat::Stat;
use super::{again, disk};
use rustix::fs;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const BTRFS: u64 = 0x9123_683e;
const NFS: u64 = 0x6969;
const CIFS: u64 = 0xff53_4d42;
const SMB2: u64 = 0xfe53_4d42;
const CEPH: u64 = 0x00c3_6400;

/// What is known of a kind of file system before the first call to it. Source of the numbers: statfs(2), linux/magic.h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FsKind {
    magic: u64,
}

impl FsKind {
    pub(crate) fn of(file: impl AsFd) -> io::Result<FsKind> {
        again(|| fs::fstatfs(&file)).map(|stat| FsKind { magic: stat.f_type as u64 & 0xffff_ffff })
    }

    /// Files whose size says nothing: they are read until they end.
    pub(crate) fn is_pseudo(self) -> bool {
        const PROC: u64 = 0x9fa0;
        const SYSFS: u64 = 0x6265_6572;
        const DEBUGFS: u64 = 0x6462_6720;
        const TRACEFS: u64 = 0x7472_6163;
        const CGROUP: u64 = 0x0027_e0eb;
        const CGROUP2: u64 = 0x6367_7270;
        const SECURITYFS: u64 = 0x7363_6673;
        const CONFIGFS: u64 = 0x6265_6570;
        [PROC, SYSFS, DEBUGFS, TRACEFS, CGROUP, CGROUP2, SECURITYFS, CONFIGFS].contains(&self.magic)
    }

    /// Whether a file of size 0 may have contents all the same: what is made up while it is read often has no size. Only
    /// file systems that keep files are believed.
    pub(crate) fn may_hide_sizes(self) -> bool {
        const KEEPERS: [u64; 22] = [
            0xef53,      // ext2, ext3, ext4
            0x5846_5342, // XFS
            0x9123_683e, // btrfs
            0xf2f5_2010, // F2FS
            0x0102_1994, // tmpfs
            0x8584_58f6, // ramfs
            0x794c_7630, // overlayfs
            0x2fc1_2fc1, // ZFS
            0xca45_1a4e, // bcachefs
            0x3153_464a, // JFS
            0x5265_4973, // ReiserFS
            0x3434,      // NILFS
            NFS,
            CIFS,
            SMB2,
            CEPH,
            0x4d44,      // FAT
            0x2011_bab0, // exFAT
            0x7366_746e, // NTFS3
            0x9660,      // ISO 9660
            0x1501_3346, // UDF
            0x7371_7368, // SquashFS
        ];
        !KEEPERS.contains(&self.magic)
    }

    pub(crate) fn is_fuse(self) -> bool {
        self.magic == 0x6573_5546
    }

    /// Media that can only be read, where modes such as r-xr-xr-x are the medium's, not the owner's wish.
    pub(crate) fn is_read_only_medium(self) -> bool {
        const ISOFS: u64 = 0x9660;
        const UDF: u64 = 0x1501_3346;
        const SQUASHFS: u64 = 0x7371_7368;
        const EROFS: u64 = 0xe0f5_e1e2;
        const CRAMFS: u64 = 0x28cd_3d45;
        const ROMFS: u64 = 0x7275;
        [ISOFS, UDF, SQUASHFS, EROFS, CRAMFS, ROMFS].contains(&self.magic)
    }

    /// FAT and its relatives: names are restricted and fold case.
    pub(crate) fn has_fat_names(self) -> bool {
        const NTFS: u64 = 0x5346_544e;
        const NTFS3: u64 = 0x7366_746e;
        self.is_fat() || [NTFS, NTFS3].contains(&self.magic)
    }

    /// FAT and exFAT have no links, owners, modes or attributes.
    pub(crate) fn is_fat(self) -> bool {
        const EXFAT: u64 = 0x2011_bab0;
        self.is_vfat() || self.magic == EXFAT
    }

    fn is_vfat(self) -> bool {
        self.magic == 0x4d44
    }

    /// The largest file, where it is smaller than anybody would expect.
    pub(crate) fn largest_file(self) -> Option<u64> {
        self.is_vfat().then_some(u32::MAX.into())
    }

    /// Where a write may fail after it was said to be done.
    pub(crate) fn may_fail_at_close(self) -> bool {
        self.is_fuse() || [NFS, CIFS, SMB2, CEPH].contains(&self.magic)
    }

    /// Where copy_file_range is more than read and write inside the kernel: the blocks are shared, or the server copies.
    pub(crate) fn copies_by_itself(self) -> bool {
        const XFS: u64 = 0x5846_5342;
        self.is_fuse() || [BTRFS, XFS, NFS, CIFS, SMB2, CEPH].contains(&self.magic)
    }
}

impl FsKind {
    /// Whether what is read past the page cache comes from a device of this machine.
    pub(crate) fn is_on_device(self) -> bool {
        const TMPFS: u64 = 0x0102_1994;
        self.magic != TMPFS && self.syncs_at_once()
    }

    /// Whether `data::sync_all` makes everything durable; on FUSE it returns 0 and sends nothing (measured). The kernel's own
    /// FAT, exFAT and NTFS write everything too, and want one fsync more for the device's cache.
    pub(crate) fn syncs_at_once(self) -> bool {
        self.has_owners() || self.flushes_by_files()
    }

    /// Whether only fsync makes the device empty its cache. Source: fs/sync.c, sync_filesystem(); fat_file_fsync(),
    /// exfat_file_fsync(), ntfs_file_operations.
    pub(crate) fn flushes_by_files(self) -> bool {
        const NTFS3: u64 = 0x7366_746e;
        self.is_fat() || self.magic == NTFS3
    }

    /// Local file systems on which a new file belongs to who made it.
    pub(crate) fn has_owners(self) -> bool {
        const EXT: u64 = 0xef53;
        const XFS: u64 = 0x5846_5342;
        const F2FS: u64 = 0xf2f5_2010;
        const TMPFS: u64 = 0x0102_1994;
        [EXT, XFS, BTRFS, F2FS, TMPFS].contains(&self.magic)
    }
}

/// Bytes that an ordinary user may still write; the most there can be where the file system does not tell.
pub(crate) fn free_bytes(dir: impl AsFd) -> io::Result<u64> {
    let stat = again(|| fs::fstatvfs(&dir))?;
    // One that has no blocks at all does not count them (ramfs, some FUSE).
    Ok(if stat.f_blocks == 0 { u64::MAX } else { stat.f_bavail.saturating_mul(stat.f_frsize) })
}

/// Room on a file system, as statvfs(3) has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) total: u64,
    pub(crate) free: u64,
    pub(crate) available: u64,
    pub(crate) files: u64,
    pub(crate) free_files: u64,
}

/// Of what is mounted at a path. Waits as long as the file system does.
pub(crate) fn room(path: &Path) -> io::Result<Room> {
    let stat = again(|| fs::statvfs(path))?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Room {
        total: bytes(stat.f_blocks),
        free: bytes(stat.f_bfree),
        available: bytes(stat.f_bavail),
        files: stat.f_files,
        free_files: stat.f_favail,
    })
}

/// One line of /proc/self/mountinfo. Source: proc_pid_mountinfo(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// As `Stat::mount` has it.
    id: u64,
    pub(crate) parent: u64,
    pub(crate) device: (u32, u32),
    /// What of the file system is seen at the point.
    pub(crate) root: PathBuf,
    pub(crate) point: PathBuf,
    pub(crate) kind: String,
    pub(crate) source: OsString,
    /// Of this mount, and of its file system wherever it is mounted; apart by commas.
    pub(crate) options: OsString,
    pub(crate) fs_options: OsString,
}

/// All mounts of this process's namespace; the later of two on one point hides the earlier.
pub(crate) fn table() -> io::Result<Vec<Mount>> {
    Ok(std::fs::read("/proc/self/mountinfo")?.split(|&byte| byte == b'\n').filter_map(parse).collect())
}

/// The mount that serves a path, found by its longest prefix: the path itself, which may hang, is not touched.
pub(crate) fn serving<'a>(table: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let depth = |mount: &Mount| mount.point.as_os_str().len();
    table.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| depth(mount))
}

/// The mount that the kernel has given a number, as `Stat::mount` has it.
pub(crate) fn numbered(table: &[Mount], number: u64) -> Option<&Mount> {
    table.iter().find(|mount| number != 0 && mount.id == number)
}

/// Tells when the mount table has changed.
pub(crate) struct Changes(std::fs::File);

impl Changes {
    pub(crate) fn new() -> io::Result<Changes> {
        std::fs::File::open("/proc/self/mountinfo").map(Changes)
    }
}

/// What `wake::wait` takes. Waiting takes the news away.
impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The mount table, read again only when the kernel says that it changed.
#[derive(Default)]
pub(crate) struct Watched {
    /// `None` before the first look and without /proc.
    file: Option<std::fs::File>,
    table: Vec<Mount>,
}

impl Watched {
    /// The point of the mount that serves a path; empty when that is unknown.
    pub(crate) fn point_of(&mut self, path: &Path) -> PathBuf {
        if path.as_os_str().is_empty() {
            return PathBuf::new();
        }
        self.refresh();
        self.serving(path).map(|mount| mount.point.clone()).unwrap_or_default()
    }

    /// The number of the mount that serves a path, as of the last [`refresh`](Self::refresh); 0 when that is unknown.
    pub(crate) fn number_of(&self, path: &Path) -> u64 {
        if path.as_os_str().is_empty() { 0 } else { self.serving(path).map_or(0, |mount| mount.id) }
    }

    /// Whether a mount of this number was there at the last [`refresh`](Self::refresh).
    pub(crate) fn has(&self, number: u64) -> bool {
        self.table.iter().any(|mount| mount.id == number)
    }

    /// Reads the table if it has changed; `true` if so.
    pub(crate) fn refresh(&mut self) -> bool {
        let has_changed = self.has_changed();
        if has_changed {
            self.table = table().unwrap_or_default();
        }
        has_changed
    }

    /// The mount that serves a path, as of the last [`refresh`](Self::refresh).
    pub(crate) fn serving(&self, path: &Path) -> Option<&Mount> {
        serving(&self.table, &std::path::absolute(path).ok()?)
    }

    /// All mounts, as of the last [`refresh`](Self::refresh).
    pub(crate) fn table(&self) -> &[Mount] {
        &self.table
    }

    /// Whether something is mounted somewhere in a directory, which is given by its real path.
    pub(crate) fn has_point_in(&mut self, path: &Path) -> bool {
        if self.has_changed() {
            self.table = table().unwrap_or_default();
        }
        self.table.iter().any(|mount| mount.point != path && mount.point.starts_with(path))
    }

    fn has_changed(&mut self) -> bool {
        let Some(file) = &self.file else {
            self.file = std::fs::File::open("/proc/self/mountinfo").ok();
            return true;
        };
        has_changed(file)
    }
}

/// Whether there were other mounts since this was last asked of an open mountinfo, or since it was opened.
///
/// Source: proc_pid_mounts(5): a change shows as POLLERR and POLLPRI, once for each descriptor.
pub(crate) fn has_changed(mountinfo: &std::fs::File) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut polled = [PollFd::new(mountinfo, PollFlags::PRI)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&now)).map_or(true, |ready| ready > 0)
}

pub(crate) fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = std::str::from_utf8(fields.next()?).ok()?.split_once(':')?;
    let root = PathBuf::from(unescaped(fields.next()?));
    let point = PathBuf::from(unescaped(fields.next()?));
    let options = unescaped(fields.next()?);
    let mut after = fields.skip_while(|&field| field != b"-").skip(1);
    Some(Mount {
        id,
        parent,
        device: (device.0.parse().ok()?, device.1.parse().ok()?),
        root,
        point,
        kind: String::from_utf8_lossy(after.next()?).into_owned(),
        source: unescaped(after.next()?),
        options,
        fs_options: after.next().map(unescaped).unwrap_or_default(),
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Space, tab, newline and backslash stand as three octal digits.
fn unescaped(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes)
}

/// A name for the file system on disk that outlives this mount: its UUID where the kernel tells, else kind and source.
pub(crate) fn lasting_name(dir: impl AsFd, path: &Path) -> String {
    // A handle (O_PATH) takes no ioctl, and must have the name that everything else on its file system has.
    let uuid = uuid(&dir).or_else(|| uuid(open::dir(&dir, c".", Follow::No).ok()?));
    let is_btrfs = || FsKind::of(&dir).is_ok_and(|kind| kind.magic == BTRFS);
    let uuid = uuid.or_else(|| is_btrfs().then(|| btrfs_uuid(open::dir(&dir, c".", Follow::No).ok()?))?);
    if let Some(uuid) = uuid {
        return format!("uuid:{uuid}");
    }
    let table = table().unwrap_or_default();
    let id = Stat::of_dir(&dir).map_or(0, |stat| stat.mount);
    // Before Linux 5.8 the path has to do.
    match numbered(&table, id).or_else(|| serving(&table, &std::path::absolute(path).ok()?)) {
        Some(mount) => format!("{}:{}", mount.kind, mount.source.as_bytes().escape_ascii()),
        None => "unknown".to_owned(),
    }
}

/// Source: FS_IOC_GETFSUUID in linux/fs.h (Linux 6.9).
#[allow(unsafe_code)]
fn uuid(dir: impl AsFd) -> Option<String> {
    #[repr(C)]
    #[derive(Default)]
    struct FsUuid {
        length: u8,
        uuid: [u8; 16],
    }
    const FS_IOC_GETFSUUID: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<FsUuid>(0x15, 0);
    // SAFETY: the kernel fills exactly one `fsuuid2`, whose layout `FsUuid` has; any bytes are a valid value of it.
    let answer: FsUuid =
        unsafe { rustix::ioctl::ioctl(dir, rustix::ioctl::Getter::<FS_IOC_GETFSUUID, FsUuid>::new()) }.ok()?;
    hexadecimal(answer.uuid.get(..usize::from(answer.length))?)
}

/// Btrfs does not answer the other one. Source: BTRFS_IOC_FS_INFO in linux/btrfs.h.
#[allow(unsafe_code)]
fn btrfs_uuid(dir: impl AsFd) -> Option<String> {
    #[repr(C)]
    struct FsInfo {
        devices: [u64; 2],
        uuid: [u8; 16],
        rest: [u64; 124],
    }
    const BTRFS_IOC_FS_INFO: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<FsInfo>(0x94, 31);
    // SAFETY: the kernel fills exactly one `btrfs_ioctl_fs_info_args`, whose layout and size `FsInfo` has; any bytes are a valid
    // value of it. The magic number is asked first, so that no driver takes it for something else.
    let answer: FsInfo =
        unsafe { rustix::ioctl::ioctl(dir, rustix::ioctl::Getter::<BTRFS_IOC_FS_INFO, FsInfo>::new()) }.ok()?;
    hexadecimal(&answer.uuid)
}

fn hexadecimal(uuid: &[u8]) -> Option<String> {
    uuid.iter().any(|&byte| byte != 0).then(|| uuid.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What lies under a mount, as far as the system tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Medium {
    /// A head must travel between places. Virtual disks say so without having one.
    pub(crate) is_rotational: bool,
    /// It can be pulled out: a stick, a card, a disk on USB.
    pub(crate) is_removable: bool,
    /// A server is asked, or a program of the user's (FUSE), which mostly asks one.
    pub(crate) is_network: bool,
}

impl Medium {
    /// Of the mount that serves a path, which is not touched.
    pub(crate) fn at(table: &[Mount], path: &Path) -> Medium {
        let path = std::path::absolute(path).unwrap_or_default();
        serving(table, &path).map(Medium::of).unwrap_or_default()
    }

    /// Reads /sys only: the file system itself, which may hang, is not asked.
    pub(crate) fn of(mount: &Mount) -> Medium {
        let disks = disk::under(mount);
        Medium {
            is_rotational: disks.iter().any(|disk| disk::is_rotational(disk)),
            is_removable: disks.iter().any(|disk| disk::is_removable(disk)),
            is_network: mount.is_network(),
        }
    }
}

impl Mount {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn is_fuse(&self) -> bool {
        self.kind == "fuse" || self.kind == "fuseblk" || self.kind.starts_with("fuse.")
    }

    pub(crate) fn is_network(&self) -> bool {
        const KINDS: [&str; 10] = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "afs", "9p", "fuse", "lustre"];
        KINDS.contains(&self.kind.as_str()) || self.kind.starts_with("fuse.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_line_is_read_with_escapes_and_optional_fields() {
        let line =
            br"36 35 98:0 /mnt1 /mnt\040two rw,noatime master:1 shared:2 - ext3 /dev/ro\134ot rw,errors=continue";
        let mount = parse(line).unwrap();
        assert_eq!((mount.id, mount.parent, mount.device), (36, 35, (98, 0)));
        assert_eq!((mount.root, mount.options), ("/mnt1".into(), "rw,noatime".into()));
        assert_eq!(mount.fs_options, "rw,errors=continue");
        assert_eq!(mount.point, Path::new("/mnt two"));
        assert_eq!(mount.kind, "ext3");
        assert_eq!(mount.source, "/dev/ro\\ot");
    }

    #[test]
    fn the_deepest_and_latest_mount_serves_a_path() {
        let lines: [&[u8]; 4] = [
            b"1 0 8:1 / / rw - ext4 a rw",
            b"2 1 8:2 / /mnt rw - ext4 b rw",
            b"3 1 8:3 / /mnt rw - ext4 c rw",
            b"4 1 8:4 / /mntx rw - ext4 d rw",
        ];
        let table: Vec<_> = lines.into_iter().filter_map(parse).collect();
        assert_eq!(serving(&table, Path::new("/mnt/file")).unwrap().source, "c");
        assert_eq!(serving(&table, Path::new("/mnty")).unwrap().source, "a");
    }
}
