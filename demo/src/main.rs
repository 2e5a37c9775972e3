//! `fileops`: the library's operations in a terminal.
//!
//! `args` says what may be typed. `copy`, `relocate`, `delete` and the other commands turn it into an
//! operation, which `watch` follows: it draws the `bar`, asks what the operation asks (`questions`) or when the target is full (`shortage`), takes the
//! answers from `input`, and ends on a signal (`signals`). `outcome` tells how it
//! ended, in the words of `messages` or as lines of `json`; `text` writes numbers and times for people, and `out` owns
//! the two streams.
#![forbid(unsafe_code)]

mod args;
mod args_meta;
mod bar;
mod changes;
mod copy;
mod delete;
mod destination;
mod history;
mod input;
mod json;
mod measure;
mod messages;
mod meta;
mod net;
mod out;
mod outcome;
mod pages;
mod questions;
mod rate;
mod recover;
mod relocate;
mod shortage;
mod signals;
mod single;
mod text;
mod trash;
mod undo;
mod url;
mod watch;

use args::{Cli, Command};
use clap::Parser;
use clap::error::ErrorKind;
use outcome::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    signals::survive_file_size_limit();
    let exit = match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) => answer(&error),
    };
    ExitCode::from(exit as u8)
}

fn run(command: Command) -> Exit {
    match command {
        Command::Copy(args) => copy::run(args),
        Command::Move(args) => relocate::run(args),
        Command::Rename(args) => single::rename(args),
        Command::Create(args) => single::create(args),
        Command::Mkdir(args) => single::mkdir(args),
        Command::Link(args) => single::link(args),
        Command::Duplicate(args) => single::duplicate(args),
        Command::Delete(args) => delete::run(args),
        Command::Trash { command } => trash::run(command),
        Command::Undo(args) => undo::undo(&args),
        Command::Redo(args) => undo::redo(&args),
        Command::History(args) => history::run(&args),
        Command::Measure(args) => measure::run(args),
        Command::Meta { command } => meta::run(command),
        Command::Recover(args) => recover::run(&args),
        Command::Url { command } => url::run(command),
        Command::Net { command } => net::run(command),
        Command::Watch(args) => changes::run(args),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { dir } => pages::man(dir.as_deref()),
    }
}

/// Prints the help that was asked for, or what is wrong with the arguments.
fn answer(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader who has seen enough is no failure.
            let _ = error.print();
            Exit::Done
        }
        _ => {
            // The text repeats arguments, which may be names that nobody has looked at.
            out::complain(text::printable(&error.render().to_string()).trim_end());
            Exit::Usage
        }
    }
}
