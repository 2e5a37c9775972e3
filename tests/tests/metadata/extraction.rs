//! What files say of themselves.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use fileops::meta::{self, Cache, Extracted};
use fileops::{Action, Refusal};
use fileops_tests::{FaultFs, Tree, require_fuse};

use crate::samples::{self, Sample};
use crate::{tree, wait};

fn extracted(name: &'static str) -> Extracted {
    let tree = Tree::new("");
    let sample = samples::all().into_iter().find(|sample: &Sample| sample.name == name).expect("a sample");
    let extracted = wait(meta::extract(sample.write(tree.root()), Cache::Ignore)).unwrap();
    assert!(!extracted.is_damaged, "{extracted:?}");
    extracted
}

fn near(found: Option<Duration>, seconds: f64) -> bool {
    found.is_some_and(|found| (found.as_secs_f64() - seconds).abs() < 0.06)
}

#[test]
fn pictures_tell_their_size_and_what_the_camera_wrote() {
    for (name, kind, size) in [
        ("photo.jpg", "image/jpeg", (40, 30)),
        ("scan.tiff", "image/tiff", (40, 30)),
        ("picture.png", "image/png", (16, 9)),
    ] {
        let found = extracted(name);
        assert_eq!((&*found.mime_type, found.dimensions, found.orientation), (kind, Some(size), Some(6)), "{name}");
        assert_eq!(found.camera.as_deref(), Some("Maker Model 1"), "{name}");
        assert_eq!(found.taken.as_deref(), Some("2026-08-01 12:30:00"), "{name}");
    }
    let found = extracted("small.gif");
    assert_eq!((&*found.mime_type, found.dimensions, found.orientation), ("image/gif", Some((3, 2)), None));
}

#[test]
fn songs_tell_their_length_and_their_tags() {
    let found = extracted("song.mp3");
    assert_eq!((&*found.mime_type, found.title.as_deref()), ("audio/mpeg", Some("Ein Lied")), "{found:?}");
    assert_eq!((found.author.as_deref(), found.album.as_deref()), (Some("Die Sängerin"), Some("Platte")));
    assert_eq!((found.track, found.year), (Some(3), Some(1999)));
    assert!(near(found.duration, 40.0 * 1152.0 / 44100.0), "{found:?}");
    for (name, seconds, title) in
        [("sound.wav", 0.5, "A sound"), ("song.flac", 2.0, "Song"), ("song.opus", 1.0, "Song")]
    {
        let found = extracted(name);
        assert!(near(found.duration, seconds), "{name}: {found:?}");
        assert_eq!(found.title.as_deref(), Some(title), "{name}");
    }
}

#[test]
fn videos_tell_their_length_and_size() {
    let found = extracted("film.mp4");
    assert_eq!((&*found.mime_type, found.dimensions), ("video/mp4", Some((320, 180))), "{found:?}");
    assert!(near(found.duration, 2.5), "{found:?}");
    let found = extracted("film.mkv");
    assert_eq!((&*found.mime_type, found.dimensions), ("video/x-matroska", Some((64, 48))), "{found:?}");
    assert_eq!(found.title.as_deref(), Some("A film"));
    assert!(near(found.duration, 1.5), "{found:?}");
}

#[test]
fn documents_tell_title_author_and_pages() {
    let found = extracted("paper.pdf");
    assert_eq!((&*found.mime_type, found.title.as_deref()), ("application/pdf", Some("Größe")), "{found:?}");
    assert_eq!((found.author.as_deref(), found.pages), (Some("An (old) author"), Some(3)));
    let found = extracted("packed.pdf");
    assert_eq!((found.title.as_deref(), found.pages), (Some("Packed"), Some(3)), "{found:?}");
}

