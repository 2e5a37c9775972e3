//! Calls on paths: what they do, and what their errors say.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fileops::fs::{self, Access, Kind, Renaming, Times};
use fileops::{Action, Error, Pool, Priority, block_on};
use fileops_tests::Tree;

#[track_caller]
fn fails<T>(call: fs::Call<T>, action: Action, path: impl AsRef<Path>, kind: ErrorKind) -> Error
where
    T: Send + 'static,
{
    let Err(error) = block_on(call) else { panic!("it succeeds") };
    assert_eq!((error.action, error.path.as_path(), error.source.kind()), (action, path.as_ref(), kind));
    error
}

#[test]
fn metadata_is_what_stat_says() {
    let tree = Tree::new("file=hello dir/ link->file fifo|");
    for (name, kind) in [("file", Kind::File), ("dir", Kind::Directory), ("link", Kind::Symlink), ("fifo", Kind::Fifo)]
    {
        let path = tree.path(name);
        let (ours, theirs) =
            (block_on(fs::symlink_metadata(&path)).unwrap(), std::fs::symlink_metadata(&path).unwrap());
        assert_eq!(ours.kind(), kind);
        assert_eq!((ours.is_file(), ours.is_dir()), (theirs.is_file(), theirs.is_dir()));
        assert_eq!(ours.kind() == Kind::Fifo, theirs.file_type().is_fifo());
        assert_eq!((ours.len(), ours.allocated()), (theirs.len(), theirs.blocks() * 512));
        assert_eq!((ours.dev(), ours.inode(), ours.nlink()), (theirs.dev(), theirs.ino(), theirs.nlink()));
        assert_eq!((ours.uid(), ours.gid(), ours.mode()), (theirs.uid(), theirs.gid(), theirs.mode() & 0o7777));
        assert_eq!((ours.modified(), ours.accessed()), (theirs.modified().unwrap(), theirs.accessed().unwrap()));
        assert_eq!(ours.created(), theirs.created().ok());
        let since = ours.changed().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!((since.as_secs() as i64, i64::from(since.subsec_nanos())), (theirs.ctime(), theirs.ctime_nsec()));
    }
    assert!(block_on(fs::metadata(tree.path("link"))).unwrap().is_file());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = block_on(fs::metadata(tree.root())).unwrap().mount_id().unwrap().to_string();
    assert!(mounts.lines().any(|line| line.split(' ').next() == Some(&mount)), "{mount} is in\n{mounts}");
}

#[test]
fn an_error_names_the_action_the_path_and_the_kernels_answer() {
    let tree = Tree::new("file=x dir/x=y");
    let gone = tree.path("gone");
    fails(fs::metadata(&gone), Action::Stat, &gone, ErrorKind::NotFound);
    fails(fs::read(&gone), Action::Read, &gone, ErrorKind::NotFound);
    fails(fs::File::open(&gone), Action::Open, &gone, ErrorKind::NotFound);
    fails(fs::read(tree.path("dir")), Action::Read, tree.path("dir"), ErrorKind::IsADirectory);
    fails(fs::create_dir(tree.path("dir")), Action::CreateDir, tree.path("dir"), ErrorKind::AlreadyExists);
    fails(fs::remove_dir(tree.path("dir")), Action::RemoveDir, tree.path("dir"), ErrorKind::DirectoryNotEmpty);
    fails(fs::remove_file(&gone), Action::Remove, &gone, ErrorKind::NotFound);
    fails(fs::read_link(tree.path("file")), Action::ReadLink, tree.path("file"), ErrorKind::InvalidInput);
    fails(fs::canonicalize(&gone), Action::Resolve, &gone, ErrorKind::NotFound);
    fails(fs::metadata(tree.path("file/x")), Action::Stat, tree.path("file/x"), ErrorKind::NotADirectory);
    let error = fails(fs::rename(&gone, tree.path("new")), Action::Rename, &gone, ErrorKind::NotFound);
    assert_eq!(error.target, Some(tree.path("new")));
    let nul = PathBuf::from(OsStr::from_bytes(b"a\0b"));
    fails(fs::metadata(&nul), Action::Stat, &nul, ErrorKind::InvalidInput);
    fails(fs::create_dir(&nul), Action::CreateDir, &nul, ErrorKind::InvalidInput);
    fails(fs::metadata(""), Action::Stat, "", ErrorKind::NotFound);
}

