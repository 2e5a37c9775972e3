//! Files as streams: by the traits of futures-io and of tokio, with short reads, faults and latencies.

use crate::{PATIENCE, odd, pattern, wait_until};
use fileops::{block_on, fs};
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse};
use futures_util::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use std::fs::OpenOptions;
use std::io::{self, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn open(path: &Path, options: &OpenOptions) -> fs::File {
    options.open(path).unwrap().into()
}

fn new(path: &Path) -> fs::File {
    open(path, OpenOptions::new().write(true).create_new(true))
}

#[test]
fn the_copy_of_futures_copies_a_file() {
    let tree = Tree::new("");
    let (from, to) = (odd(tree.root()), tree.path("copy"));
    let bytes = pattern(5 * MIB + 12_345);
    std::fs::write(&from, &bytes).unwrap();
    block_on(async {
        let from = fs::File::open(&from).await.unwrap();
        let mut to = new(&to);
        assert_eq!(futures_util::io::copy(from, &mut to).await.unwrap(), bytes.len() as u64);
        to.close().await.unwrap();
    });
    assert!(std::fs::read(&to).unwrap() == bytes);
}

#[test]
fn the_buffered_copy_of_futures_copies_a_file() {
    let tree = Tree::new("");
    let (from, to) = (tree.path("from"), tree.path("to"));
    let bytes = pattern(4 * MIB);
    std::fs::write(&from, &bytes).unwrap();
    block_on(async {
        let from = fs::File::open(&from).await.unwrap();
        let mut to = new(&to);
        assert_eq!(futures_util::io::copy_buf(from, &mut to).await.unwrap(), bytes.len() as u64);
        to.close().await.unwrap();
    });
    assert!(std::fs::read(&to).unwrap() == bytes);
}

#[test]
fn the_copy_of_tokio_copies_a_file_and_its_seek_finds_the_place() {
    use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
    let tree = Tree::new("");
    let (from, to) = (tree.path("from"), tree.path("to"));
    let bytes = pattern(3 * MIB + 1);
    std::fs::write(&from, &bytes).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut from = fs::File::open(&from).await.unwrap();
        let mut to = new(&to);
        assert_eq!(AsyncSeekExt::seek(&mut from, SeekFrom::Start(5)).await.unwrap(), 5);
        assert_eq!(tokio::io::copy(&mut from, &mut to).await.unwrap(), bytes.len() as u64 - 5);
        AsyncWriteExt::shutdown(&mut to).await.unwrap();
        assert_eq!(AsyncSeekExt::seek(&mut from, SeekFrom::End(-3)).await.unwrap(), bytes.len() as u64 - 3);
        let mut last = [0; 3];
        AsyncReadExt::read_exact(&mut from, &mut last).await.unwrap();
        assert_eq!(last, bytes[bytes.len() - 3..]);
        assert_eq!(AsyncSeekExt::stream_position(&mut from).await.unwrap(), bytes.len() as u64);
    });
    assert!(std::fs::read(&to).unwrap() == bytes[5..]);
}

#[test]
fn a_file_that_grows_is_read_on() {
    let tree = Tree::new("log=one");
    let mut reader = block_on(fs::File::open(tree.path("log"))).unwrap();
    let mut all = Vec::new();
    block_on(reader.read_to_end(&mut all)).unwrap();
    OpenOptions::new().append(true).open(tree.path("log")).unwrap().write_all(b" two").unwrap();
    block_on(reader.read_to_end(&mut all)).unwrap();
    assert_eq!(all, b"one two");
}

#[test]
fn seeks_answer_as_std_does() {
    use std::io::Seek;
    let tree = Tree::new("file=0123456789");
    let mut ours = block_on(fs::File::open(tree.path("file"))).unwrap();
    let mut theirs = std::fs::File::open(tree.path("file")).unwrap();
    for to in [SeekFrom::End(-4), SeekFrom::Current(-2), SeekFrom::Current(20), SeekFrom::Start(1), SeekFrom::End(3)] {
        assert_eq!(block_on(ours.seek(to)).unwrap(), theirs.seek(to).unwrap(), "{to:?}");
    }
    for to in [SeekFrom::Current(-100), SeekFrom::End(-11), SeekFrom::Start(u64::MAX)] {
        let (ours, theirs) = (block_on(ours.seek(to)).unwrap_err(), theirs.seek(to).unwrap_err());
        assert_eq!(ours.kind(), theirs.kind(), "{to:?}");
    }
    // A seek that failed moved nothing.
    assert_eq!(block_on(ours.stream_position()).unwrap(), 13);
}

#[test]
fn a_pipe_is_a_stream_without_positions() {
    let tree = Tree::new("pipe|");
    let path = tree.path("pipe");
    let bytes = pattern(300_000);
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || {
        let mut writer = open(&path, OpenOptions::new().write(true));
        block_on(async {
            writer.write_all(&sent).await.unwrap();
            writer.close().await.unwrap();
        });
    });
    let mut reader = block_on(fs::File::open(tree.path("pipe"))).unwrap();
    let mut all = Vec::new();
    block_on(reader.read_to_end(&mut all)).unwrap();
    writer.join().unwrap();
    assert!(all == bytes, "{} bytes", all.len());
}

#[test]
fn short_reads_leave_nothing_out() {
    require_fuse!();
    let fault = FaultFs::new();
    let bytes = pattern(2 * MIB + 77);
    std::fs::write(fault.backing().join("file"), &bytes).unwrap();
    let rule = fault.add(Fault::new(Op::Read, Action::ShortRead(60_000)));
    let mut file = block_on(fs::File::open(fault.path().join("file"))).unwrap();
    let mut all = Vec::new();
    block_on(file.read_to_end(&mut all)).unwrap();
    assert!(all == bytes, "{} bytes", all.len());
    assert!(fault.hits(rule) > 10);
}

