//! Why something is no address of a share.

use crate::error::Shown;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What was given, and why it is no address of a share.
///
/// `Display` tells what was given, [`source`](std::error::Error::source) why not. A password in it is not repeated: it
/// became `***` when this was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalid {
    /// The URL or path, less a password.
    pub given: OsString,
    /// What is wrong with it. Where several things are, the first that was found.
    pub reason: Reason,
}

impl Invalid {
    pub(super) fn new(given: &OsStr, reason: Reason) -> Invalid {
        Invalid { given: OsString::from_vec(without_password(given.as_bytes())), reason }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "translate {}", Shown(Path::new(&self.given)))
    }
}

impl std::error::Error for Invalid {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// Why a URL or a path is no address of a share.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A segment is `.` or `..`, also when it is written with escapes.
    Dot,
    /// `%2F` in a segment: no name has a slash in it.
    Slash,
    /// A NUL byte: no name has one.
    Nul,
    /// `%` without two hexadecimal digits after it.
    Escape,
    /// It does not begin with the name of a [`Scheme`](super::Scheme) and `://`.
    Scheme,
    /// No host, or one that can have no such name or address.
    Host,
    /// A password stands in it. Passwords belong in the keyring.
    Password,
    /// The port is no number from 1 to 65535.
    Port,
    /// `?` or `#`: addresses of files have neither query nor fragment; in a name they are `%3F` and `%23`.
    QueryOrFragment,
    /// A segment, or the share's directory name, would be longer than 255 bytes.
    TooLong,
    /// The path is not below the net directory.
    Outside,
    /// The first name below the net directory is no share's canonical directory name. It may be a friendly name, which
    /// only who made it can resolve.
    NotCanonical,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Dot => "names may not be . or ..",
            Reason::Slash => "a name cannot have a slash (%2F) in it",
            Reason::Nul => "a name cannot have a NUL byte in it",
            Reason::Escape => "a % has to be followed by two hexadecimal digits",
            Reason::Scheme => "it does not begin with ftp://, ftps://, sftp://, dav://, davs://, smb:// or nfs://",
            Reason::Host => "there is no valid host name",
            Reason::Password => "a password may not stand in an address",
            Reason::Port => "the port is no number from 1 to 65535",
            Reason::QueryOrFragment => "? and # have to be written as %3F and %23",
            Reason::TooLong => "a name is longer than 255 bytes",
            Reason::Outside => "the path is not below the net directory",
            Reason::NotCanonical => "the first name below the net directory is not the address of a share",
        })
    }
}

impl std::error::Error for Reason {}

/// The same text with `***` in the place of a password. Read generously: it need not be a valid URL.
fn without_password(text: &[u8]) -> Vec<u8> {
    let start = text.windows(3).position(|window| window == b"://").map_or(0, |at| at + 3);
    let rest = &text[start..];
    // A password may have a slash, ? or # in it that should have been escaped: the last @ of all counts.
    let colon = rest.iter().position(|&byte| byte == b':');
    let at = rest.iter().rposition(|&byte| byte == b'@');
    match (colon, at) {
        (Some(colon), Some(at)) if start > 0 && colon < at => {
            [&text[..start + colon + 1], b"***", &rest[at..]].concat()
        }
        _ => text.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_does_not_repeat_a_password() {
        let shown = |text: &str| Invalid::new(OsStr::new(text), Reason::Password).to_string();
        assert_eq!(shown("ftp://u:se/cr@et@h/x"), "translate ftp://u:***@h/x");
        assert_eq!(shown("gopher://u:secret@h"), "translate gopher://u:***@h");
        assert_eq!(shown("ftp://h:99999/x"), "translate ftp://h:99999/x");
        assert_eq!(shown("/home/u/net/ftp:u@h"), "translate /home/u/net/ftp:u@h");
    }
}