#[test]
fn whole_files_are_written_read_and_appended_to() {
    let tree = Tree::new("");
    let path = tree.path("file");
    block_on(async {
        fs::write(&path, "hello").await?;
        fs::append(&path, b" world".to_vec()).await?;
        assert_eq!(fs::read_to_string(&path).await?, "hello world");
        fs::write(&path, "bye").await?;
        fs::append(tree.path("other"), "new").await?;
        Ok::<_, Error>(())
    })
    .unwrap();
    tree.assert("file=bye other=new");
    std::fs::write(&path, b"\xff").unwrap();
    for _ in 0..2 {
        fails(fs::read_to_string(&path), Action::Read, &path, ErrorKind::InvalidData);
    }
    let large: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    block_on(fs::write(&path, large.clone())).unwrap();
    assert!(block_on(fs::read(&path)).unwrap() == large);
    let status = block_on(fs::read_to_string("/proc/self/status")).unwrap();
    assert!(status.contains("VmRSS"), "what has no size is read to its end");
}

#[test]
fn names_are_made_linked_renamed_and_removed() {
    let tree = Tree::new("a=a b=b full/x=x");
    block_on(async {
        fs::create_dir(tree.path("dir")).await?;
        fs::create_dir_all(tree.path("deep/er/est")).await?;
        fs::create_dir_all(tree.path("deep/er/est")).await?;
        fs::hard_link(tree.path("a"), tree.path("dir/a")).await?;
        fs::symlink("../b", tree.path("dir/b")).await?;
        assert_eq!(fs::read_link(tree.path("dir/b")).await?, Path::new("../b"));
        assert!(fs::is_same_file(tree.path("a"), tree.path("dir/a")).await?);
        assert!(fs::is_same_file(tree.path("b"), tree.path("dir/b")).await?);
        assert!(!fs::is_same_file(tree.path("a"), tree.path("b")).await?);
        assert_eq!(fs::canonicalize(tree.path("dir/../dir/b")).await?, tree.path("b").canonicalize().unwrap());
        assert!(fs::exists(tree.path("dir/b")).await? && !fs::exists(tree.path("c")).await?);
        assert!(!fs::exists(tree.path("a/c")).await?);
        fs::rename_with(tree.path("a"), tree.path("b"), Renaming::Exchange).await?;
        assert_eq!(fs::read(tree.path("b")).await?, b"a");
        fs::rename(tree.path("a"), tree.path("b")).await?;
        assert!(!fs::exists(tree.path("a")).await?);
        fs::remove_file(tree.path("dir/b")).await?;
        fs::remove_file(tree.path("dir/a")).await?;
        fs::remove_dir(tree.path("dir")).await?;
        fs::remove_dir_all(tree.path("full")).await?;
        Ok::<_, Error>(())
    })
    .unwrap();
    let taken = fs::rename_with(tree.path("b"), tree.path("deep"), Renaming::NoReplace);
    fails(taken, Action::Rename, tree.path("b"), ErrorKind::AlreadyExists);
    fails(fs::create_dir_all(tree.path("b/c")), Action::CreateDir, tree.path("b/c"), ErrorKind::NotADirectory);
    tree.assert("b=b deep/er/est/");
}

#[test]
fn attributes_are_set_on_a_links_target_or_on_the_link_itself() {
    let tree = Tree::new("file=x link->file");
    let (file, link) = (tree.path("file"), tree.path("link"));
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let times = Times { modified: Some(old), ..Times::default() };
    let before = std::fs::metadata(&file).unwrap();
    block_on(async {
        fs::set_permissions(&link, 0o640).await?;
        fs::set_times(&link, times).await?;
        assert_ne!(fs::symlink_metadata(&link).await?.modified(), old);
        fs::set_symlink_times(&link, times).await?;
        assert_eq!(fs::symlink_metadata(&link).await?.modified(), old);
        fs::chown(&link, Some(before.uid()), None).await?;
        fs::lchown(&link, None, Some(before.gid())).await?;
        Ok::<_, Error>(())
    })
    .unwrap();
    let after = std::fs::metadata(&file).unwrap();
    assert_eq!((after.permissions().mode() & 0o7777, after.modified().unwrap()), (0o640, old));
    assert_eq!(after.accessed().unwrap(), before.accessed().unwrap(), "what is not given stays");
    assert!(block_on(fs::access(&file, Access { read: true, ..Access::default() })).unwrap());
    assert!(!block_on(fs::access(&file, Access { execute: true, ..Access::default() })).unwrap(), "nobody may run it");
}

#[test]
fn on_any_pool_and_with_any_priority_the_answers_are_the_same() {
    let tree = Tree::new("file=hello");
    let pool = Pool::new();
    for priority in [Priority::Interactive, Priority::Normal, Priority::Background] {
        let call = fs::read_link("/proc/self/exe").on(&pool).priority(priority);
        assert_eq!(block_on(call).unwrap(), std::env::current_exe().unwrap());
    }
    drop(pool.clone());
    assert_eq!(block_on(fs::read(tree.path("file")).on(&pool)).unwrap(), b"hello");
}