#[test]
fn kinds_are_told_by_name_and_by_contents() {
    let tree = Tree::new("text.txt=x notes=hello empty= empty.rs= dir/ pipe|");
    fs::write(tree.path("nameless"), samples::png()).unwrap();
    fs::write(tree.path("binary"), [0, 1, 2, 3, 4]).unwrap();
    fs::write(tree.path("latin"), b"gr\xf6\xdfer").unwrap();
    let found = |name: &str| wait(meta::extract(tree.path(name), Cache::Ignore)).unwrap();
    let kinds = [
        ("text.txt", "text/plain"),
        ("notes", "text/plain"),
        ("empty", "application/x-zerosize"),
        ("empty.rs", "text/rust"),
        ("dir", "inode/directory"),
        ("pipe", "inode/fifo"),
        ("nameless", "image/png"),
        ("binary", "application/octet-stream"),
        ("latin", "text/plain"),
    ];
    for (name, kind) in kinds {
        assert_eq!(found(name).mime_type, kind, "{name}");
    }
    assert_eq!((found("text.txt").charset.as_deref(), found("latin").charset), (Some("UTF-8"), None));
    assert_eq!(found("nameless").dimensions, Some((16, 9)));
}

#[test]
fn an_answer_is_kept_in_the_file_only_when_asked_and_its_times_stay() {
    let tree = tree!("");
    let path = samples::all().remove(1).write(tree.root());
    let before = fs::metadata(&path).unwrap();
    let read = |cache| wait(meta::extract(&path, cache)).unwrap();
    let first = read(Cache::Read);
    assert_eq!(xattr::list(&path).unwrap().count(), 0, "nothing is written that was not asked for");
    assert_eq!(read(Cache::Write), first);
    assert!(xattr::get(&path, "user.fileops.extracted").unwrap().is_some());
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
    assert_eq!(read(Cache::Read), first);
}

#[test]
fn a_kept_answer_is_believed_until_the_file_changes() {
    let tree = tree!("");
    let path = samples::all().remove(1).write(tree.root());
    let read = |cache| wait(meta::extract(&path, cache)).unwrap();
    let first = read(Cache::Write);
    // Told apart from what would be read again.
    let value = xattr::get(&path, "user.fileops.extracted").unwrap().unwrap();
    let value = String::from_utf8(value).unwrap().replace("Maker", "Other");
    xattr::set(&path, "user.fileops.extracted", value.as_bytes()).unwrap();
    assert_eq!(read(Cache::Read).camera.as_deref(), Some("Other Model 1"));
    assert_eq!(read(Cache::Ignore), first);
    let file = File::options().append(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    assert_eq!(read(Cache::Read), first, "another time");
    assert_eq!(read(Cache::Write), first);
    assert!(
        !String::from_utf8(xattr::get(&path, "user.fileops.extracted").unwrap().unwrap()).unwrap().contains("Other")
    );
    xattr::set(&path, "user.fileops.extracted", b"\xff nonsense").unwrap();
    assert_eq!(read(Cache::Read), first, "nonsense is no answer");
}

#[test]
fn where_nothing_can_be_kept_the_answer_is_given_all_the_same() {
    require_fuse!();
    let fs = FaultFs::new();
    fs.knobs(|knobs| knobs.no_xattrs = true);
    let path = samples::all().remove(1).write(fs.path());
    assert_eq!(wait(meta::extract(&path, Cache::Write)).unwrap().dimensions, Some((40, 30)));
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_it() {
    let tree = Tree::new("");
    let error = wait(meta::extract(tree.path("missing"), Cache::Read)).unwrap_err();
    assert_eq!((error.action, error.errno()), (Action::Extract, Some(libc::ENOENT)));
    assert_eq!(error.path, tree.path("missing"));
}

#[test]
fn a_file_that_asks_for_too_much_ends_at_the_limit_and_says_so() {
    let tree = Tree::new("");
    let path = tree.path("endless.jpg");
    // Segments of nothing, without end.
    let bytes = [&b"\xff\xd8"[..], &b"\xff\xe0\0\x02".repeat(20 << 20)].concat();
    fs::write(&path, &bytes).unwrap();
    let error = wait(meta::extract(&path, Cache::Ignore)).unwrap_err();
    assert_eq!((error.action, error.refusal()), (Action::Extract, Some(Refusal::TooMuch)), "{error:?}");
    assert_eq!(error.path, path);
}
