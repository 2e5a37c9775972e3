//! What the compiler does not check of the source: which module uses which, and where system calls and unsafe code stand.

use std::fs;
use std::path::{Path, PathBuf};

const MEMBERS: [&str; 5] = ["fileops", "fileops-gtk", "netd", "demo", "tests"];

const CORE: &str = "fileops/src";

const SYSTEM: &str = "fileops/src/sys";

/// The modules of the core, a level a line. Each uses only itself and those before it.
const LEVELS: [&str; 7] = [
    "error uri sys",
    "control bandwidth pool progress journal",
    "comparison conflict report question inbox kept history fs trash meta mounts watch net",
    "schedule operation",
    "engine",
    "ops",
    "lib",
];

/// What makes no system call, or none that touches a file.
const HARMLESS: [&str; 2] = ["rustix::fs::FileType", "rustix::rand"];

/// At 500 ask whether a file holds two ideas; here it does.
const TOO_MANY_LINES: usize = 800;

#[test]
fn each_module_uses_only_modules_above_it() {
    let mut violations = Vec::new();
    for source in sources(CORE) {
        let module = source.module();
        let name = module.first().map_or("lib", String::as_str);
        let Some(own) = place(name) else {
            violations.push(format!("{}: `{name}` has no place in the order", source.name));
            continue;
        };
        for used in source.paths("crate").into_iter().chain(source.paths_through_super(module.len())) {
            let other = used.path.split("::").nth(1).unwrap_or_default();
            // What is no module stands in lib.rs.
            if place(other).or(place("lib")) > Some(own) {
                violations.push(format!("{}:{}: `{name}` may not use {}", source.name, used.line, used.path));
            }
        }
    }
    assert_none("a module uses only modules above it", &violations);
}

#[test]
fn only_sys_makes_system_calls() {
    let mut violations = Vec::new();
    for source in sources(CORE).into_iter().filter(|source| !source.is_in(SYSTEM)) {
        let mut calls = source.paths("rustix");
        calls.retain(|call| !HARMLESS.iter().any(|harmless| is_below(&call.path, harmless)));
        calls.extend(source.paths("libc").into_iter().filter(|call| !is_constant(&call.path)));
        if source.is_in("fileops/src/engine") || source.is_in("fileops/src/ops") {
            calls.extend(source.paths("std").into_iter().filter(|call| is_below(&call.path, "std::fs")));
        }
        violations.extend(calls.iter().map(|call| format!("{}:{}: {}", source.name, call.line, call.path)));
    }
    assert_none("only sys makes system calls", &violations);
}

#[test]
fn unsafe_stands_only_in_sys() {
    let allowed = [SYSTEM, "fileops-gtk/src/a11y.rs"];
    let mut violations = Vec::new();
    for source in MEMBERS.iter().flat_map(|member| sources(member)) {
        if !allowed.iter().any(|place| source.is_in(place)) {
            let found = source.tokens.iter().filter(|token| token.text == "unsafe");
            violations.extend(found.map(|token| format!("{}:{}", source.name, token.line)));
        }
    }
    assert_none("unsafe code stands only in sys", &violations);
}

#[test]
fn no_source_file_is_over_long() {
    let all = MEMBERS.iter().flat_map(|member| sources(member));
    let long = all.filter(|source| source.lines > TOO_MANY_LINES);
    let violations: Vec<_> = long.map(|source| format!("{}: {} lines", source.name, source.lines)).collect();
    assert_none("a source file has at most 800 lines", &violations);
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md can be read");
    for command in ["make demo", "make test"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r####"
        // crate::a
        /* crate::b /* crate::c */ crate::d */
        let s = ("crate::e \" crate::f", b"crate::g", r#"crate::h " crate::i"#, '"', '\'', b'"');
        fn f<'a>(x: &'a str) -> crate::found::It {}
    "####;
    assert_eq!(paths_in(text, "crate"), ["5 crate::found::It"]);
}

#[test]
fn each_path_of_a_group_is_found() {
    let text = "use crate::{a::{self, B as C}, d::*};\nlet x = crate::e::f::<u8>(crate::g::H);\npub(crate) fn i() {}";
    let expected = ["1 crate::a::self", "1 crate::a::B", "1 crate::d::*", "2 crate::e::f", "2 crate::g::H"];
    assert_eq!(paths_in(text, "crate"), expected);
}

#[test]
fn a_way_up_to_the_crate_is_found() {
    let text = "use super::a;\nmod tests {\n use super::*;\n use super::super::b::C; \n}\nuse super::{d, e};";
    let found = Source::new("pool.rs".into(), text).paths_through_super(1);
    let found: Vec<_> = found.iter().map(|used| format!("{} {}", used.line, used.path)).collect();
    assert_eq!(found, ["1 crate::a", "4 crate::b::C", "6 crate::d", "6 crate::e"]);
}

fn paths_in(text: &str, first: &str) -> Vec<String> {
    let found = Source::new(String::new(), text).paths(first);
    found.iter().map(|used| format!("{} {}", used.line, used.path)).collect()
}

fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}, but not here:\n{}", violations.join("\n"));
}

