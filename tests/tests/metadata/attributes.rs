//! Typed and raw attributes, and the limits of file systems.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;

use fileops::meta::{self, Changes, Key};
use fileops::{Action, Refusal};
use fileops_tests::{FaultFs, Mount, require_filesystem, require_fuse, require_root};

use crate::{tree, wait};

#[test]
fn what_is_set_is_read_with_its_type() {
    let tree = tree!("file=x");
    let path = tree.path("file");
    let changes = Changes::new()
        .tags(["holiday", " two words ", "größe"])
        .comment("first line\nsecond")
        .rating(7)
        .origin_url("https://example.org/a?b#c")
        .text(Key::ReferrerUrl, "https://example.org/")
        .robots_index(false)
        .robots_backup(true)
        .text(Key::MimeType, "text/x-test")
        .text(Key::Charset, "UTF-8")
        .text(Key::DublinCore("title".into()), "A title");
    let done = wait(meta::change(&path, changes)).unwrap().into_result().unwrap();
    assert_eq!(done.len(), 10);
    let known = wait(meta::read(&path)).unwrap();
    assert_eq!(known.tags, ["holiday", "two words", "größe"]);
    assert_eq!(known.comment.as_deref(), Some("first line\nsecond"));
    assert_eq!(known.rating, Some(7));
    assert_eq!(known.origin_url.as_deref(), Some("https://example.org/a?b#c"));
    assert_eq!(known.referrer_url.as_deref(), Some("https://example.org/"));
    assert_eq!((known.robots_index, known.robots_backup), (Some(false), Some(true)));
    assert_eq!((known.mime_type.as_deref(), known.charset.as_deref()), (Some("text/x-test"), Some("UTF-8")));
    assert_eq!(known.dublin_core.get("title").map(String::as_str), Some("A title"));
    assert!(known.unreadable.is_empty(), "{known:?}");
    assert_eq!(xattr::get(&path, "user.xdg.tags").unwrap().unwrap(), "holiday,two words,größe".as_bytes());
    assert_eq!(xattr::get(&path, "user.baloo.rating").unwrap().unwrap(), b"7");
}

#[test]
fn tags_are_added_and_removed_and_the_last_one_leaves_no_attribute() {
    let tree = tree!("file=x");
    let path = tree.path("file");
    let change = |changes| wait(meta::change(&path, changes)).unwrap().into_result().unwrap();
    change(Changes::new().add_tag("a").add_tag("b").add_tag("a"));
    assert_eq!(wait(meta::tags(&path)).unwrap(), ["a", "b"]);
    change(Changes::new().remove_tag("a").add_tag("c"));
    assert_eq!(wait(meta::tags(&path)).unwrap(), ["b", "c"]);
    change(Changes::new().tags(["x"]).add_tag("y"));
    assert_eq!(wait(meta::tags(&path)).unwrap(), ["x", "y"]);
    change(Changes::new().remove_tag("x").remove_tag("y"));
    assert_eq!(xattr::list(&path).unwrap().count(), 0);
}

#[test]
fn values_that_are_not_possible_change_nothing() {
    let tree = tree!("file=x");
    let path = tree.path("file");
    let wrong = [
        (Changes::new().comment("c").tags(["a,b"]), Refusal::NotAValue),
        (Changes::new().comment("c").add_tag(" "), Refusal::NotAValue),
        (Changes::new().comment("c").rating(11), Refusal::NotAValue),
        (Changes::new().text(Key::Rating, "many"), Refusal::NotAValue),
        (Changes::new().text(Key::RobotsIndex, "perhaps"), Refusal::NotAValue),
        (Changes::new().comment("a\0b"), Refusal::NotText),
    ];
    for (changes, refusal) in wrong {
        let changed = wait(meta::change(&path, changes)).unwrap();
        assert!(changed.done.is_empty(), "{changed:?}");
        let (_, error) = changed.failed.expect("a failure");
        assert_eq!((error.refusal(), error.path.as_path()), (Some(refusal), path.as_path()));
    }
    assert_eq!(xattr::list(&path).unwrap().count(), 0);
}

#[test]
fn what_is_not_text_is_named_and_the_rest_is_read() {
    let tree = tree!("file=x");
    let path = tree.path("file");
    xattr::set(&path, "user.xdg.comment", b"\xff\xfe").unwrap();
    xattr::set(&path, "user.baloo.rating", b"11").unwrap();
    xattr::set(&path, "user.charset", b"UTF-8\0").unwrap();
    let known = wait(meta::read(&path)).unwrap();
    assert_eq!(known.unreadable, ["user.baloo.rating", "user.xdg.comment"]);
    assert_eq!((known.comment, known.rating, known.charset.as_deref()), (None, None, Some("UTF-8")));
    xattr::set(&path, "user.xdg.tags", b"\xff").unwrap();
    assert_eq!(wait(meta::tags(&path)).unwrap_err().refusal(), Some(Refusal::NotText));
    assert_eq!(wait(meta::get(&path, "user.xdg.tags")).unwrap().unwrap(), b"\xff");
}

