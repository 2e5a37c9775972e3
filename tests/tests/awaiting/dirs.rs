//! Open directories: calls below them, and no way out.

use std::os::unix::fs::symlink;

use fileops::fs::{Dir, OpenOptions, Renaming};
use fileops::{Error, block_on};
use fileops_tests::Tree;

#[test]
fn calls_below_a_directory_follow_it_when_it_is_renamed() {
    let tree = Tree::new("dir/sub/file=hello elsewhere/");
    block_on(async {
        let dir = Dir::open(tree.path("dir")).await?;
        std::fs::rename(tree.path("dir"), tree.path("moved")).unwrap();
        symlink("elsewhere", tree.path("dir")).unwrap();
        assert_eq!(dir.metadata("sub/file").await?.len(), 5);
        assert_eq!(dir.read("sub/file").await?, b"hello");
        dir.create_dir("sub/new").await?;
        let sub = dir.open_dir("sub").await?;
        sub.rename("file", &dir, "file", Renaming::NoReplace).await?;
        dir.hard_link("file", &sub, "second").await?;
        dir.symlink("file", "link").await?;
        assert!(dir.symlink_metadata("link").await?.is_symlink() && dir.metadata("link").await?.is_file());
        assert_eq!(dir.read_link("link").await?.to_str(), Some("file"));
        let file = dir.open_with("made", OpenOptions::new().write(true).create_new(true)).await?;
        file.write_at("made", 0).await?;
        assert_eq!(dir.open_file("made").await?.read_at(vec![0; 9], 0).await?, b"made");
        dir.remove_file("sub/second").await?;
        sub.remove_dir("new").await?;
        assert_eq!(
            dir.own_metadata().await?.inode(),
            std::fs::metadata(tree.path("moved")).map(|m| std::os::unix::fs::MetadataExt::ino(&m)).unwrap()
        );
        dir.sync_all().await
    })
    .unwrap();
    tree.assert("dir->elsewhere elsewhere/ moved/file=hello moved/link->file moved/made=made moved/sub/");
}

#[test]
fn no_path_leads_out_of_a_directory() {
    let tree = Tree::new("in/dir/ out=x");
    symlink("../out", tree.path("in/link")).unwrap();
    symlink("..", tree.path("in/up")).unwrap();
    let dir = block_on(Dir::open(tree.path("in"))).unwrap();
    let out = tree.path("out");
    for path in ["../out", "link", "up/out", "dir/../../out", out.to_str().unwrap()] {
        let errors: [Error; 4] = [
            block_on(dir.metadata(path)).unwrap_err(),
            block_on(dir.read(path)).unwrap_err(),
            block_on(dir.open_file(path)).unwrap_err(),
            block_on(dir.open_dir(path)).map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.errno(), Some(libc::EXDEV), "{path}: {error}");
            assert_eq!(error.path, tree.path("in").join(path));
        }
    }
    for path in ["../new", "up/new", "dir/../../new"] {
        assert_eq!(block_on(dir.create_dir(path)).unwrap_err().errno(), Some(libc::EXDEV), "{path}");
        let renamed = block_on(dir.rename("dir", &dir, path, Renaming::Replace)).unwrap_err();
        assert_eq!(renamed.errno(), Some(libc::EXDEV), "{path}");
    }
    for path in ["dir/..", ".", ".."] {
        assert_eq!(block_on(dir.remove_dir(path)).unwrap_err().errno(), Some(libc::EINVAL), "{path}");
    }
    tree.assert("in/dir/ in/link->../out in/up->.. out=x");
}
