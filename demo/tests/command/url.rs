//! `fileops url`, as scripts meet it.

use super::{Place, stderr, stdout};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

/// Runs `fileops url` with a home of the test's own.
fn url(place: &Place, args: &[&OsStr]) -> Output {
    let mut command = place.command([OsStr::new("url")].iter().chain(args));
    command.env("HOME", "/home/u").output().unwrap()
}

#[track_caller]
fn answer(exit: i32, args: &[&[u8]]) -> Output {
    let args: Vec<_> = args.iter().map(|arg| OsStr::from_bytes(arg)).collect();
    let output = url(&Place::new(), &args);
    assert_eq!(output.status.code(), Some(exit), "{args:?}: {}", stderr(&output));
    output
}

#[test]
fn a_url_and_its_path_are_translated_byte_for_byte() {
    let path = b"/home/u/net/ftp:h/caf\xe9 1";
    assert_eq!(answer(0, &[b"to-path", b"FTP://H:21/caf%E9%201/"]).stdout, [&path[..], b"\n"].concat());
    assert_eq!(answer(0, &[b"to-url", path]).stdout, b"ftp://h/caf%E9%201\n");
    assert_eq!(answer(0, &[b"to-url", b"/home/u/./net//ftp:h/"]).stdout, b"ftp://h/\n");
}

#[test]
fn a_name_is_words_and_is_escaped() {
    let name = |url: &[u8]| stdout(&answer(0, &[b"name", url]));
    assert_eq!(name(b"ftp://Test.Local"), "FTP share on test.local\n");
    assert_eq!(name(b"https://bob@h:8443/"), "secure WebDAV share on h:8443 as bob\n");
    assert_eq!(name(b"smb://nas/Music/a%1b%FF"), "a\\u{1b}\\xff on nas\n");
}

#[test]
fn what_is_no_address_is_named_with_the_reason_and_without_a_password() {
    let said = |args: &[&[u8]]| {
        let output = answer(1, args);
        assert_eq!(stdout(&output), "");
        stderr(&output)
    };
    assert_eq!(said(&[b"to-path", b"ftp://h/../\n"]), "fileops: ftp://h/../\\n: names may not be . or ..\n");
    let password = said(&[b"to-path", b"ftp://u:secret@h/"]);
    assert_eq!(password, "fileops: ftp://u:***@h/: a password may not stand in an address\n");
    let outside = said(&[b"to-url", b"/etc/passwd"]);
    assert_eq!(outside, "fileops: /etc/passwd: the path is not below the net directory\n");
    assert!(said(&[b"name", b"gopher://h/"]).starts_with("fileops: gopher://h/: it does not begin with ftp://"));
}

#[test]
fn url_needs_a_command_and_one_argument() {
    answer(2, &[]);
    answer(2, &[b"to-path"]);
    answer(2, &[b"to-url", b""]);
    answer(2, &[b"to-url", b"a", b"b"]);
    answer(2, &[b"translate", b"ftp://h/"]);
}

#[test]
fn without_a_home_there_is_no_net_directory() {
    let place = Place::new();
    let output = place.command(["url", "to-path", "ftp://h/"]).env_remove("HOME").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("HOME"), "{}", stderr(&output));
}
