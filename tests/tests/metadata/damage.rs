//! Files that are cut off, changed, or made to harm: an answer or an error, never a panic, and never more memory than is read.

use std::fs;
use std::panic;
use std::path::Path;

use fileops::Refusal;
use fileops::meta::{self, Cache};
use fileops_tests::{Tree, alone};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::samples::{self, Sample};
use crate::wait;

/// What a process may take that extracts: the buffers of a PDF and its unpacked streams, and some.
const PEAK_KIB: u64 = 320 * 1024;

/// The most memory this process had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Extracts; whatever is answered, it is an answer, and the file's own error if it is one.
fn survive(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
    match wait(meta::extract(path, Cache::Ignore)) {
        Ok(found) => {
            for text in [&found.title, &found.author, &found.album, &found.camera, &found.taken].into_iter().flatten() {
                assert!(!text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control), "{text:?}");
            }
        }
        // A worker that panicked would be another error.
        Err(error) => assert_eq!(error.refusal(), Some(Refusal::TooMuch), "{error:?}"),
    }
}

/// Parsers that are not ours may panic, which is caught; nobody needs to read about it.
fn quietly(test: impl FnOnce()) {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.location().is_none_or(|place| place.file().contains("/tests/")) {
            hook(info);
        }
    }));
    test();
    let peak = peak();
    println!("seen: a peak of {peak} KiB");
    assert!(peak < PEAK_KIB, "{peak} KiB");
}

fn each(test: impl Fn(&Path, &Sample)) {
    let tree = Tree::new("");
    for sample in samples::all() {
        test(&tree.path(sample.name), &sample);
    }
}

#[test]
fn files_cut_off_anywhere_are_survived() {
    alone!();
    quietly(|| {
        each(|path, sample| {
            // Data is all the same from some point on.
            let ends = (0..sample.bytes.len().min(700)).chain([sample.bytes.len() - 1]);
            ends.for_each(|end| survive(path, &sample.bytes[..end]));
        });
    });
}

#[test]
fn lengths_that_are_huge_or_nothing_are_survived_anywhere() {
    alone!();
    quietly(|| {
        let lengths: [&[u8]; 4] =
            [&[0xff; 4], &[0x7f, 0xff, 0xff, 0x7f], &[0; 4], &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]];
        each(|path, sample| {
            for at in 0..sample.bytes.len().min(400) {
                for length in lengths {
                    let mut bytes = sample.bytes.clone();
                    let end = bytes.len().min(at + length.len());
                    bytes[at..end].copy_from_slice(&length[..end - at]);
                    survive(path, &bytes);
                }
            }
        });
    });
}

#[test]
fn bytes_changed_at_random_are_survived() {
    alone!();
    quietly(|| {
        let tree = Tree::new("");
        let samples = samples::all();
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12);
        let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
        let mut runner = TestRunner::new(Config { cases: 2000, failure_persistence: None, ..Config::default() });
        let run = runner.run(&(0..samples.len(), changes, cut), |(which, changes, cut)| {
            let sample = &samples[which];
            let mut bytes = sample.bytes.clone();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            survive(&tree.path(sample.name), &bytes);
            Ok(())
        });
        run.unwrap();
    });
}

#[test]
fn contents_under_the_name_of_another_kind_are_survived() {
    alone!();
    quietly(|| {
        let tree = Tree::new("");
        let samples = samples::all();
        for name in samples.iter().map(|sample| sample.name) {
            samples.iter().for_each(|sample| survive(&tree.path(name), &sample.bytes));
        }
    });
}

#[test]
fn an_opus_header_without_channels_is_survived() {
    alone!();
    quietly(|| {
        let tree = Tree::new("");
        let whole = samples::opus();
        let at = whole.windows(8).position(|window| window == b"OpusHead").expect("a header");
        for channels in [0, 255] {
            for family in [0, 1, 255] {
                let mut bytes = whole.clone();
                (bytes[at + 9], bytes[at + 18]) = (channels, family);
                survive(&tree.path("song.opus"), &bytes);
                // Right after the header, too.
                survive(&tree.path("song.opus"), &bytes[..at + 19]);
            }
        }
    });
}

#[test]
fn a_pdf_made_to_be_slow_or_large_is_survived() {
    alone!();
    quietly(|| {
        let tree = Tree::new("");
        let path = tree.path("bomb.pdf");
        let many = |part: &str, bytes: usize| part.repeat(bytes / part.len()).into_bytes();
        survive(&path, &many("1 0 obj<</Type/ObjStm/N 1/First 1/X(", 16 << 20));
        survive(&path, &many("trailer<<", 16 << 20));
        survive(&path, &many("1 0 obj<</Type/XRef/Root 1 0 R>>", 16 << 20));
        survive(&path, &many("[", 16 << 20));
        // 2,048 streams that say they hold a million objects each.
        let packed = samples::zlib(&many("1 2 ", 60_000));
        let stream = [b"9 0 obj<</Type/ObjStm/N 1000000/First 9/Filter/FlateDecode>>stream\n", &packed[..]].concat();
        survive(&path, &stream.repeat(200));
    });
}
