//! How the file system is mounted.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use fuser::{MountOption, SessionACL};
use rustix::fs::{Mode, OFlags, open};

use super::knobs::{Knobs, Throttle, Usage};
use super::nodes::{Handles, Nodes};
use super::request::Served;
use super::rules::Rules;
use super::{FaultFs, Shared};
use crate::mount::mountpoint;
use crate::temp::Temp;

/// How to mount a [`FaultFs`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The backing directory, or else a new one which goes with the file system.
    pub backing: Option<PathBuf>,
    /// Where to mount it, or else at a new directory.
    pub mountpoint: Option<PathBuf>,
    /// How many requests are answered at once; one which hangs or waits takes one place. Each
    /// place costs a millisecond or two at a mount, for its buffer of 16 MiB.
    pub threads: usize,
    /// How long the kernel may keep attributes.
    pub attr_timeout: Duration,
    /// How long the kernel may keep names.
    pub entry_timeout: Duration,
    /// Keep the list of all requests.
    pub log: bool,
    /// Nothing is kept in the page cache: every `read` is one that the file system sees.
    pub direct_io: bool,
    /// The limits and habits to begin with.
    pub knobs: Knobs,
}

impl Default for Options {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            backing: None,
            mountpoint: None,
            threads: 20,
            attr_timeout: second,
            entry_timeout: second,
            log: true,
            direct_io: false,
            knobs: Knobs::default(),
        }
    }
}

impl Options {
    /// Mounts the file system.
    ///
    /// # Errors
    ///
    /// If there is no such backing directory, or it cannot be mounted.
    pub fn mount(self) -> io::Result<FaultFs> {
        let own = self.backing.is_none().then(|| Temp::new("backing")).transpose()?;
        let given = self.backing.as_deref().or(own.as_ref().map(Temp::path));
        let backing = given.expect("one of both is there").canonicalize()?;
        let (point, made) = match self.mountpoint {
            Some(path) => (path.canonicalize()?, false),
            None => (mountpoint()?, true),
        };
        let meta = fs::metadata(&backing)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let shared = Arc::new(Shared {
            nodes: Nodes::new(open(&backing, flags, Mode::empty())?)?,
            handles: Handles::default(),
            rules: Rules::new(self.log),
            knobs: RwLock::default(),
            throttle: Throttle::new(),
            usage: Usage::default(),
            timeouts: (self.attr_timeout, self.entry_timeout),
            direct_io: self.direct_io,
            owner: (meta.uid(), meta.gid()),
            recording: Mutex::default(),
        });
        let mut config = fuser::Config::default();
        let name = MountOption::FSName("faultfs".to_owned());
        config.mount_options = vec![name, MountOption::DefaultPermissions];
        if rustix::process::geteuid().is_root() {
            config.mount_options.extend([MountOption::Suid, MountOption::Dev]);
            config.acl = SessionACL::All;
        }
        config.n_threads = Some(self.threads.max(1));
        let session = fuser::spawn_mount(Served(shared.clone()), &point, &config);
        if session.is_err() && made {
            let _ = fs::remove_dir(&point);
        }
        let session = Some(session?);
        let mounted = FaultFs { shared, session, point, made, backing, own };
        mounted.knobs(|knobs| *knobs = self.knobs);
        Ok(mounted)
    }
}
