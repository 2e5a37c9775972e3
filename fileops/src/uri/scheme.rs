//! How a share is reached: the first word of its address.

use std::fmt;

/// A way to reach a share. Each has one canonical name, which stands in paths, and may have others, which URLs are read with.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `ftp`: FTP, with TLS where the server offers it (RFC 959, RFC 4217).
    Ftp,
    /// `ftps`: FTP inside TLS from the first byte on.
    Ftps,
    /// `sftp`, also `ssh`: files over SSH.
    Sftp,
    /// `dav`, also `http`, `webdav`: WebDAV, or plain HTTP (RFC 4918).
    Dav,
    /// `davs`, also `https`, `webdavs`: the same inside TLS.
    Davs,
    /// `smb`, also `cifs`: shares of Windows and Samba.
    Smb,
    /// `nfs`: exports of NFS servers.
    Nfs,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Scheme; 7] =
        [Scheme::Ftp, Scheme::Ftps, Scheme::Sftp, Scheme::Dav, Scheme::Davs, Scheme::Smb, Scheme::Nfs];

    /// The canonical name: "dav".
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Ftp => "ftp",
            Scheme::Ftps => "ftps",
            Scheme::Sftp => "sftp",
            Scheme::Dav => "dav",
            Scheme::Davs => "davs",
            Scheme::Smb => "smb",
            Scheme::Nfs => "nfs",
        }
    }

    /// The TCP port that is meant where none is written. Source: IANA's registry of service names.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Ftp => 21,
            Scheme::Ftps => 990,
            Scheme::Sftp => 22,
            Scheme::Dav => 80,
            Scheme::Davs => 443,
            Scheme::Smb => 445,
            Scheme::Nfs => 2049,
        }
    }

    /// By any of its names, in upper or lower case.
    pub(super) fn named(name: &[u8]) -> Option<Scheme> {
        // The longest name has seven letters: what is longer is none, and need not be copied.
        let name = if name.len() <= 7 { name.to_ascii_lowercase() } else { return None };
        Some(match name.as_slice() {
            b"ftp" => Scheme::Ftp,
            b"ftps" => Scheme::Ftps,
            b"sftp" | b"ssh" => Scheme::Sftp,
            b"dav" | b"http" | b"webdav" => Scheme::Dav,
            b"davs" | b"https" | b"webdavs" => Scheme::Davs,
            b"smb" | b"cifs" => Scheme::Smb,
            b"nfs" => Scheme::Nfs,
            _ => return None,
        })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
