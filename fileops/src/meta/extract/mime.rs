//! What kind of file it is: by the shared MIME database, as all desktops have it.
//!
//! A reader of our own, 200 lines on three text files: the crates for it that were looked at know only contents or bring a
//! parser library, and one that is no longer kept. The database is read once, when it is first asked for.
//!
//! Source: freedesktop.org, "Shared MIME-info Database" 0.21, files `globs2`, `magic`, `subclasses`, "Recommended checking
//! order".

use rustix::fs::FileType;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// So much of a file is looked at: the furthest that common kinds are told by is at 36,870 (`application/x-cd-image`).
pub(super) const HEAD: usize = 64 << 10;

/// A text is told by these, as GLib does.
const TEXT_HEAD: usize = 256;

/// Files of a damaged database that are larger are not read.
const FILE_MAX: u64 = 16 << 20;

const UNKNOWN: &str = "application/octet-stream";
const TEXT: &str = "text/plain";

pub(super) fn of_kind(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "inode/directory",
        FileType::Symlink => "inode/symlink",
        FileType::Fifo => "inode/fifo",
        FileType::Socket => "inode/socket",
        FileType::CharacterDevice => "inode/chardevice",
        FileType::BlockDevice => "inode/blockdevice",
        _ => UNKNOWN,
    }
}

/// The kind of a regular file: by its name if that tells one kind, else by its first bytes too.
pub(super) fn of_file(name: Option<&OsStr>, head: &[u8], size: u64) -> Cow<'static, str> {
    let database = database();
    let by_name = name.map_or_else(Vec::new, |name| database.by_name(name.as_bytes()));
    if let [only] = by_name.as_slice() {
        return Cow::Borrowed(only);
    }
    if size == 0 {
        return by_name.first().map_or(Cow::Borrowed("application/x-zerosize"), |&kind| Cow::Borrowed(kind));
    }
    let by_contents = database.by_contents(head);
    let agrees =
        |kind: &&str| by_contents.is_some_and(|other| database.is_a(other, kind) || database.is_a(kind, other));
    match (by_name.iter().copied().find(agrees), by_contents) {
        (Some(kind), _) => Cow::Borrowed(kind),
        (None, Some(kind)) if by_name.is_empty() => Cow::Borrowed(kind),
        _ if !by_name.is_empty() => Cow::Borrowed(by_name[0]),
        _ if looks_like_text(head) => Cow::Borrowed(TEXT),
        _ => Cow::Borrowed(UNKNOWN),
    }
}

pub(super) fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || database().is_a(kind, TEXT)
}

fn looks_like_text(head: &[u8]) -> bool {
    let head = &head[..head.len().min(TEXT_HEAD)];
    let is_control = |&byte: &u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x08 | 0x0c | 0x1b);
    !head.is_empty() && !head.iter().any(|byte| is_control(byte) || *byte == 0x7f)
}

#[derive(Default)]
struct Database {
    globs: Vec<Glob>,
    magic: Vec<Magic>,
    /// The kinds that a kind is one of, too.
    above: HashMap<String, Vec<String>>,
}

struct Glob {
    weight: u32,
    kind: String,
    pattern: Vec<u8>,
    keeps_case: bool,
}

struct Magic {
    priority: u32,
    kind: String,
    rules: Vec<Rule>,
}

/// A stretch of bytes that is looked for; those after it that are deeper are looked for only if it was found.
struct Rule {
    depth: usize,
    offset: usize,
    /// At how many places from there on.
    range: usize,
    value: Vec<u8>,
    mask: Option<Vec<u8>>,
}

fn database() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| {
        let mut database = Database::default();
        // What is read later is worth more: a user's own is the last.
        for dir in dirs().into_iter().rev() {
            let read = |name| super::super::read_small(&dir.join("mime").join(name), FILE_MAX).unwrap_or_default();
            database.hear_globs(&read("globs2"));
            database.hear_magic(&read("magic"));
            database.hear_subclasses(&read("subclasses"));
        }
        database.magic.sort_by_key(|magic| std::cmp::Reverse(magic.priority));
        database
    })
}

/// Where the database is, the user's own first. Source: XDG Base Directory Specification.
fn dirs() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = variable("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    let system = variable("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    home.into_iter().chain(std::env::split_paths(&system)).filter(|dir| dir.is_absolute()).collect()
}

