//! What a person calls the place where a path is.

use crate::messages;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The name of the mount point above a path, such as that of a stick; empty for the root's. The path itself is not touched:
/// its device may be the one that does not answer.
pub(crate) fn name_for(path: &Path) -> String {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let point = mount_point(&table, path);
    point.filter(|point| point.parent().is_some()).map_or_else(String::new, |point| messages::name(&point))
}

/// The longest mount point that the path begins with. See proc_pid_mountinfo(5): the fifth field, with octal escapes.
fn mount_point(table: &[u8], path: &Path) -> Option<PathBuf> {
    let lines = table.split(|&byte| byte == b'\n');
    let points = lines.filter_map(|line| Some(unescaped(line.split(|&byte| byte == b' ').nth(4)?)));
    points.filter(|point| path.starts_with(point)).max_by_key(|point| point.as_os_str().len())
}

fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| first == b'\\');
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_above_a_path_is_found() {
        let table = b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /media/USB\\040DISK rw - vfat /dev/b rw\n3 1 8:3 / /media rw - x y z\n";
        let found = |path: &str| mount_point(table, Path::new(path)).unwrap();
        assert_eq!(found("/media/USB DISK/photos"), Path::new("/media/USB DISK"));
        assert_eq!(found("/media/USB DISK2"), Path::new("/media"));
        assert_eq!(found("/home"), Path::new("/"));
    }
}
