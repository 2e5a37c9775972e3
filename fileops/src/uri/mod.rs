//! Addresses of network shares: URL ⇄ path below the net directory ⇄ a name that a person reads.
//!
//! A share is one directory below the *net directory* (`~/net`), and what is in the share has the path that it has there:
//!
//! | URL | path below the net directory |
//! |---|---|
//! | `ftp://test.local/a/path` | `ftp:test.local/a/path` |
//! | `https://h:8443/dav` | `davs:h:8443/dav` |
//! | `smb://DOM;bob@nas/My%20Share` | `smb:DOM%3Bbob@nas/My Share` |
//! | `sftp://[fe80::1%25eth0]/x` | `sftp:[fe80::1%eth0]/x` |
//!
//! ```text
//! url      = scheme "://" [ user "@" ] host [ ":" port ] [ "/" *( segment "/" ) [ segment ] ]
//! scheme   = ftp | ftps | sftp (ssh) | dav (http, webdav) | davs (https, webdavs) | smb (cifs) | nfs
//! path     = net-directory "/" dirname *( "/" segment )
//! dirname  = scheme ":" [ user "@" ] host [ ":" port ]
//! ```
//!
//! Nothing here makes a system call, asks a server or looks at the environment; every input has an answer, an address or a
//! [`Reason`]. Paths are bytes, and bytes that are not UTF-8 are kept: `caf%E9` is the name `caf\xE9`. What a URL loses on
//! its way is what another spelling of the same place has: the case of scheme and host, a port that is the default, empty
//! segments, needless escapes ([`Url`] is always canonical), and as a path also a trailing slash.
//!
//! ```
//! use fileops::uri::Url;
//! use std::path::Path;
//!
//! let net = Path::new("/home/me/net");
//! let url = Url::parse("FTP://Test.Local:21/a%20certain/path/")?;
//! assert_eq!(url.to_string(), "ftp://test.local/a%20certain/path/");
//! assert_eq!(url.to_path(net), Path::new("/home/me/net/ftp:test.local/a certain/path"));
//!
//! let back = Url::from_path("/home/me/net/ftp:test.local/a certain/path", net)?;
//! assert_eq!(back.to_string(), "ftp://test.local/a%20certain/path");
//! # Ok::<(), fileops::uri::Invalid>(())
//! ```

mod authority;
mod escape;
mod invalid;
mod name;
mod scheme;
mod url;

pub use invalid::{Invalid, Reason};
pub use name::{Name, entry_name};
pub use scheme::Scheme;
pub use url::Url;
