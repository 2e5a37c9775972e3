//! What may be typed after `fileops meta`.

use clap::{ArgGroup, Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes: 0 all done, 1 some of it failed, or was not there (each named on standard error), 2 wrong \
    usage.";

#[derive(Debug, Subcommand)]
pub(crate) enum MetaCommand {
    /// Print what a file has of the attributes that programs agree on; or those that are named
    ///
    /// With names, the values are printed, a line each, and one that is not there is a failure. On a terminal nothing is
    /// printed raw.
    #[command(after_help = EXIT_CODES)]
    Get(GetArgs),
    /// Set attributes of files
    ///
    /// Tags, comment and the others stand in extended attributes, where getfattr, gio and file managers see them.
    #[command(after_help = EXIT_CODES)]
    Set(Box<SetArgs>),
    /// Take attributes away
    #[command(after_help = EXIT_CODES)]
    Remove(RemoveArgs),
    /// Print all attributes of files, with their names on disk
    #[command(after_help = EXIT_CODES)]
    List(ListArgs),
    /// Print what files are, and what their contents say: kind, size of pictures, length of songs, title, pages, charset
    #[command(after_help = EXIT_CODES)]
    Extract(ExtractArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Which file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// tags, comment, rating, origin-url, referrer-url, robots-index, robots-backup, mime-type, charset, dublincore.ELEMENT;
    /// or the name of any attribute, as "user.example"
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<OsString>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct SetArgs {
    /// Which files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Have this tag, and no others but those given too; can be given several times
    #[arg(long, value_name = "TAG", group = "what")]
    pub(crate) tag: Vec<String>,
    /// Have this tag too
    #[arg(long, value_name = "TAG", group = "what")]
    pub(crate) add_tag: Vec<String>,
    /// Have this tag no more
    #[arg(long, value_name = "TAG", group = "what")]
    pub(crate) remove_tag: Vec<String>,
    /// What is to be said of the file
    #[arg(long, value_name = "TEXT", group = "what")]
    pub(crate) comment: Option<String>,
    /// 0 to 10, two for each star
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=10), group = "what")]
    pub(crate) rating: Option<u8>,
    /// Where it came from
    #[arg(long, value_name = "URL", group = "what")]
    pub(crate) origin_url: Option<String>,
    /// The page that linked to it
    #[arg(long, value_name = "URL", group = "what")]
    pub(crate) referrer_url: Option<String>,
    /// Whether programs that index may look at it
    #[arg(long, value_name = "BOOL", group = "what")]
    pub(crate) robots_index: Option<bool>,
    /// Whether programs that make backups may take it
    #[arg(long, value_name = "BOOL", group = "what")]
    pub(crate) robots_backup: Option<bool>,
    /// What its contents are
    #[arg(long, value_name = "TYPE", group = "what")]
    pub(crate) mime_type: Option<String>,
    /// How its text is encoded
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) charset: Option<String>,
    /// An element of the Dublin Core, as "title=A title"; can be given several times
    #[arg(long, value_name = "ELEMENT=TEXT", group = "what")]
    pub(crate) dublin_core: Vec<String>,
    /// Any attribute, as "user.example=value"; can be given several times
    #[arg(long, value_name = "NAME=VALUE", group = "what")]
    pub(crate) attribute: Vec<OsString>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Which file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// As for get; one that is not there is no failure
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<OsString>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Which files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExtractArgs {
    /// Which files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Keep the answer in an attribute of the file, for the next time
    #[arg(long)]
    pub(crate) cache: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}