/// Where a module stands in the order.
fn place(module: &str) -> Option<usize> {
    LEVELS.iter().flat_map(|level| level.split(' ')).position(|other| other == module)
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// An error number or a flag of `open`.
fn is_constant(path: &str) -> bool {
    let name = path.trim_start_matches("libc::");
    let is_upper = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_upper && (name.starts_with('E') || name.starts_with("O_"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace")
}

/// The Rust files in a directory of the workspace and below it.
fn sources(directory: &str) -> Vec<Source> {
    let mut files = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("the source can be read") {
            let path = entry.expect("the source can be read").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{directory} has no source");
    files.iter().map(Source::read).collect()
}

struct Source {
    /// Within the workspace.
    name: String,
    tokens: Vec<Token>,
    lines: usize,
}

struct Token {
    text: String,
    line: usize,
}

/// A path as it is used: `crate::sys::open`, also where it was written `crate::{sys::open, ...}`.
struct Used {
    path: String,
    line: usize,
}

impl Source {
    fn read(path: &PathBuf) -> Source {
        let name = path.strip_prefix(root()).expect("it was found there").display().to_string();
        Source::new(name, &fs::read_to_string(path).expect("the source can be read"))
    }

    fn new(name: String, text: &str) -> Source {
        Source { name, tokens: tokens(text), lines: text.lines().count() }
    }

    fn is_in(&self, place: &str) -> bool {
        Path::new(&self.name).starts_with(place)
    }

    /// `["ops", "copy"]` for `ops/copy/mod.rs`, nothing for `lib.rs`.
    fn module(&self) -> Vec<String> {
        let path = Path::new(&self.name).strip_prefix(CORE).expect("it is a file of the core").with_extension("");
        let names = path.iter().map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name != "mod" && name != "lib").collect()
    }

    fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    /// All paths that begin with this name.
    fn paths(&self, first: &str) -> Vec<Used> {
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            if self.token(at) == first && self.token(at + 1) == "::" {
                self.expand(at + 2, first, &mut found);
            }
        }
        found
    }

    /// All paths that reach the crate by `super`, in the file of a module at this depth, as if they began with `crate`.
    fn paths_through_super(&self, depth: usize) -> Vec<Used> {
        let mut found = Vec::new();
        // For each brace that is open, whether it is that of an inline module.
        let mut braces = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            match self.token(at) {
                "{" => braces.push(at >= 2 && self.token(at - 2) == "mod"),
                "}" => drop(braces.pop()),
                "super" => {
                    let start = at;
                    while self.token(at + 1) == "::" && self.token(at + 2) == "super" {
                        at += 2;
                    }
                    let inline = braces.iter().filter(|is_module| **is_module).count();
                    let is_crate = at.abs_diff(start) / 2 + 1 == depth + inline;
                    if is_crate && self.token(at + 1) == "::" {
                        self.expand(at + 2, "crate", &mut found);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        found
    }

    /// Adds the paths that continue `path` at a token, and returns the place after them.
    fn expand(&self, mut at: usize, path: &str, found: &mut Vec<Used>) -> usize {
        if self.token(at) == "{" {
            at += 1;
            while !matches!(self.token(at), "}" | "") {
                at = self.expand(at, path, found);
                // A name given by `as`, and the comma.
                while !matches!(self.token(at), "," | "}" | "") {
                    at += 1;
                }
                at += usize::from(self.token(at) == ",");
            }
            return at + 1;
        }
        let path = format!("{path}::{}", self.token(at));
        let next = self.token(at + 2);
        if self.token(at + 1) == "::" && (next == "{" || next == "*" || next.starts_with(is_name)) {
            return self.expand(at + 2, &path, found);
        }
        found.push(Used { path, line: self.tokens.get(at).map_or(0, |token| token.line) });
        at + 1
    }
}

/// The names and signs of Rust source, less its comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let name = &rest[..rest.find(|next| !is_name(next)).unwrap_or(rest.len())];
        let length = if matches!(name, "r" | "br" | "cr") && is_raw_string(&rest[name.len()..]) {
            name.len() + raw_string(&rest[name.len()..])
        } else if !name.is_empty() {
            name.len()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            // A lifetime has no closing quote after its first letter.
            let is_character = rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'');
            if is_character { quoted(rest, '\'') } else { 1 + rest[1..].find(|next| !is_name(next)).unwrap_or(0) }
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let token = &rest[..length];
        if token == name || token == "::" || (length == 1 && !first.is_whitespace()) {
            tokens.push(Token { text: token.into(), line });
        }
        line += token.matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of a literal with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if !is_escaped && letter == quote {
            return at + 1;
        }
        is_escaped = !is_escaped && letter == '\\';
    }
    text.len()
}

fn is_raw_string(text: &str) -> bool {
    text.trim_start_matches('#').starts_with('"')
}

/// The length of a raw string without the letters before it.
fn raw_string(text: &str) -> usize {
    let hashes = text.len() - text.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    text[hashes + 1..].find(&end).map_or(text.len(), |at| hashes + 1 + at + end.len())
}

/// The length of a comment, with the comments in it.
fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if text[at..].starts_with("*/") {
            (at, depth) = (at + 2, depth - 1);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}
