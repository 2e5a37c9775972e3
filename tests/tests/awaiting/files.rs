//! Open files: positions, buffers, holes, attributes.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use fileops::fs::{File, OpenOptions, Times};
use fileops::{Action, Error, block_on};
use fileops_tests::Tree;

#[test]
fn reads_and_writes_name_their_position_and_give_the_buffer_back() {
    let tree = Tree::new("");
    block_on(async {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(tree.path("file")).await?;
        assert_eq!(file.write_at("hello world", 0).await?, b"hello world");
        let buffers = vec![b"HE".to_vec(), Vec::new(), b"LLO".to_vec()];
        assert_eq!(file.write_vectored_at(buffers.clone(), 0).await?, buffers);
        assert_eq!(file.read_at(vec![0; 5], 0).await?, b"HELLO");
        assert_eq!(file.read_at(vec![0; 50], 6).await?, b"world");
        assert_eq!(file.read_at(vec![0; 50], 600).await?, b"");
        let read = file.read_vectored_at(vec![vec![0; 3], vec![0; 20], vec![0; 4]], 4).await?;
        assert_eq!(read, [b"O w".to_vec(), b"orld".to_vec(), Vec::new()]);
        assert_eq!(file.read_from(6).await?, b"world");
        // Many at once.
        let calls: Vec<_> = (0..11u64).map(|at| file.read_at(vec![0; 1], at)).collect();
        let mut text = Vec::new();
        for call in calls {
            text.extend(call.await?);
        }
        assert_eq!(text, b"HELLO world");
        file.sync_data().await?;
        file.sync_all().await
    })
    .unwrap();
    tree.assert("file=HELLO\\x20world");
}

#[test]
fn a_file_gets_room_holes_length_and_attributes() {
    let tree = Tree::new("");
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    block_on(async {
        let file = OpenOptions::new().read(true).write(true).create(true).open(tree.path("file")).await?;
        file.write_at(vec![7; 1 << 20], 0).await?;
        file.punch_hole(256 << 10..768 << 10).await?;
        assert_eq!(file.seek_hole(0).await?, Some(256 << 10));
        assert_eq!(file.seek_data(300 << 10).await?, Some(768 << 10));
        assert_eq!(file.seek_data(2 << 20).await?, None);
        assert!(file.metadata().await?.allocated() < 1 << 20);
        file.allocate(0..2 << 20).await?;
        assert!(file.metadata().await?.allocated() >= 2 << 20);
        file.set_len(10).await?;
        file.set_permissions(0o600).await?;
        file.set_times(Times { accessed: Some(old), modified: Some(old) }).await?;
        let metadata = file.metadata().await?;
        assert_eq!((metadata.len(), metadata.mode(), metadata.modified()), (10, 0o600, old));
        file.set_owner(Some(metadata.uid()), None).await
    })
    .unwrap();
}

#[test]
fn options_are_those_of_std() {
    let tree = Tree::new("file=hello");
    let path = tree.path("file");
    let open = |options: &OpenOptions| block_on(options.open(&path)).map(drop).map_err(|error| error.source.kind());
    let options = OpenOptions::new;
    assert_eq!(open(&options()), Err(ErrorKind::InvalidInput), "for nothing");
    assert_eq!(open(options().read(true).truncate(true)), Err(ErrorKind::InvalidInput));
    assert_eq!(open(options().append(true).truncate(true)), Err(ErrorKind::InvalidInput));
    assert_eq!(open(options().write(true).create_new(true)), Err(ErrorKind::AlreadyExists));
    assert_eq!(open(options().append(true)), Ok(()));
    tree.assert("file=hello");
    assert_eq!(open(options().write(true).truncate(true)), Ok(()));
    tree.assert("file=");
    let link = libc::O_NOFOLLOW;
    std::os::unix::fs::symlink("file", tree.path("link")).unwrap();
    let refused = block_on(options().read(true).custom_flags(link).open(tree.path("link"))).map(drop).unwrap_err();
    assert_eq!((refused.action, refused.errno()), (Action::Open, Some(libc::ELOOP)));
    let appending = block_on(options().append(true).open(&path)).unwrap();
    block_on(appending.write_at("ab", 0)).unwrap();
    block_on(appending.write_at("cd", 0)).unwrap();
    tree.assert("file=abcd link->file");
}

#[test]
fn a_call_on_a_file_that_is_open_otherwise_fails_and_names_it() {
    let tree = Tree::new("file=hello");
    let file = block_on(File::open(tree.path("file"))).unwrap();
    let error: Error = block_on(file.write_at("x", 0)).unwrap_err();
    assert_eq!(
        (error.action, error.path, error.source.raw_os_error()),
        (Action::Write, tree.path("file"), Some(libc::EBADF))
    );
}