#[test]
fn any_attribute_can_be_set_got_listed_and_removed_raw() {
    let tree = tree!("file=x");
    let path = tree.path("file");
    let odd = OsString::from_vec(b"user.\xff odd".to_vec());
    wait(meta::set(&path, odd.clone(), b"\0\x01".to_vec())).unwrap();
    wait(meta::set(&path, "user.a", *b"")).unwrap();
    let all = wait(meta::list(&path)).unwrap();
    let users: Vec<_> = all.iter().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"user.")).collect();
    assert_eq!(users, [&("user.a".into(), vec![]), &(odd.clone(), b"\0\x01".to_vec())]);
    assert_eq!(wait(meta::get(&path, "user.a")).unwrap(), Some(vec![]));
    assert!(wait(meta::remove(&path, odd.clone())).unwrap());
    assert!(!wait(meta::remove(&path, odd.clone())).unwrap());
    assert_eq!(wait(meta::get(&path, odd)).unwrap(), None);
    for wrong in ["", "user", "user.", ".a", "user.a\0b", &format!("user.{}", "x".repeat(255))] {
        assert_eq!(wait(meta::set(&path, wrong, *b"x")).unwrap_err().refusal(), Some(Refusal::NotAValue), "{wrong}");
    }
}

#[test]
fn a_link_is_followed_and_a_pipe_holds_nobody_up() {
    let tree = tree!("file=x pipe| unreadable!000=x");
    symlink("file", tree.path("link")).unwrap();
    wait(meta::set(tree.path("link"), "user.a", *b"1")).unwrap();
    assert_eq!(xattr::get(tree.path("file"), "user.a").unwrap().as_deref(), Some(&b"1"[..]));
    let error = wait(meta::set(tree.path("pipe"), "user.a", *b"1")).unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::NoAttributes), "{error:?}");
    assert!(wait(meta::read(tree.path("pipe"))).unwrap().tags.is_empty());
    let error = wait(meta::read(tree.path("missing"))).unwrap_err();
    assert_eq!(
        (error.errno(), error.action, error.path),
        (Some(libc::ENOENT), Action::ReadXattr, tree.path("missing"))
    );
}

#[test]
fn several_changes_tell_how_far_they_came() {
    let tree = tree!("file=x");
    let path = tree.path("file");
    let changes = Changes::new()
        .comment("kept")
        .attribute("user.large", vec![b'x'; (64 << 10) + 1])
        .attribute("user.after", *b"x");
    let changed = wait(meta::change(&path, changes)).unwrap();
    assert_eq!(changed.done, ["user.xdg.comment"]);
    let (name, error) = changed.failed.expect("a failure");
    assert_eq!((name.to_str(), error.refusal()), (Some("user.large"), Some(Refusal::ValueTooLong)), "{error:?}");
    assert_eq!(error.path, path);
    assert_eq!(wait(meta::list(&path)).unwrap(), [("user.xdg.comment".into(), b"kept".to_vec())]);
}

#[test]
fn ext4_says_when_a_file_has_too_many_attributes_and_when_its_disk_is_full() {
    require_root!();
    require_filesystem!("ext4");
    let fs = Mount::image("ext4", 8, &["-q", "-F", "-O", "^ea_inode", "-I", "256"]).unwrap();
    let path = fs.path().join("file");
    fs::write(&path, "x").unwrap();
    let error = wait(meta::set(&path, "user.large", vec![b'x'; 8000])).unwrap_err();
    assert_eq!((error.refusal(), error.errno()), (Some(Refusal::AttributesFull), Some(libc::ENOSPC)), "{error:?}");
    assert_eq!(fs::write(fs.path().join("filler"), vec![0; 16 << 20]).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    let error = wait(meta::set(&path, "user.block", vec![b'x'; 2000])).unwrap_err();
    assert_eq!((error.refusal(), error.errno()), (None, Some(libc::ENOSPC)), "{error:?}");
}

#[test]
fn where_there_are_no_attributes_reading_gives_nothing_and_writing_says_so() {
    require_fuse!();
    let fs = FaultFs::new();
    fs.knobs(|knobs| knobs.no_xattrs = true);
    let path = fs.path().join("file");
    fs::write(&path, "x").unwrap();
    assert_eq!(wait(meta::read(&path)).unwrap(), meta::Common::default());
    assert!(wait(meta::list(&path)).unwrap().is_empty());
    let changed = wait(meta::change(&path, Changes::new().rating(1))).unwrap();
    let error = changed.into_result().unwrap_err();
    assert_eq!((error.refusal(), error.errno()), (Some(Refusal::NoAttributes), Some(libc::EOPNOTSUPP)));
}
