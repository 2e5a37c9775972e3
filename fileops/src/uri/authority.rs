//! Who and where: `user@host:port`, as it stands in URLs and in directory names.

use super::escape::{decode, encode, is_unreserved};
use super::{Reason, Scheme};
use std::borrow::Cow;
use std::net::Ipv6Addr;

/// The longest name that DNS has, without the dot at its end (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

/// The longest label of a name (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Authority {
    /// Encoded: only unreserved characters stand bare.
    pub(super) user: Option<String>,
    /// In lower case; an IPv6 address in brackets, with its zone as it is (`[fe80::1%eth0]`).
    pub(super) host: String,
    /// If it is not the scheme's.
    pub(super) port: Option<u16>,
}

/// Where an authority stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In a URL the host, too, may have escapes.
    Url,
    /// In a directory name it has none.
    Directory,
}

impl Authority {
    pub(super) fn parse(text: &[u8], scheme: Scheme, form: Form) -> Result<Authority, Reason> {
        // The last @, as browsers do: what is before it is never taken for the host.
        let (user, server) = match text.iter().rposition(|&byte| byte == b'@') {
            Some(at) => (user(&text[..at])?, &text[at + 1..]),
            None => (None, text),
        };
        let end = if server.first() == Some(&b'[') {
            server.iter().position(|&byte| byte == b']').ok_or(Reason::Host)? + 1
        } else {
            server.iter().position(|&byte| byte == b':').unwrap_or(server.len())
        };
        let (host, port) = server.split_at(end);
        let host = match form {
            Form::Url => Cow::Owned(decode(host)?),
            Form::Directory => Cow::Borrowed(host),
        };
        let host = if server.first() == Some(&b'[') { address(&host)? } else { name(&host)? };
        let port = match port.split_first() {
            None => None,
            Some((b':', digits)) => port_number(digits)?.filter(|&port| port != scheme.default_port()),
            Some(_) => return Err(Reason::Host),
        };
        Ok(Authority { user, host, port })
    }

    /// As it stands in a directory name, and in a URL but for the escape before a zone.
    pub(super) fn write(&self, form: Form, text: &mut String) {
        if let Some(user) = &self.user {
            text.push_str(user);
            text.push('@');
        }
        match (form, self.host.split_once('%')) {
            (Form::Url, Some((address, zone))) => text.extend([address, "%25", zone]),
            _ => text.push_str(&self.host),
        }
        text.push_str(&self.port.map_or_else(String::new, |port| format!(":{port}")));
    }
}

/// Decoded and encoded again, so that one user has one spelling.
fn user(text: &[u8]) -> Result<Option<String>, Reason> {
    if text.contains(&b':') {
        return Err(Reason::Password);
    }
    let bytes = decode(text)?;
    if bytes.contains(&0) {
        return Err(Reason::Nul);
    }
    let mut encoded = String::with_capacity(text.len());
    encode(&bytes, is_unreserved, &mut encoded);
    // Without a name it is nobody in particular (`ftp://@h/`).
    Ok(Some(encoded).filter(|user| !user.is_empty()))
}

/// `None` for a colon with nothing behind, which means the default (RFC 3986, 6.2.3).
fn port_number(digits: &[u8]) -> Result<Option<u16>, Reason> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::Port);
    }
    let value =
        digits.iter().try_fold(0u16, |value, digit| value.checked_mul(10)?.checked_add(u16::from(digit - b'0')));
    match value {
        Some(0) if digits.is_empty() => Ok(None),
        Some(0) | None => Err(Reason::Port),
        port => Ok(port),
    }
}

/// `[address]` or `[address%zone]`, written as RFC 5952 has it; a zone keeps its case.
fn address(literal: &[u8]) -> Result<String, Reason> {
    let inner = literal.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let inner = inner.and_then(|inner| std::str::from_utf8(inner).ok()).ok_or(Reason::Host)?;
    let (address, zone) = match inner.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (inner, None),
    };
    let address: Ipv6Addr = address.parse().map_err(|_| Reason::Host)?;
    match zone {
        None => Ok(format!("[{address}]")),
        Some(zone) if !zone.is_empty() && zone.bytes().all(is_unreserved) => Ok(format!("[{address}%{zone}]")),
        Some(_) => Err(Reason::Host),
    }
}

/// A host's name in lower case, without the dot at its end; with A-labels where it is not ASCII (RFC 5890).
fn name(bytes: &[u8]) -> Result<String, Reason> {
    let mut name = if bytes.is_ascii() {
        let bytes = bytes.to_ascii_lowercase();
        String::from_utf8(bytes).expect("ASCII is UTF-8")
    } else {
        let name = idna::domain_to_ascii_cow(bytes, idna::AsciiDenyList::EMPTY).map_err(|_| Reason::Host)?;
        name.to_ascii_lowercase()
    };
    if name.ends_with('.') {
        name.pop();
    }
    // A minus at the beginning would be an option to some program.
    let is_label = |label: &str| (1..=MAX_LABEL).contains(&label.len()) && !label.starts_with('-');
    let is_in_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let is_valid = name.len() <= MAX_HOST && name.bytes().all(is_in_name) && name.split('.').all(is_label);
    if is_valid { Ok(name) } else { Err(Reason::Host) }
}
