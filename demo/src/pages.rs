//! `fileops completions` and `fileops man`: what clap knows of the arguments, for shells and for readers.

use crate::args::Cli;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::text;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use fileops::Shown;
use std::fs;
use std::path::Path;

pub(crate) fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fileops", &mut script);
    print(&script)
}

pub(crate) fn man(dir: Option<&Path>) -> Exit {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page).expect("a Vec takes every write");
        return print(&page);
    };
    match fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(&format!("fileops: write man pages to {}: {}", Shown(dir), text::reason(&error)));
            Exit::Incomplete
        }
    }
}

fn print(bytes: &[u8]) -> Exit {
    let mut out = Out::default();
    out.bytes(bytes);
    outcome::settle(Exit::Done, &out)
}
