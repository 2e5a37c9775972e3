//! What all requests have in common: delay, rules, answer.

use std::ffi::OsStr;
use std::sync::Arc;

use fuser::{FileHandle, Generation, INodeNo, ReplyEmpty, ReplyEntry, ReplyXattr, Request};
use rustix::fs;
use rustix::io::Errno;

use super::Shared;
use super::entries::{At, Make};
use super::knobs::Knobs;
use super::nodes::{Handle, Node};
use super::op::Op;
use super::rules::{Plan, lock, pause};
use crate::crash::Recording;

/// The side of the file system which the kernel talks to.
pub(super) struct Served(pub(super) Arc<Shared>);

/// No number of a file is used again while the kernel may know it.
pub(super) const GENERATION: Generation = Generation(0);

/// Whether a request changes something that a power cut can take back, or keeps it from that.
fn is_change(op: Op) -> bool {
    let names = [Op::Mkdir, Op::Create, Op::Symlink, Op::Mknod, Op::Link, Op::Unlink, Op::Rmdir, Op::Rename];
    names.contains(&op) || matches!(op, Op::Write | Op::Truncate | Op::Fallocate | Op::Fsync | Op::Fsyncdir)
}

/// Sends the answer: the value as told, or the error.
macro_rules! send {
    ($reply:ident, $result:expr, $value:pat => $ok:expr) => {
        match $result {
            Ok($value) => $ok,
            Err(e) => $reply.error(fuser::Errno::from_i32(Errno::raw_os_error(e))),
        }
    };
}

pub(super) use send;

impl Served {
    /// One request: it is noted and delayed, the rules have their say, then it is done.
    pub(super) fn run<T>(
        &self,
        op: Op,
        at: At<'_>,
        work: impl FnOnce(&Knobs, &Plan) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let knobs = self.0.knobs();
        pause(knobs.latency);
        let plan = self.0.rules.enter(op, || self.0.paths(at))?;
        if plan.vanish {
            self.0.vanish(at);
        }
        let mut recording = lock(&self.0.recording);
        let Some(record) = recording.as_mut().filter(|_| is_change(op)) else {
            drop(recording);
            let done = work(&knobs, &plan);
            return plan.lost.map_or(done, Err);
        };
        let paths = self.0.paths(at);
        let done = work(&knobs, &plan);
        if done.is_ok() {
            match at {
                At::Node(id) => self.record_to(record, op, id),
                _ => record.made(op, &paths),
            }
        }
        plan.lost.map_or(done, Err)
    }

    fn record_to(&self, record: &mut Recording, op: Op, id: u64) {
        let Ok(node) = self.0.nodes.get(id) else { return };
        let Ok(stat) = fs::fstat(&node.fd) else { return };
        record.made_to(op, stat.st_ino, || std::fs::read(node.proc()).unwrap_or_default());
    }

    pub(super) fn node(&self, id: INodeNo) -> Result<Arc<Node>, Errno> {
        self.0.nodes.get(id.0)
    }

    pub(super) fn handle(&self, handle: FileHandle) -> Result<Arc<Handle>, Errno> {
        self.0.handles.get(handle.0)
    }

    pub(super) fn make(
        &self,
        request: &Request,
        op: Op,
        (dir, name): (INodeNo, &OsStr),
        what: &Make<'_>,
        mode: u32,
        reply: ReplyEntry,
    ) {
        let made = self.run(op, At::Name(dir.0, name), |knobs, _| {
            let who = (request.uid(), request.gid());
            self.0.make(knobs, (&*self.node(dir)?, name), what, mode, who)
        });
        send!(reply, made, attr => self.entry(reply, &attr));
    }

    pub(super) fn entry(&self, reply: ReplyEntry, attr: &fuser::FileAttr) {
        let (attr_ttl, entry_ttl) = self.0.timeouts();
        reply.entry_with_ttls(&attr_ttl, &entry_ttl, attr, GENERATION);
    }

    pub(super) fn sync(&self, op: Op, id: INodeNo, handle: FileHandle, data: bool, reply: ReplyEmpty) {
        let done = self.run(op, At::Node(id.0), |_, _| match (self.handle(handle)?, data) {
            (handle, true) => fs::fdatasync(&handle.fd),
            (handle, false) => fs::fsync(&handle.fd),
        });
        send!(reply, done, () => reply.ok());
    }

    pub(super) fn xattr(&self, size: u32, value: Result<Vec<u8>, Errno>, reply: ReplyXattr) {
        send!(reply, value, value => match size {
            0 => reply.size(value.len() as u32),
            room if value.len() > room as usize => reply.error(fuser::Errno::ERANGE),
            _ => reply.data(&value),
        });
    }

    pub(super) fn close(&self, op: Op, id: INodeNo, handle: FileHandle, reply: ReplyEmpty) {
        let done = self.run(op, At::Node(id.0), |_, _| Ok(()));
        self.0.handles.remove(handle.0);
        send!(reply, done, () => reply.ok());
    }
}
