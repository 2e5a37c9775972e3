//! What may be typed. Help, completions and man pages come from these comments.

use crate::args_meta::MetaCommand;
use crate::rate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use fileops::{OnChanged, OnConflict, OnError, OnNoTrash, Undoable};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Copies, moves, trashes, deletes and measures trees of files; undoes it, and goes on after interruptions
#[derive(Debug, Parser)]
#[command(name = "fileops", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all done, 1 some entries failed or were skipped (each named on standard error), \
    2 wrong usage, 130 cancelled.";

const URL_EXIT_CODES: &str = "Exit codes: 0 printed, 1 it is no address of a share, 2 wrong usage.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy files and trees, with everything that belongs to them
    ///
    /// Contents with their holes, hard links, symbolic links, modes, owners where allowed, times, extended attributes,
    /// ACLs and special files are kept. Nothing is ever half-written under its final name.
    #[command(after_help = EXIT_CODES)]
    Copy(CopyArgs),
    /// Move files and trees: by renaming where that is possible, else by a copy that is on the device before its source goes
    ///
    /// What fails or is skipped stays where it is. Symbolic links are moved themselves. What is mounted below a path stays,
    /// with the directories above it.
    #[command(after_help = EXIT_CODES)]
    Move(MoveArgs),
    /// Give a file or directory another name in its directory; nothing is replaced
    #[command(after_help = EXIT_CODES)]
    Rename(RenameArgs),
    /// Make empty files; nothing is replaced
    #[command(after_help = EXIT_CODES)]
    Create(PathsArgs),
    /// Make directories; nothing is replaced
    #[command(after_help = EXIT_CODES)]
    Mkdir(PathsArgs),
    /// Make a second name for a file, or a symbolic link; nothing is replaced
    #[command(after_help = EXIT_CODES)]
    Link(LinkArgs),
    /// Copy files and trees beside themselves, as "name (copy)"
    #[command(after_help = EXIT_CODES)]
    Duplicate(PathsArgs),
    /// Delete files and trees for good: there is no undo
    ///
    /// Symbolic links are deleted themselves. What is mounted below a path stays, with the directories above it.
    #[command(after_help = EXIT_CODES)]
    Delete(DeleteArgs),
    /// Put files and trees into the trash, list what is in it, take it out again, or delete it for good
    ///
    /// The trash is that of the freedesktop specification, which file managers show: in the home directory, and at the top
    /// of every other file system.
    #[command(after_help = EXIT_CODES)]
    Trash {
        #[command(subcommand)]
        command: TrashCommand,
    },
    /// Take back what the last operations did
    ///
    /// What they made goes, what they replaced comes back, what they moved goes home. What was changed since stays, and is
    /// a failure, unless --on-changed or an answer says otherwise. A deletion cannot be undone.
    #[command(after_help = EXIT_CODES)]
    Undo(UndoArgs),
    /// Do again what was undone
    #[command(after_help = EXIT_CODES)]
    Redo(UndoArgs),
    /// List the operations that can be undone, and those that were
    #[command(after_help = EXIT_CODES)]
    History(HistoryArgs),
    /// Count the entries and bytes of trees, as du does
    #[command(after_help = EXIT_CODES)]
    Measure(MeasureArgs),
    /// Tags, comments, ratings and other attributes of files, and what their contents say of themselves
    Meta {
        #[command(subcommand)]
        command: MetaCommand,
    },
    /// List interrupted operations and what they left, until they are resumed, rolled back or forgotten
    #[command(after_help = EXIT_CODES)]
    Recover(RecoverArgs),
    /// Translate between addresses of network shares and their paths in ~/net; nothing is looked up
    #[command(after_help = URL_EXIT_CODES)]
    Url {
        #[command(subcommand)]
        command: UrlCommand,
    },
    /// Tell what is mounted
    #[command(after_help = EXIT_CODES)]
    Net {
        #[command(subcommand)]
        command: NetCommand,
    },
    /// Tell what changes in directories, until Ctrl-C
    ///
    /// A line for each change: created, removed, modified, renamed; rescan says what to list again where something was lost. On
    /// network and FUSE file systems, of whose changes the kernel does not tell, the directory is looked at again and again.
    #[command(after_help = EXIT_CODES)]
    Watch(WatchArgs),
    /// Print the completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the man page, or write one for each command to a directory
    Man {
        /// Where to write them
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// What to copy
    #[arg(value_name = "SRC", required = true)]
    pub(crate) sources: Vec<PathBuf>,
    /// A directory that exists, to copy into; or the name of the copy
    #[arg(value_name = "DST")]
    pub(crate) destination: PathBuf,
    /// DST is the name of the copy, even if it is a directory that exists (which is then merged with)
    #[arg(short = 'T', long)]
    pub(crate) no_target_directory: bool,
    /// Copy what symbolic links point to
    #[arg(long)]
    pub(crate) follow: bool,
    /// When cancelled, keep all files that are finished
    #[arg(long)]
    pub(crate) keep_finished: bool,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// What to move
    #[arg(value_name = "SRC", required = true)]
    pub(crate) sources: Vec<PathBuf>,
    /// A directory that exists, to move into; or the new name
    #[arg(value_name = "DST")]
    pub(crate) destination: PathBuf,
    /// DST is the new name, even if it is a directory that exists (which is then merged with)
    #[arg(short = 'T', long)]
    pub(crate) no_target_directory: bool,
    /// Move what is mounted below the sources too
    #[arg(long)]
    pub(crate) cross_mounts: bool,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// What copying and moving take.
#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// What to do where a target exists already; directories always merge [default: ask on a terminal, else fail]
    #[arg(long, value_name = "RULE")]
    pub(crate) on_conflict: Option<ConflictRule>,
    /// What to do when the target is too full
    #[arg(long, value_name = "RULE", default_value = "warn")]
    pub(crate) on_shortage: ShortageRule,
    /// Change names that the target's file system does not allow
    #[arg(long)]
    pub(crate) portable_names: bool,
    /// Leave directories from read-only media read-only
    #[arg(long)]
    pub(crate) keep_read_only_dirs: bool,
    /// Read each copy back past the cache, and compare it with what was read from the source
    #[arg(long)]
    pub(crate) verify: bool,
    /// Be done when everything is on the device, as it is by default on removable media, networks and FUSE
    #[arg(long)]
    pub(crate) durable: bool,
    /// Begin at the beginning, whatever an interrupted copy of the same left
    #[arg(long)]
    pub(crate) no_resume: bool,
    /// Move at most so many bytes of contents a second: 10M, 512K, 1.5G (a number alone is KiB, 0 is no limit)
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate::parse)]
    pub(crate) bwlimit: u64,
    /// Where the target has no place for tags and other attributes, keep them in a hidden file .fileops-metadata beside the
    /// files; and give back what is kept so at the source
    #[arg(long)]
    pub(crate) sidecar: bool,
    /// Print a summary, also when standard error is no terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

