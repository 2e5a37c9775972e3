//! The disks under a mount, as /sys tells. Nothing on them is read: a disk that is failing or asleep may take its time.

use super::mount::Mount;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Volumes are stacked: encryption on a RAID on partitions. A deeper stack than this is none.
const DEEPEST: usize = 8;

/// The disks that a mount keeps its data on, each by its place below /sys; none where there is no disk (tmpfs, a server).
/// Partitions, encrypted and logical volumes and RAIDs are followed down to the disks they are on.
pub(crate) fn under(mount: &Mount) -> Vec<PathBuf> {
    under_in(Path::new("/sys"), mount)
}

fn under_in(sys: &Path, mount: &Mount) -> Vec<PathBuf> {
    let mut disks = Vec::new();
    if let Some(volume) = volume(sys, mount) {
        descend(volume, DEEPEST, &mut disks);
    }
    disks.sort();
    disks.dedup();
    disks
}

/// What the mount says it is on.
fn volume(sys: &Path, mount: &Mount) -> Option<PathBuf> {
    let (major, minor) = mount.device;
    let by_number = fs::canonicalize(sys.join(format!("dev/block/{major}:{minor}")));
    by_number.ok().or_else(|| {
        // btrfs has a number of its own, and names one of the devices it is on.
        let source = Path::new(&mount.source);
        let device = source.starts_with("/dev").then(|| fs::canonicalize(source).unwrap_or(source.to_owned()))?;
        fs::canonicalize(sys.join("class/block").join(device.file_name()?)).ok()
    })
}

fn descend(volume: PathBuf, depth: usize, disks: &mut Vec<PathBuf>) {
    let below = fs::read_dir(volume.join("slaves")).into_iter().flatten().flatten();
    let below: Vec<_> = below.filter_map(|entry| fs::canonicalize(entry.path()).ok()).collect();
    if !below.is_empty() && depth > 0 {
        below.into_iter().for_each(|volume| descend(volume, depth - 1, disks));
    } else if volume.join("partition").exists() {
        disks.extend(volume.parent().map(Path::to_owned));
    } else {
        disks.push(volume);
    }
}

/// Whether a head must travel between places. Virtual disks say so without having one.
pub(crate) fn is_rotational(disk: &Path) -> bool {
    let is_virtual = [&b"virtual"[..], b"virtio", b"vbd-"].iter().any(|bus| is_on(disk, bus));
    !is_virtual && flag(disk, "queue/rotational")
}

/// Whether it can be pulled out.
pub(crate) fn is_removable(disk: &Path) -> bool {
    flag(disk, "removable") || is_on(disk, b"usb")
}

fn is_on(disk: &Path, bus: &[u8]) -> bool {
    disk.components().any(|part| part.as_os_str().as_bytes().starts_with(bus))
}

fn flag(disk: &Path, name: &str) -> bool {
    fs::read(disk.join(name)).is_ok_and(|text| text.starts_with(b"1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mount;
    use std::os::unix::fs::symlink;

    /// A directory like /sys, removed in the end.
    struct Sys(PathBuf);

    impl Sys {
        /// A USB disk with two partitions, 8:17 and 8:18, and an encrypted volume, 253:0, on the second.
        fn new(name: &str) -> Sys {
            let sys = Sys(std::env::temp_dir().join(format!("fileops-sys-{name}-{}", std::process::id())));
            let disk = sys.0.join("devices/pci0/usb1/block/sdb");
            let crypt = sys.0.join("devices/virtual/block/dm-0");
            fs::create_dir_all(disk.join("queue")).unwrap();
            fs::write(disk.join("queue/rotational"), "1\n").unwrap();
            fs::write(disk.join("removable"), "0\n").unwrap();
            for (number, part) in [("8:17", "sdb1"), ("8:18", "sdb2")] {
                fs::create_dir(disk.join(part)).unwrap();
                fs::write(disk.join(part).join("partition"), "1\n").unwrap();
                sys.link(format!("dev/block/{number}"), &disk.join(part));
                sys.link(format!("class/block/{part}"), &disk.join(part));
            }
            fs::create_dir_all(crypt.join("slaves")).unwrap();
            symlink(disk.join("sdb2"), crypt.join("slaves/sdb2")).unwrap();
            sys.link("dev/block/253:0".to_owned(), &crypt);
            sys
        }

        fn link(&self, from: String, to: &Path) {
            let from = self.0.join(from);
            fs::create_dir_all(from.parent().unwrap()).unwrap();
            symlink(to, from).unwrap();
        }

        fn disks(&self, line: &str) -> Vec<PathBuf> {
            under_in(&self.0, &mount::parse(line.as_bytes()).unwrap())
        }
    }

    impl Drop for Sys {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn partitions_and_volumes_are_on_their_disk() {
        let sys = Sys::new("disk");
        let disk = fs::canonicalize(sys.0.join("devices/pci0/usb1/block/sdb")).unwrap();
        assert_eq!(sys.disks("1 0 8:17 / /mnt rw - ext4 /dev/sdb1 rw"), [&*disk]);
        assert_eq!(sys.disks("1 0 8:18 / /mnt rw - ext4 /dev/sdb2 rw"), [&*disk]);
        assert_eq!(sys.disks("1 0 253:0 / /mnt rw - ext4 /dev/mapper/luks rw"), [&*disk]);
        assert_eq!(sys.disks("1 0 0:44 / /mnt rw - btrfs /dev/sdb1 rw"), [&*disk]);
        assert!(sys.disks("1 0 0:45 / /mnt rw - tmpfs tmpfs rw").is_empty());
        assert!(is_rotational(&disk) && is_removable(&disk));
    }
}
