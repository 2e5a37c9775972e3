//! The attributes that programs agree on, with their types.
//!
//! Sources: freedesktop.org, "Guidelines for extended attributes" (CommonExtendedAttributes); KFileMetaData's
//! usermetadata.cpp for tags (joined by commas) and `user.baloo.rating` (0 to 10, two for each star).

use super::attributes::{self, Changed, Target};
use super::refused;
use crate::error::{Action, Error, Refusal, Result};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// An attribute that programs agree on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Key {
    /// `user.xdg.tags`: words, apart by commas.
    Tags,
    /// `user.xdg.comment`: what its user says of the file.
    Comment,
    /// `user.baloo.rating`: 0 to 10, two for each star.
    Rating,
    /// `user.xdg.origin.url`: where it was downloaded or copied from.
    OriginUrl,
    /// `user.xdg.referrer.url`: the page that linked to it.
    ReferrerUrl,
    /// `user.xdg.robots.index`: whether programs that index may look at it.
    RobotsIndex,
    /// `user.xdg.robots.backup`: whether programs that make backups may take it.
    RobotsBackup,
    /// `user.mime_type`: what its contents are, where the name does not tell.
    MimeType,
    /// `user.charset`: how its text is encoded.
    Charset,
    /// `user.dublincore.*`: an element of the Dublin Core, in lower case ("title", "creator", "date").
    DublinCore(String),
}

const NAMES: [(Key, &str, &str); 9] = [
    (Key::Tags, "tags", "user.xdg.tags"),
    (Key::Comment, "comment", "user.xdg.comment"),
    (Key::Rating, "rating", "user.baloo.rating"),
    (Key::OriginUrl, "origin-url", "user.xdg.origin.url"),
    (Key::ReferrerUrl, "referrer-url", "user.xdg.referrer.url"),
    (Key::RobotsIndex, "robots-index", "user.xdg.robots.index"),
    (Key::RobotsBackup, "robots-backup", "user.xdg.robots.backup"),
    (Key::MimeType, "mime-type", "user.mime_type"),
    (Key::Charset, "charset", "user.charset"),
];

const DUBLIN_CORE: &str = "user.dublincore.";

impl Key {
    /// What the attribute is called on disk.
    pub fn attribute(&self) -> OsString {
        match self {
            Key::DublinCore(element) => format!("{DUBLIN_CORE}{element}").into(),
            key => NAMES.iter().find(|(known, ..)| known == key).map(|(.., name)| name.into()).unwrap_or_default(),
        }
    }

    /// What people call it: "tags", "origin-url", "dublincore.title".
    pub fn name(&self) -> String {
        match self {
            Key::DublinCore(element) => format!("dublincore.{element}"),
            key => {
                NAMES.iter().find(|(known, ..)| known == key).map_or_else(String::new, |(_, name, _)| (*name).into())
            }
        }
    }

    /// The attribute that people call so, or that is called so on disk.
    pub fn parse(name: &str) -> Option<Key> {
        let element = name.strip_prefix(DUBLIN_CORE).or_else(|| name.strip_prefix("dublincore."));
        match element {
            Some(element) if !element.is_empty() => Some(Key::DublinCore(element.into())),
            _ => NAMES.iter().find(|(_, short, long)| [short, long].contains(&&name)).map(|(key, ..)| key.clone()),
        }
    }

    /// Whether the attribute is this one.
    fn of(attribute: &OsStr) -> Option<Key> {
        attribute.to_str().filter(|name| name.starts_with("user.")).and_then(Key::parse)
    }
}

/// What a file has of the attributes that programs agree on.
///
/// What is not UTF-8, or no such value, is left out and named in [`unreadable`](Common::unreadable); the raw bytes are to
/// be had from [`get`](super::get()).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Common {
    /// In the order in which they are written; each once.
    pub tags: Vec<String>,
    /// What its user says of it.
    pub comment: Option<String>,
    /// 0 to 10, two for each star.
    pub rating: Option<u8>,
    /// Where it came from.
    pub origin_url: Option<String>,
    /// The page that linked to it.
    pub referrer_url: Option<String>,
    /// Whether programs that index may look at it.
    pub robots_index: Option<bool>,
    /// Whether programs that make backups may take it.
    pub robots_backup: Option<bool>,
    /// What its contents are, as somebody has said: not what they look like, for which there is `extract`.
    pub mime_type: Option<String>,
    /// How its text is encoded.
    pub charset: Option<String>,
    /// Elements of the Dublin Core, by their names in lower case.
    pub dublin_core: BTreeMap<String, String>,
    /// Attributes of these that hold no such value.
    pub unreadable: Vec<OsString>,
}