#[test]
fn an_error_of_a_read_comes_after_what_was_read_before_it() {
    require_fuse!();
    let fault = FaultFs::new();
    let bytes = pattern(4 * MIB);
    std::fs::write(fault.backing().join("file"), &bytes).unwrap();
    fault.add(Fault::new(Op::Read, Action::Errno(libc::EIO)).from(12));
    let mut file = block_on(fs::File::open(fault.path().join("file"))).unwrap();
    let mut all = Vec::new();
    let error = block_on(file.read_to_end(&mut all)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert!(!all.is_empty() && all.len() < bytes.len() && all == bytes[..all.len()], "{} bytes", all.len());
    // The stream stands where the error was.
    fault.clear();
    block_on(file.read_to_end(&mut all)).unwrap();
    assert!(all == bytes, "{} bytes", all.len());
}

#[test]
fn an_error_of_a_write_behind_is_told_once_and_nothing_is_lost() {
    require_fuse!();
    let fault = FaultFs::new();
    let bytes = pattern(3 * MIB);
    let rule = fault.add(Fault::new(Op::Write, Action::Errno(libc::ENOSPC)).from(5));
    let mut file = new(&fault.path().join("file"));
    // Before the error comes it is taken in parts: how much was taken is known from each write.
    let (mut taken, mut errors) = (0, 0);
    block_on(async {
        while taken < bytes.len() && errors == 0 {
            match file.write(&bytes[taken..]).await {
                Ok(length) => taken += length,
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
                    errors += 1;
                }
            }
        }
        if errors == 0 {
            let error = file.flush().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        }
        // While the cause is there, each try tells it again.
        let error = file.close().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        assert!(fault.hits(rule) >= 2);
        fault.clear();
        file.write_all(&bytes[taken..]).await.unwrap();
        file.close().await.unwrap();
    });
    assert!(std::fs::read(fault.backing().join("file")).unwrap() == bytes);
}

#[test]
fn what_is_said_only_when_a_file_is_closed_is_told_by_close() {
    require_fuse!();
    let fault = FaultFs::new();
    let mut file = new(&fault.path().join("file"));
    fault.add(Fault::new(Op::Flush, Action::Errno(libc::EDQUOT)).first(1));
    block_on(async {
        file.write_all(b"hello").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(file.close().await.unwrap_err().raw_os_error(), Some(libc::EDQUOT));
        file.close().await.unwrap();
    });
}

#[test]
fn writes_in_flight_reach_a_file_in_their_order() {
    require_fuse!();
    let fault = FaultFs::new();
    std::fs::write(fault.backing().join("log"), b"begin ").unwrap();
    // The first write is slow: one that did not wait for it would be first.
    fault.add(Fault::new(Op::Write, Action::Latency(Duration::from_millis(300))).nth(1));
    let mut file = open(&fault.path().join("log"), OpenOptions::new().append(true));
    let bytes = pattern(2 * MIB);
    block_on(async {
        for part in bytes.chunks(100_000) {
            file.write_all(part).await.unwrap();
        }
        file.close().await.unwrap();
    });
    let written = std::fs::read(fault.backing().join("log")).unwrap();
    assert!(written == [b"begin ", &bytes[..]].concat(), "{} bytes", written.len());
}

#[test]
fn a_stream_that_is_dropped_while_it_reads_ahead_holds_up_nobody() {
    require_fuse!();
    let fault = FaultFs::new();
    std::fs::write(fault.backing().join("file"), pattern(4 * MIB)).unwrap();
    let mut file = block_on(fs::File::open(fault.path().join("file"))).unwrap();
    let mut first = [0; 10];
    block_on(file.read_exact(&mut first)).unwrap();
    fault.add(Fault::new(Op::Read, Action::Hang));
    block_on(file.read_exact(&mut [0; 100_000])).unwrap();
    drop(file);
    let tree = Tree::new("other=hello");
    let mut other = block_on(fs::File::open(tree.path("other"))).unwrap();
    let mut all = String::new();
    block_on(other.read_to_string(&mut all)).unwrap();
    assert_eq!(all, "hello");
    fault.release();
    fault.clear();
}

#[test]
fn what_a_dropped_stream_took_is_written_after_a_hang() {
    require_fuse!();
    let fault = FaultFs::new();
    fault.add(Fault::new(Op::Write, Action::Hang).first(1));
    let bytes = pattern(MIB + 1);
    let mut file = new(&fault.path().join("file"));
    block_on(file.write_all(&bytes)).unwrap();
    drop(file);
    assert!(fault.wait_hanging(1, PATIENCE));
    fault.release();
    let path = fault.backing().join("file");
    wait_until("all is written", || std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn a_file_that_is_not_open_for_it_answers_as_std_does() {
    use std::io::Read;
    let tree = Tree::new("file=hello dir/");
    let mut file = block_on(fs::File::open(tree.path("file"))).unwrap();
    block_on(file.write_all(b"x")).unwrap();
    let ours = block_on(file.flush()).unwrap_err();
    let theirs = std::fs::File::open(tree.path("file")).unwrap().write_all(b"x").unwrap_err();
    assert_eq!(ours.raw_os_error(), theirs.raw_os_error());
    let ours = block_on(open(&tree.path("dir"), OpenOptions::new().read(true)).read(&mut [0; 3])).unwrap_err();
    let theirs = std::fs::File::open(tree.path("dir")).unwrap().read(&mut [0; 3]).unwrap_err();
    assert_eq!((ours.kind(), ours.raw_os_error()), (io::ErrorKind::IsADirectory, theirs.raw_os_error()));
}