impl Database {
    /// The kinds whose pattern matches best: the heaviest, of these the longest.
    fn by_name(&self, name: &[u8]) -> Vec<&str> {
        let lower = name.to_ascii_lowercase();
        let matches = |glob: &&Glob| {
            glob_matches(&glob.pattern, name) || (!glob.keeps_case && glob_matches(&glob.pattern, &lower))
        };
        let rank = |glob: &Glob| (glob.weight, glob.pattern.len());
        let found: Vec<&Glob> = self.globs.iter().filter(matches).collect();
        let best = found.iter().map(|glob| rank(glob)).max();
        let mut kinds: Vec<&str> = Vec::new();
        for glob in found.into_iter().filter(|glob| Some(rank(glob)) == best) {
            if !kinds.contains(&&*glob.kind) {
                kinds.push(&glob.kind);
            }
        }
        kinds
    }

    fn by_contents(&self, head: &[u8]) -> Option<&str> {
        let found = self.magic.iter().find(|magic| any_matches(&magic.rules, 0, head))?;
        Some(&found.kind)
    }

    fn is_a(&self, kind: &str, other: &str) -> bool {
        /// Deeper than any real one: a damaged database could go in circles.
        const DEPTH: usize = 16;
        fn climbs(database: &Database, kind: &str, other: &str, left: usize) -> bool {
            let above = || database.above.get(kind).map(Vec::as_slice).unwrap_or_default();
            kind == other || (left > 0 && above().iter().any(|kind| climbs(database, kind, other, left - 1)))
        }
        climbs(self, kind, other, DEPTH)
    }

    fn hear_globs(&mut self, text: &[u8]) {
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#")) {
            let mut fields = line.split(|&byte| byte == b':');
            let (Some(weight), Some(kind), Some(pattern)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            let (Some(weight), Ok(kind)) = (number(weight), std::str::from_utf8(kind)) else { continue };
            if pattern == b"__NOGLOBS__" {
                self.globs.retain(|glob| glob.kind != kind);
                continue;
            }
            let keeps_case = fields.any(|flags| flags.split(|&byte| byte == b',').any(|flag| flag == b"cs"));
            self.globs.push(Glob { weight, kind: kind.into(), pattern: pattern.into(), keeps_case });
        }
    }

    fn hear_subclasses(&mut self, text: &[u8]) {
        for line in String::from_utf8_lossy(text).lines() {
            if let Some((kind, above)) = line.split_once(' ') {
                self.above.entry(kind.into()).or_default().push(above.trim().into());
            }
        }
    }