pub(super) fn read(path: &Path) -> Result<Common> {
    let target = Target::open(path, Action::ReadXattr)?;
    let mut common = Common::default();
    for name in target.names()? {
        let Some(key) = Key::of(&name) else { continue };
        let Some(value) = target.get(&name)? else { continue };
        if common.hear(key, &value).is_none() {
            common.unreadable.push(name);
        }
    }
    Ok(common)
}

pub(super) fn tags(path: &Path) -> Result<Vec<String>> {
    let value = Target::open(path, Action::ReadXattr)?.get(&Key::Tags.attribute())?.unwrap_or_default();
    parse_tags(&value).ok_or_else(|| Error::new(Action::ReadXattr, path, Refusal::NotText))
}

impl Common {
    /// `None` if it is no such value.
    fn hear(&mut self, key: Key, value: &[u8]) -> Option<()> {
        let text = || text(value).map(str::to_owned);
        match key {
            Key::Tags => self.tags = parse_tags(value)?,
            Key::Comment => self.comment = Some(text()?),
            Key::Rating => self.rating = Some(text()?.trim().parse().ok().filter(|&rating| rating <= RATING_MAX)?),
            Key::OriginUrl => self.origin_url = Some(text()?),
            Key::ReferrerUrl => self.referrer_url = Some(text()?),
            Key::RobotsIndex => self.robots_index = Some(parse_bool(&text()?)?),
            Key::RobotsBackup => self.robots_backup = Some(parse_bool(&text()?)?),
            Key::MimeType => self.mime_type = Some(text()?),
            Key::Charset => self.charset = Some(text()?),
            Key::DublinCore(element) => _ = self.dublin_core.insert(element, text()?),
        }
        Some(())
    }
}

const RATING_MAX: u8 = 10;

/// UTF-8. Programs in C write the NUL at the end of a string, too.
fn text(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value.strip_suffix(b"\0").unwrap_or(value)).ok()?;
    (!text.contains('\0')).then_some(text)
}

fn parse_tags(value: &[u8]) -> Option<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    for tag in text(value)?.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    Some(tags)
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// What is to become of a file's attributes: each chained call adds a change, and [`change`](super::change()) makes them.
///
/// ```
/// use fileops::meta::{Changes, Key};
/// let changes = Changes::new().tags(["holiday", "2026"]).rating(8).remove(Key::Comment);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is changed until it is given to `change`"]
pub struct Changes {
    list: Vec<(OsString, Option<Vec<u8>>)>,
    /// Tags to be added to those that are there, and taken from them.
    added: Vec<String>,
    removed: Vec<String>,
    wrong: Option<(OsString, Refusal)>,
}

impl Changes {
    /// Changes nothing so far.
    pub fn new() -> Changes {
        Changes::default()
    }

    /// Has these tags and no others. A tag holds no comma and no control character, and is not empty.
    pub fn tags<T: AsRef<str>>(mut self, tags: impl IntoIterator<Item = T>) -> Changes {
        let tags: Vec<String> = tags.into_iter().map(|tag| tag.as_ref().trim().to_owned()).collect();
        if !tags.iter().all(|tag| is_tag(tag)) {
            return self.fails(Key::Tags, Refusal::NotAValue);
        }
        self.list.push((Key::Tags.attribute(), Some(tags.join(",").into_bytes()).filter(|tags| !tags.is_empty())));
        self
    }

    /// Has this tag too.
    pub fn add_tag(mut self, tag: impl AsRef<str>) -> Changes {
        let tag = tag.as_ref().trim().to_owned();
        if !is_tag(&tag) {
            return self.fails(Key::Tags, Refusal::NotAValue);
        }
        self.added.push(tag);
        self
    }

    /// Has this tag no more.
    pub fn remove_tag(mut self, tag: impl AsRef<str>) -> Changes {
        self.removed.push(tag.as_ref().trim().to_owned());
        self
    }