impl TransferArgs {
    pub(crate) fn wants_summary(&self) -> bool {
        self.verbose || (io::stderr().is_terminal() && !self.view.json)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// What to rename
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The new name, without a directory
    #[arg(value_name = "NAME")]
    pub(crate) name: OsString,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PathsArgs {
    /// Which
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// A file that exists; with --symbolic the link's text
    #[arg(value_name = "TARGET")]
    pub(crate) target: PathBuf,
    /// The new name
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Make a symbolic link
    #[arg(short, long)]
    pub(crate) symbolic: bool,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// What to delete
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Empty what is mounted below them too
    #[arg(long)]
    pub(crate) cross_mounts: bool,
    /// Print a summary, also when standard error is no terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrashCommand {
    /// Put files and trees into the trash
    ///
    /// Where no trash can serve, the entry stays as it is and is named, unless --on-no-trash or an answer says to delete it
    /// for good: nothing is ever deleted instead by itself.
    #[command(after_help = EXIT_CODES)]
    Put(TrashPutArgs),
    /// List what is in the trash, the last first: when, size, where it was, ITEM
    #[command(after_help = EXIT_CODES)]
    List(TrashListArgs),
    /// Take items out of the trash, to where they were
    #[command(after_help = EXIT_CODES)]
    Restore(TrashRestoreArgs),
    /// Delete items of the trash for good
    #[command(after_help = EXIT_CODES)]
    Delete(TrashDeleteArgs),
    /// Delete everything in the trash for good
    #[command(after_help = EXIT_CODES)]
    Empty(TrashEmptyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrashPutArgs {
    /// What to put into the trash
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// What to do with what no trash can take [default: ask on a terminal, else fail]
    #[arg(long, value_name = "RULE")]
    pub(crate) on_no_trash: Option<NoTrashRule>,
    /// What is kept in .fileops-metadata of tags and other attributes of the files goes with them
    #[arg(long)]
    pub(crate) sidecar: bool,
    /// Print a summary, also when standard error is no terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrashListArgs {
    /// Print one JSON object a line: item, failure, at last report
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrashRestoreArgs {
    /// What to restore, as `fileops trash list` calls it
    #[arg(value_name = "ITEM", required_unless_present = "original")]
    pub(crate) items: Vec<PathBuf>,
    /// Restore what was there; of several the one trashed last
    #[arg(long, value_name = "PATH")]
    pub(crate) original: Vec<PathBuf>,
    /// What to do where something else has the name now; directories stay as they are [default: ask on a terminal, else fail]
    #[arg(long, value_name = "RULE")]
    pub(crate) on_conflict: Option<ConflictRule>,
    /// What was kept in .fileops-metadata of tags and other attributes of the items stands beside them again
    #[arg(long)]
    pub(crate) sidecar: bool,
    /// Print a summary, also when standard error is no terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrashDeleteArgs {
    /// What to delete, as `fileops trash list` calls it
    #[arg(value_name = "ITEM", required = true)]
    pub(crate) items: Vec<PathBuf>,
    /// Print a summary, also when standard error is no terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrashEmptyArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Only what was put into the trash more than so many days ago
    #[arg(long, value_name = "DAYS")]
    pub(crate) older_than: Option<u32>,
    /// Print a summary, also when standard error is no terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// How many operations
    #[arg(value_name = "N", default_value = "1")]
    pub(crate) count: NonZeroUsize,
    /// The operation of this ID in the history, instead of the last
    #[arg(long, value_name = "ID", conflicts_with = "count")]
    pub(crate) id: Option<String>,
    /// What to do about what was changed since [default: ask on a terminal, else fail]
    #[arg(long, value_name = "RULE")]
    pub(crate) on_changed: Option<ChangedRule>,
    /// What to do where something comes back and something else has its name now [default: ask on a terminal, else fail]
    #[arg(long, value_name = "RULE")]
    pub(crate) on_conflict: Option<ConflictRule>,
    /// Print a summary, also when standard error is no terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UrlCommand {
    /// Print the path of a URL: ftp://host/a is ~/net/ftp:host/a
    #[command(after_help = URL_EXIT_CODES)]
    ToPath {
        /// ftp, ftps, sftp (ssh), dav (http), davs (https), smb (cifs) or nfs, ://, and the rest
        url: PathBuf,
    },
    /// Print the URL of a path below ~/net
    #[command(after_help = URL_EXIT_CODES)]
    ToUrl {
        /// With the share's own name; names that people read are known to the daemon only
        path: PathBuf,
    },
    /// Print what a person calls it: ftp://host/ is "FTP share on host"
    #[command(after_help = URL_EXIT_CODES)]
    Name {
        /// As for to-path
        url: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// What to count
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) errors: ErrorArgs,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Look below these as well, for what no record of this user knows
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Remove what is found, if it is fileops' own
    #[arg(long)]
    pub(crate) remove: bool,
    /// Go on with the operations where they were interrupted
    #[arg(long, conflicts_with = "remove")]
    pub(crate) resume: bool,
    /// Remove what the operations left, and undo what they had finished
    #[arg(long, conflicts_with_all = ["remove", "resume"])]
    pub(crate) roll_back: bool,
    /// Forget the operations: what they left stays where it is
    #[arg(long, conflicts_with_all = ["remove", "resume", "roll_back"])]
    pub(crate) forget: bool,
    /// Only the operation of this ID, as listed; can be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) id: Vec<String>,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetCommand {
    /// List what is mounted: source, place, type, free, size, flags
    ///
    /// Flags are ro, network, fuse, removable, rotational, automount, hidden. A file system that does not answer has "-" for
    /// its room, with the reason after its flags.
    #[command(after_help = EXIT_CODES)]
    Mounts(MountsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MountsArgs {
    /// List what the kernel makes up (proc, sysfs) and what other mounts hide too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Wait so long for a file system to tell its room
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) limit: Duration,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Directories, or files
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Watch everything below them too
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Look again after so long, where the kernel does not tell
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// Look again and again everywhere
    #[arg(long)]
    pub(crate) poll: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A number of seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    let is_fit = (0.0..=86_400.0).contains(&number);
    if is_fit { Ok(Duration::from_secs_f64(number)) } else { Err("from 0 to 86400 seconds".to_owned()) }
}

/// What operations take that go on after a failure.
#[derive(Debug, Args)]
pub(crate) struct ErrorArgs {
    /// What to do when an entry fails
    #[arg(long, value_name = "RULE", default_value = "continue")]
    pub(crate) on_error: ErrorRule,
}

/// The same, of operations that change something.
#[derive(Debug, Args)]
pub(crate) struct FailureArgs {
    #[command(flatten)]
    pub(crate) errors: ErrorArgs,
    /// Try an entry that failed so many times more
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retry: u32,
}

/// What operations take that can be undone.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Keep nothing for an undo: old files are dropped at once
    #[arg(long)]
    no_undo: bool,
}

impl RecordArgs {
    pub(crate) fn undoable(&self) -> Undoable {
        if self.no_undo { Undoable::No } else { Undoable::Yes }
    }
}

/// What all operations take.
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    /// Use so many workers, instead of as many as are useful
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Print one JSON object a line: progress, question, failure, skipped, note, at last report
    #[arg(long)]
    pub(crate) json: bool,
    /// Whether to draw a progress bar on standard error; `auto` is where that is a terminal
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) progress: ProgressRule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConflictRule {
    /// All else is done, then it is asked: on a terminal, or with --json by a line {"question": ID, ...} that
    /// {"answer": ID, "do": ..., "for": "this|kind|all", "name": ...} answers; the end of the input skips
    Ask,
    /// That entry fails, all others go on
    Fail,
    /// The target stays
    Skip,
    /// The target is replaced once the new file is whole
    Replace,
    /// Both stay: the new one is called "name (2)"
    Rename,
    /// Replace if the source was modified later, else skip
    Newer,
    /// Replace if the contents differ, else skip
    Different,
}

impl From<ConflictRule> for OnConflict {
    fn from(rule: ConflictRule) -> OnConflict {
        match rule {
            ConflictRule::Ask => OnConflict::Ask,
            ConflictRule::Fail => OnConflict::Fail,
            ConflictRule::Skip => OnConflict::Skip,
            ConflictRule::Replace => OnConflict::Replace,
            ConflictRule::Rename => OnConflict::Rename,
            ConflictRule::Newer => OnConflict::Newer,
            ConflictRule::Different => OnConflict::Different,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorRule {
    /// All else is done, then it is asked, as for --on-conflict
    Ask,
    /// It is named, and all others go on
    Continue,
    /// Nothing further is started
    Stop,
}

impl From<ErrorRule> for OnError {
    fn from(rule: ErrorRule) -> OnError {
        match rule {
            ErrorRule::Ask => OnError::Ask,
            ErrorRule::Continue => OnError::Continue,
            ErrorRule::Stop => OnError::Stop,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NoTrashRule {
    /// All else is done, then it is asked, as for --on-conflict
    Ask,
    /// It stays, and fails
    Fail,
    /// It is deleted for good, which cannot be undone
    Delete,
}

impl From<NoTrashRule> for OnNoTrash {
    fn from(rule: NoTrashRule) -> OnNoTrash {
        match rule {
            NoTrashRule::Ask => OnNoTrash::Ask,
            NoTrashRule::Fail => OnNoTrash::Fail,
            NoTrashRule::Delete => OnNoTrash::Delete,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangedRule {
    /// All else is done, then it is asked, as for --on-conflict
    Ask,
    /// It stays, and fails
    Fail,
    /// It is undone all the same; what was changed is kept, and a redo brings it back
    Anyway,
}

impl From<ChangedRule> for OnChanged {
    fn from(rule: ChangedRule) -> OnChanged {
        match rule {
            ChangedRule::Ask => OnChanged::Ask,
            ChangedRule::Fail => OnChanged::Fail,
            ChangedRule::Anyway => OnChanged::Anyway,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShortageRule {
    /// Go on; what does not fit fails
    Warn,
    /// Stop and ask: on a terminal, with --json by a line {"shortage": ...} that {"do": "retry"} or {"do": "cancel"}
    /// answers
    Pause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressRule {
    /// Where standard error is a terminal
    Auto,
    /// Always
    Bar,
    /// Not at all
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_hold_together() {
        Cli::command().debug_assert();
    }
}
