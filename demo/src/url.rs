//! `fileops url`: addresses of shares. Nothing is looked up, and no daemon is asked.

use crate::args::UrlCommand;
use crate::messages;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use fileops::uri::Url;
use std::env;
use std::path::{Path, PathBuf};

pub(crate) fn run(command: UrlCommand) -> Exit {
    let answer = match command {
        UrlCommand::ToPath { url } => to_path(&url),
        UrlCommand::ToUrl { path } => to_url(&path),
        UrlCommand::Name { url } => name(&url),
    };
    let mut out = Out::default();
    let exit = match answer {
        Ok(answer) => {
            out.bytes(&[&answer[..], b"\n"].concat());
            Exit::Done
        }
        Err(complaint) => {
            complain(&complaint);
            Exit::Incomplete
        }
    };
    outcome::settle(exit, &out)
}

fn to_path(url: &Path) -> Result<Vec<u8>, String> {
    let url = Url::parse(url).map_err(|error| messages::invalid(&error))?;
    Ok(url.to_path(net()?).into_os_string().into_encoded_bytes())
}

fn to_url(path: &Path) -> Result<Vec<u8>, String> {
    // Relative to where we are, and with `.` taken out; `..` would have to be looked up.
    let absolute = std::path::absolute(path).map_err(|error| messages::no_url(path, &error))?;
    let url = Url::from_path(absolute, net()?).map_err(|error| messages::invalid(&error))?;
    Ok(url.to_string().into_bytes())
}

fn name(url: &Path) -> Result<Vec<u8>, String> {
    let url = Url::parse(url).map_err(|error| messages::invalid(&error))?;
    Ok(messages::name(&url.name()).into_bytes())
}

/// `~/net`.
fn net() -> Result<PathBuf, String> {
    let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    home.map(|home| home.join("net")).ok_or_else(messages::no_home)
}