    fn hear_magic(&mut self, text: &[u8]) {
        let Some(mut rest) = text.strip_prefix(b"MIME-Magic\0\n") else { return };
        while let Some((section, mut after)) = section(rest) {
            let mut magic = section;
            while let Some((rule, next)) = rule(after) {
                magic.rules.push(rule);
                after = next;
            }
            self.magic.push(magic);
            rest = after;
        }
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// "[50:text/plain]\n"
fn section(bytes: &[u8]) -> Option<(Magic, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let (priority, kind) =
        std::str::from_utf8(&bytes[..end]).ok()?.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
    Some((Magic { priority: priority.parse().ok()?, kind: kind.into(), rules: Vec::new() }, &bytes[end + 1..]))
}

/// "1>0=\0\x04abcd&....~2+16\n"
fn rule(bytes: &[u8]) -> Option<(Rule, &[u8])> {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length = digits(bytes);
    let depth = if length == 0 { 0 } else { number(&bytes[..length])? };
    let rest = bytes[length..].strip_prefix(b">")?;
    let length = digits(rest);
    let offset = number(&rest[..length])?;
    let rest = rest[length..].strip_prefix(b"=")?;
    let (length, rest) = rest.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    let (value, mut rest) = rest.split_at_checked(length)?;
    let mut rule = Rule { depth, offset, range: 1, value: value.into(), mask: None };
    if let Some(after) = rest.strip_prefix(b"&") {
        let (mask, after) = after.split_at_checked(length)?;
        (rule.mask, rest) = (Some(mask.into()), after);
    }
    for (mark, is_word) in [(b"~", true), (b"+", false)] {
        if let Some(after) = rest.strip_prefix(mark) {
            let length = digits(after);
            let value: usize = number(&after[..length])?;
            match is_word {
                true => rule.swap(value),
                false => rule.range = value.max(1),
            }
            rest = &after[length..];
        }
    }
    // What a later version adds to a line is passed over.
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    Some((rule, &rest[end + 1..]))
}

impl Rule {
    /// Words of the machine's own order are written with the high byte first.
    fn swap(&mut self, word: usize) {
        if cfg!(target_endian = "little") && matches!(word, 2 | 4) {
            self.value.chunks_exact_mut(word).for_each(<[u8]>::reverse);
            self.mask.iter_mut().for_each(|mask| mask.chunks_exact_mut(word).for_each(<[u8]>::reverse));
        }
    }

    fn matches(&self, head: &[u8]) -> bool {
        let is_at = |at: usize| {
            let Some(found) = at.checked_add(self.value.len()).and_then(|end| head.get(at..end)) else { return false };
            match &self.mask {
                None => found == self.value,
                Some(mask) => {
                    (0..found.len()).all(|index| found[index] & mask[index] == self.value[index] & mask[index])
                }
            }
        };
        let end = self.offset.saturating_add(self.range).min(head.len());
        (self.offset..end).any(is_at)
    }
}

/// Whether a rule of this depth is found, with one of those below it.
fn any_matches(rules: &[Rule], depth: usize, head: &[u8]) -> bool {
    let mut at = 0;
    while at < rules.len() && rules[at].depth >= depth {
        let below = rules[at + 1..].iter().take_while(|rule| rule.depth > rules[at].depth).count();
        let inner = &rules[at + 1..at + 1 + below];
        if rules[at].depth == depth
            && rules[at].matches(head)
            && (inner.is_empty() || any_matches(inner, depth + 1, head))
        {
            return true;
        }
        at += 1 + below;
    }
    false
}

/// fnmatch(3) without its classes: `*`, `?`, `[a-z]`, `[!a]`.
fn glob_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while here < name.len() {
        match one(&pattern[at..], name[here]) {
            Some(0) => {
                star = Some((at + 1, here));
                at += 1;
            }
            Some(length) => {
                at += length;
                here += 1;
            }
            None => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (at, here) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// How much of the pattern this byte takes; 0 for a star.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'*' => Some(0),
        b'?' => Some(1),
        b'[' => {
            let end = pattern.iter().skip(2).position(|&end| end == b']')? + 2;
            let (is_not, set) = match pattern[1] {
                b'!' | b'^' => (true, &pattern[2..end]),
                _ => (false, &pattern[1..end]),
            };
            let mut rest = set;
            let mut is_in = false;
            while let Some((&first, after)) = rest.split_first() {
                match after {
                    [b'-', last, after @ ..] => {
                        is_in |= (first..=*last).contains(&byte);
                        rest = after;
                    }
                    _ => {
                        is_in |= first == byte;
                        rest = after;
                    }
                }
            }
            (is_in != is_not).then_some(end + 1)
        }
        &other => (other == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name) in
            [("*.txt", "a.txt"), ("*.so.[0-9]*", "lib.so.1.2"), ("a?c", "abc"), ("*", ""), ("[!a]", "b")]
        {
            assert!(glob_matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.txt", "a.txt~"), ("*.so.[0-9]*", "lib.so.x"), ("a?c", "ac"), ("[!a]", "a"), ("[a", "a")]
        {
            assert!(!glob_matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn rules_below_a_rule_are_needed_too() {
        let mut database = Database::default();
        database.hear_magic(
            b"MIME-Magic\0\n[80:a/b]\n>0=\0\x02ab\n1>2=\0\x01x+3\n1>2=\0\x01y\n[50:c/d]\n>1=\0\x02BB&\xdf\xff\n",
        );
        assert_eq!(database.by_contents(b"ab__x"), Some("a/b"));
        assert_eq!(database.by_contents(b"ab___x"), None);
        assert_eq!(database.by_contents(b"aby"), Some("a/b"));
        assert_eq!(database.by_contents(b"?bB"), Some("c/d"));
        assert_eq!(database.by_contents(b"?bb"), None);
    }

    #[test]
    fn a_database_cut_off_anywhere_is_read_as_far_as_it_goes() {
        let whole = b"MIME-Magic\0\n[80:a/b]\n>0=\0\x02ab&\xff\xff~2+16\n1>2=\0\x01x\n[50:c/d]\n>99999999999999999999=\0\x01x\n";
        for end in 0..whole.len() {
            Database::default().hear_magic(&whole[..end]);
        }
    }
}
