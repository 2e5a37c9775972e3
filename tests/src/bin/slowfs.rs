//! `slowfs BACKING MOUNTPOINT [--delay-us N]`: shows a directory in a second place, where every
//! request takes so many microseconds longer, until it is unmounted or the program is ended.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fileops_tests::{Knobs, Options};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const USAGE: &str = "usage: slowfs BACKING MOUNTPOINT [--delay-us N]";

fn main() -> ExitCode {
    let mut places = Vec::new();
    let mut latency = Duration::ZERO;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--delay-us" {
            let value = arguments.next().and_then(|value| value.to_str()?.parse().ok());
            let Some(micros) = value else { return usage() };
            latency = Duration::from_micros(micros);
        } else {
            places.push(argument.into());
        }
    }
    let [backing, mountpoint] = <[_; 2]>::try_from(places).map_or([None, None], |all| all.map(Some));
    if backing.is_none() {
        return usage();
    }
    let knobs = Knobs { latency, ..Knobs::default() };
    match serve(Options { backing, mountpoint, threads: 32, log: false, knobs, ..Options::default() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("slowfs: {e}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn serve(options: Options) -> io::Result<()> {
    let end = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGTERM, libc::SIGINT] {
        signal_hook::flag::register(signal, end.clone())?;
    }
    // Each file that the kernel knows takes a descriptor.
    let most = Some(1 << 20);
    if setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).is_err() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    let mounted = options.mount()?;
    while mounted.is_mounted() && !end.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
