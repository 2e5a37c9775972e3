//! Which devices an operation has in order, told by the mount table: its paths, which may hang, are not touched.

use super::{Effort, Uses};
use crate::sys::disk;
use crate::sys::mount::{Medium, Mount, Watched};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is selected together lies together: of more sources than this, the first tell where all are.
const LOOKED_AT: usize = 64;

/// The name of a device that does one thing at a time: a disk's, a server's, or the number of a FUSE file system.
pub(super) type Device = Arc<str>;

/// The mount table, and what was found out about its mounts.
#[derive(Default)]
pub(super) struct Devices {
    mounts: Watched,
    /// What each mount is on, by its point; forgotten when the table changes.
    known: HashMap<PathBuf, Under>,
}

struct Under {
    medium: Medium,
    slow: Vec<Device>,
}

impl Devices {
    /// The devices that do not well with two operations at a time: rotational disks, what is on USB, servers, FUSE.
    pub(super) fn slow(&mut self, uses: &Uses) -> Vec<Device> {
        let mut devices = Vec::new();
        if uses.effort != Effort::Nothing {
            self.refresh();
            for path in uses.sources.iter().take(LOOKED_AT).chain(&uses.target) {
                devices.extend(self.under(path).into_iter().flat_map(|under| under.slow.iter().cloned()));
            }
        }
        devices.sort();
        devices.dedup();
        devices
    }

    /// Whether a head has to travel to one of the paths.
    pub(super) fn has_head<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) -> bool {
        self.refresh();
        let mut paths = paths.into_iter().take(LOOKED_AT);
        paths.any(|path| self.under(path).is_some_and(|under| under.medium.is_rotational))
    }

    fn refresh(&mut self) {
        if self.mounts.refresh() {
            self.known.clear();
        }
    }

    fn under(&mut self, path: &Path) -> Option<&Under> {
        let mount = self.mounts.serving(path)?;
        if !self.known.contains_key(&mount.point) {
            let medium = Medium::of(mount);
            self.known.insert(mount.point.clone(), Under { medium, slow: slow(mount, medium) });
        }
        self.known.get(&mount.point)
    }

    /// The paths, apart by the mounts that serve them.
    pub(super) fn by_mount(&mut self, paths: &[PathBuf]) -> Vec<Vec<PathBuf>> {
        let mut groups = HashMap::<PathBuf, Vec<PathBuf>>::new();
        for path in paths {
            groups.entry(self.mounts.point_of(path)).or_default().push(path.clone());
        }
        groups.into_values().collect()
    }
}

fn slow(mount: &Mount, medium: Medium) -> Vec<Device> {
    if medium.is_network {
        return vec![server(mount)];
    }
    if !medium.is_rotational && !medium.is_removable {
        return Vec::new();
    }
    let names = disk::under(mount).into_iter();
    names.filter_map(|disk| disk.file_name().map(|name| name.to_string_lossy().into())).collect()
}

/// The server that a source names: shares of one server are one device. Where none is named the mount is one by itself:
/// a program may mount many file systems under its one name.
fn server(mount: &Mount) -> Device {
    let source = mount.source.to_string_lossy();
    let after_scheme = source.split_once("://").map(|(_, rest)| rest).or(source.strip_prefix("//"));
    let host = match after_scheme {
        Some(rest) => rest.split('/').next(),
        // A host with a path, as for NFS and sshfs; an IPv6 address has colons of its own.
        None if source.starts_with('[') => source.split_once(']').map(|(host, _)| host),
        None => source.split_once(':').map(|(host, _)| host).filter(|host| !Path::new(host).has_root()),
    };
    let host = host.map(|host| host.rsplit('@').next().unwrap_or(host)).filter(|host| !host.is_empty());
    let (major, minor) = mount.device;
    host.map_or_else(|| format!("{major}:{minor}").into(), Device::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mount::parse;

    #[test]
    fn shares_of_one_server_are_one_device() {
        let server = |kind: &str, source: &str| {
            server(&parse(format!("1 0 0:44 / /mnt rw - {kind} {source} rw").as_bytes()).unwrap()).to_string()
        };
        assert_eq!(server("nfs4", "nas:/photos"), "nas");
        assert_eq!(server("nfs4", "[fe80::1]:/photos"), "[fe80::1");
        assert_eq!(server("cifs", "//nas/music"), "nas");
        assert_eq!(server("fuse.sshfs", "me@nas:/home/me"), "nas");
        assert_eq!(server("fuse", "https://nas/dav"), "nas");
        assert_eq!(server("fuse.other", "other"), "0:44");
        assert_eq!(server("fuse.other", "/dev/fuse:1"), "0:44");
    }
}
