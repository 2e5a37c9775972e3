//! `Url`: a share and a path in it, in its canonical form.

use super::authority::{Authority, Form};
use super::escape::{decode, encode, is_bare_in_path};
use super::{Invalid, Name, Reason, Scheme};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest name that Linux has: NAME_MAX.
const MAX_NAME: usize = 255;

/// The address of a file or directory in a share, always canonical: two are equal if they name the same place of the same
/// share (but for a trailing slash, which says that a directory is meant).
///
/// `Display` writes it as a URL, which is ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    authority: Authority,
    /// Decoded names with a slash between two of them; empty for the share itself.
    path: Vec<u8>,
    /// Never where the path is empty.
    has_trailing_slash: bool,
}

impl Url {
    /// Reads a URL. It need not be canonical, and its bytes need not be ASCII: what should have been escaped is taken as it is
    /// (but for `?`, `#` and `%`).
    ///
    /// # Errors
    /// [`Invalid`] with the first [`Reason`] that was found.
    pub fn parse(url: impl AsRef<OsStr>) -> Result<Url, Invalid> {
        let url = url.as_ref();
        parse(url.as_bytes()).map_err(|reason| Invalid::new(url, reason))
    }

    /// The address of a path below the net directory. The paths are compared name by name and not looked up: neither may
    /// have `..` in it, and links are not followed. A trailing slash does not count.
    ///
    /// # Errors
    /// [`Reason::Outside`] for other paths; [`Reason::NotCanonical`] where the first name below the net directory is no share's
    /// (a friendly name, another spelling), and for the net directory itself.
    pub fn from_path(path: impl AsRef<Path>, net: impl AsRef<Path>) -> Result<Url, Invalid> {
        let path = path.as_ref();
        from_path(path, net.as_ref()).map_err(|reason| Invalid::new(path.as_os_str(), reason))
    }

    /// Its path below the net directory.
    pub fn to_path(&self, net: impl AsRef<Path>) -> PathBuf {
        let mut path = net.as_ref().join(self.share());
        if !self.path.is_empty() {
            path.push(self.path());
        }
        path
    }

    /// The directory name of the share: "ftp:alice@test.local:2121". At most 255 bytes; a user's name stays encoded in it.
    pub fn share(&self) -> String {
        let mut name = format!("{}:", self.scheme);
        self.authority.write(Form::Directory, &mut name);
        name
    }

    /// How the share is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Who asks, decoded: "DOM;bob".
    pub fn user(&self) -> Option<OsString> {
        let user = self.authority.user.as_deref()?;
        Some(OsString::from_vec(decode(user.as_bytes()).expect("it was encoded here")))
    }

    /// The server: a name in lower case, IDN as A-labels, an IPv4 address, or an IPv6 address in brackets, with its zone if it
    /// has one ("[fe80::1%eth0]").
    pub fn host(&self) -> &str {
        &self.authority.host
    }

    /// The TCP port, be it written or the scheme's.
    pub fn port(&self) -> u16 {
        self.authority.port.unwrap_or(self.scheme.default_port())
    }

    /// Where in the share, without a slash at either end; empty for the share itself.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// Whether a slash at its end says that it is a directory. The share itself needs none.
    pub fn has_trailing_slash(&self) -> bool {
        self.has_trailing_slash
    }

    /// The same without a trailing slash, as [`from_path`](Url::from_path) gives it.
    #[must_use]
    pub fn without_trailing_slash(mut self) -> Url {
        self.has_trailing_slash = false;
        self
    }

    /// What a person calls it: a pattern with its fields, for the program to make words of.
    pub fn name(&self) -> Name {
        let host = match self.authority.port {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        };
        match (self.path.rsplit(|&byte| byte == b'/').next(), self.user()) {
            (Some(name), _) if !name.is_empty() => Name::Entry { name: OsStr::from_bytes(name).to_owned(), host },
            (_, Some(user)) => Name::ShareAs { scheme: self.scheme, host, user },
            _ => Name::Share { scheme: self.scheme, host },
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}://", self.scheme);
        self.authority.write(Form::Url, &mut text);
        text.push('/');
        encode(&self.path, is_bare_in_path, &mut text);
        text.push_str(if self.has_trailing_slash { "/" } else { "" });
        f.write_str(&text)
    }
}

impl FromStr for Url {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Url, Invalid> {
        Url::parse(text)
    }
}

fn parse(url: &[u8]) -> Result<Url, Reason> {
    let colon = url.iter().position(|&byte| byte == b':').ok_or(Reason::Scheme)?;
    let scheme = Scheme::named(&url[..colon]).ok_or(Reason::Scheme)?;
    let rest = url[colon..].strip_prefix(b"://").ok_or(Reason::Scheme)?;
    if rest.contains(&0) {
        return Err(Reason::Nul);
    }
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = Authority::parse(authority, scheme, Form::Url)?;
    if rest.iter().any(|byte| b"?#".contains(byte)) {
        return Err(Reason::QueryOrFragment);
    }
    let mut path = Vec::with_capacity(rest.len());
    for segment in rest.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty()) {
        push(&mut path, &decode(segment)?)?;
    }
    let has_trailing_slash = !path.is_empty() && rest.ends_with(b"/");
    limited(Url { scheme, authority, path, has_trailing_slash })
}

fn from_path(path: &Path, net: &Path) -> Result<Url, Reason> {
    let names = |path: &'_ Path| -> Vec<Vec<u8>> {
        let names = path.as_os_str().as_bytes().split(|&byte| byte == b'/');
        names.filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let (all, above) = (names(path), names(net));
    let is_below = all.starts_with(&above) && path.has_root() == net.has_root();
    let below = if is_below { &all[above.len()..] } else { return Err(Reason::Outside) };
    let (share, below) = below.split_first().ok_or(Reason::NotCanonical)?;
    let colon = share.iter().position(|&byte| byte == b':').ok_or(Reason::NotCanonical)?;
    let scheme = Scheme::named(&share[..colon]).ok_or(Reason::NotCanonical)?;
    let authority = Authority::parse(&share[colon + 1..], scheme, Form::Directory)?;
    let mut path = Vec::new();
    below.iter().try_for_each(|name| push(&mut path, name))?;
    let url = limited(Url { scheme, authority, path, has_trailing_slash: false })?;
    if url.share().as_bytes() == share { Ok(url) } else { Err(Reason::NotCanonical) }
}

fn push(path: &mut Vec<u8>, name: &[u8]) -> Result<(), Reason> {
    match name {
        b"." | b".." => return Err(Reason::Dot),
        _ if name.contains(&0) => return Err(Reason::Nul),
        _ if name.contains(&b'/') => return Err(Reason::Slash),
        _ if name.len() > MAX_NAME => return Err(Reason::TooLong),
        _ => {}
    }
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    Ok(())
}

fn limited(url: Url) -> Result<Url, Reason> {
    if url.share().len() <= MAX_NAME { Ok(url) } else { Err(Reason::TooLong) }
}
