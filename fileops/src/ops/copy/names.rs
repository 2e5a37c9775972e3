//! Names that a target's file system does not take: refused before anything is created, or changed by rule.

use super::{Copying, Names};
use crate::engine::{End, Entry, Visit, Worker};
use crate::error::{Action, Error, Refusal};
use crate::report::NoteKind;
use crate::sys::mount::FsKind;
use std::ffi::{CStr, CString};
use std::io;

/// Forbidden on FAT and NTFS beside control characters. Source: Microsoft, "Naming Files, Paths, and Namespaces".
const FORBIDDEN: &[u8] = b"<>:\"/\\|?*";

/// The name an entry gets, on a file system whose rules are known or where portable names were asked for.
pub(super) fn at_target(
    copy: &Copying,
    worker: &Worker<Copying>,
    entry: &Entry<'_, Copying>,
    target: FsKind,
) -> Visit<CString> {
    let name = entry.name;
    if is_portable(name) {
        return Ok(name.to_owned());
    }
    let path = || entry.dir.path_of(End::Source, name);
    match copy.options.names {
        Names::Portable => {
            worker.job().note(NoteKind::NameChanged, None, path);
            Ok(portable(name))
        }
        Names::Keep if target.has_fat_names() => {
            Err(Error::new(Action::Create, path(), Refusal::NameNotAllowed).into())
        }
        Names::Keep => Ok(name.to_owned()),
    }
}

/// What the kernel's answer to a new name means. Which rules a FUSE file system has shows only when it refuses a name;
/// exfat-fuse does so with ENOENT.
pub(super) fn explained(error: io::Error, name: &CStr, target: FsKind) -> io::Error {
    let is_about_names = match error.raw_os_error() {
        Some(libc::EINVAL | libc::EILSEQ) => true,
        Some(libc::ENOENT) => target.is_fuse(),
        _ => false,
    };
    if is_about_names && !is_portable(name) { Refusal::NameNotAllowed.into() } else { error }
}

pub(super) fn is_portable(name: &CStr) -> bool {
    let name = name.to_bytes();
    let has_forbidden = name.iter().any(|&byte| byte < 0x20 || FORBIDDEN.contains(&byte));
    !has_forbidden && !name.ends_with(b".") && !name.ends_with(b" ") && std::str::from_utf8(name).is_ok()
}

/// Each forbidden character becomes `_`, dots and spaces at the end go, what is not UTF-8 becomes `_`.
fn portable(name: &CStr) -> CString {
    let text = name.to_string_lossy();
    let replaced: String = text
        .chars()
        .map(|character| match character {
            '\u{fffd}' => '_',
            character if character.is_ascii() && (character < ' ' || FORBIDDEN.contains(&(character as u8))) => '_',
            character => character,
        })
        .collect();
    let trimmed = replaced.trim_end_matches(['.', ' ']);
    let kept = if trimmed.is_empty() { "_" } else { trimmed };
    CString::new(kept).expect("a changed name has no NUL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_portable() {
        assert_eq!(portable(c"a:b?.txt"), c"a_b_.txt".to_owned());
        assert_eq!(portable(c"end. . "), c"end".to_owned());
        assert_eq!(portable(c"..."), c"_".to_owned());
        assert_eq!(portable(c"\xff.txt"), c"_.txt".to_owned());
        assert!(is_portable(c"plain name.txt"));
        assert!(!is_portable(c"tab\t"));
    }
}