    /// Says this of the file.
    pub fn comment(self, text: impl AsRef<str>) -> Changes {
        self.text(Key::Comment, text.as_ref())
    }

    /// 0 to 10, two for each star.
    pub fn rating(self, rating: u8) -> Changes {
        if rating > RATING_MAX {
            return self.fails(Key::Rating, Refusal::NotAValue);
        }
        self.text(Key::Rating, &rating.to_string())
    }

    /// Where it came from.
    pub fn origin_url(self, url: impl AsRef<str>) -> Changes {
        self.text(Key::OriginUrl, url.as_ref())
    }

    /// Whether programs that index may look at it.
    pub fn robots_index(self, may: bool) -> Changes {
        self.text(Key::RobotsIndex, if may { "true" } else { "false" })
    }

    /// Whether programs that make backups may take it.
    pub fn robots_backup(self, may: bool) -> Changes {
        self.text(Key::RobotsBackup, if may { "true" } else { "false" })
    }

    /// Any of the attributes that programs agree on, as text; what it cannot be fails when the changes are made.
    pub fn text(mut self, key: Key, text: &str) -> Changes {
        if text.contains('\0') {
            return self.fails(key, Refusal::NotText);
        }
        if Common::default().hear(key.clone(), text.as_bytes()).is_none() {
            return self.fails(key, Refusal::NotAValue);
        }
        if key == Key::Tags {
            return self.tags(text.split(',').filter(|tag| !tag.trim().is_empty()));
        }
        self.list.push((key.attribute(), Some(text.as_bytes().to_vec())));
        self
    }

    /// Any attribute at all, by its name with its namespace ("user.example").
    pub fn attribute(mut self, name: impl Into<OsString>, value: impl Into<Vec<u8>>) -> Changes {
        self.list.push((name.into(), Some(value.into())));
        self
    }

    /// Takes one away, if it is there.
    pub fn remove(self, key: Key) -> Changes {
        self.remove_attribute(key.attribute())
    }

    /// Takes one away, if it is there, by its name with its namespace.
    pub fn remove_attribute(mut self, name: impl Into<OsString>) -> Changes {
        self.list.push((name.into(), None));
        self
    }

    fn fails(mut self, key: Key, refusal: Refusal) -> Changes {
        self.wrong.get_or_insert_with(|| (key.attribute(), refusal));
        self
    }

    /// Makes the changes, after having looked at all of them.
    pub(super) fn apply(mut self, path: &Path) -> Result<Changed> {
        if let Some((name, refusal)) = self.wrong {
            return Ok(Changed { done: Vec::new(), failed: Some((name, refused(path, refusal))) });
        }
        if !self.added.is_empty() || !self.removed.is_empty() {
            let name = Key::Tags.attribute();
            let set = self.list.iter().rposition(|(other, _)| *other == name).map(|at| self.list.remove(at).1);
            let mut tags = match set {
                Some(value) => parse_tags(&value.unwrap_or_default()).unwrap_or_default(),
                None => tags(path)?,
            };
            tags.retain(|tag| !self.removed.contains(tag));
            for tag in self.added {
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
            self.list.push((name, Some(tags.join(",").into_bytes()).filter(|tags| !tags.is_empty())));
        }
        attributes::change(path, self.list)
    }
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty() && !tag.chars().any(|character| character == ',' || character.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_the_key_that_has_it() {
        for (key, short, long) in NAMES {
            assert_eq!((Key::parse(short), Key::parse(long)), (Some(key.clone()), Some(key.clone())));
            assert_eq!((key.name(), key.attribute()), (short.to_owned(), OsString::from(long)));
        }
        let title = Key::DublinCore("title".into());
        assert_eq!(Key::parse("user.dublincore.title"), Some(title.clone()));
        assert_eq!(Key::parse(&title.name()), Some(title));
        assert_eq!(Key::parse("dublincore."), None);
        assert_eq!(Key::parse("user.other"), None);
    }

    #[test]
    fn tags_are_words_apart_by_commas_each_once() {
        assert_eq!(parse_tags(b" a, b,,a,c d \0"), Some(vec!["a".into(), "b".into(), "c d".into()]));
        assert_eq!(parse_tags(b"\xff"), None);
        assert_eq!(parse_tags(b"a\0b"), None);
    }
}
