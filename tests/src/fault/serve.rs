//! The requests of the kernel, each handed to what does it.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    AccessFlags, BsdFileFlags, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{self, AtFlags, FallocateFlags, OFlags, SeekFrom, XattrFlags};
use rustix::io::Errno;

use super::attr::{Change, file_type};
use super::data::kill_suid;
use super::entries::{At, Make};
use super::op::Op;
use super::request::{GENERATION, Served, send};
use super::rules::lock;

/// The largest read or write.
const MAX_IO: u32 = 1 << 20;

impl Filesystem for Served {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for wanted in [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_AUTO_INVAL_DATA,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
        ] {
            // A kernel without one of them is slower and no less right.
            let _ = config.add_capabilities(wanted);
        }
        let _ = config.set_max_write(MAX_IO);
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found =
            self.run(Op::Lookup, At::Name(dir.0, name), |knobs, _| self.0.lookup(knobs, (&*self.node(dir)?, name)));
        send!(reply, found, attr => self.entry(reply, &attr));
    }

    fn forget(&self, _: &Request, id: INodeNo, lookups: u64) {
        self.0.nodes.forget(id.0, lookups);
    }

    fn getattr(&self, _: &Request, id: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let attr =
            self.run(Op::Getattr, At::Node(id.0), |knobs, _| Ok(self.0.attr(knobs, &fs::fstat(&self.node(id)?.fd)?)));
        send!(reply, attr, attr => reply.attr(&self.0.timeouts().0, &attr));
    }

    fn setattr(
        &self,
        _: &Request,
        id: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = Change { mode, uid, gid, size, atime, mtime };
        let attr = self.run(change.op(), At::Node(id.0), |knobs, _| {
            let handle = handle.map(|handle| self.handle(handle)).transpose()?;
            self.0.change(knobs, &*self.node(id)?, handle.as_deref(), &change)
        });
        send!(reply, attr, attr => reply.attr(&self.0.timeouts().0, &attr));
    }

    fn readlink(&self, _: &Request, id: INodeNo, reply: ReplyData) {
        let target = self.run(Op::Readlink, At::Node(id.0), |_, _| fs::readlinkat(&self.node(id)?.fd, "", Vec::new()));
        send!(reply, target, target => reply.data(target.as_bytes()));
    }

    fn mknod(&self, request: &Request, dir: INodeNo, name: &OsStr, mode: u32, _: u32, device: u32, reply: ReplyEntry) {
        self.make(request, Op::Mknod, (dir, name), &Make::Node(device), mode, reply);
    }

    fn mkdir(&self, request: &Request, dir: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        self.make(request, Op::Mkdir, (dir, name), &Make::Dir, mode, reply);
    }

    fn symlink(&self, request: &Request, dir: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        self.make(request, Op::Symlink, (dir, name), &Make::Symlink(target), 0, reply);
    }

    fn unlink(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.run(Op::Unlink, At::Name(dir.0, name), |knobs, _| {
            self.0.remove(knobs, (&*self.node(dir)?, name), AtFlags::empty())
        });
        send!(reply, done, () => reply.ok());
    }

    fn rmdir(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.run(Op::Rmdir, At::Name(dir.0, name), |knobs, _| {
            self.0.remove(knobs, (&*self.node(dir)?, name), AtFlags::REMOVEDIR)
        });
        send!(reply, done, () => reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        from: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: fuser::RenameFlags,
        reply: ReplyEmpty,
    ) {
        let done = self.run(Op::Rename, At::Names((from.0, name), (to.0, new)), |knobs, _| {
            let (from, to) = (self.node(from)?, self.node(to)?);
            let flags = fs::RenameFlags::from_bits_retain(flags.bits());
            self.0.rename(knobs, (&*from, name), (&*to, new), flags)
        });
        send!(reply, done, () => reply.ok());
    }

    fn link(&self, _: &Request, id: INodeNo, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let made = self.run(Op::Link, At::Link(id.0, (dir.0, name)), |knobs, _| {
            self.0.link(knobs, &*self.node(id)?, (&*self.node(dir)?, name))
        });
        send!(reply, made, attr => self.entry(reply, &attr));
    }

    fn open(&self, _: &Request, id: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened = self.run(Op::Open, At::Node(id.0), |knobs, _| self.0.open(knobs, self.node(id)?, flags.0));
        send!(reply, opened, id => reply.opened(FileHandle(id), self.0.open_mode()));
    }

    fn create(&self, request: &Request, dir: INodeNo, name: &OsStr, mode: u32, _: u32, flags: i32, reply: ReplyCreate) {
        let made = self.run(Op::Create, At::Name(dir.0, name), |knobs, _| {
            let who = (request.uid(), request.gid());
            self.0.create(knobs, (&*self.node(dir)?, name), flags, mode, who)
        });
        let (attr_ttl, entry_ttl) = self.0.timeouts();
        let (ttl, mode) = (attr_ttl.min(entry_ttl), self.0.open_mode());
        send!(reply, made, (attr, id) =>
            reply.created(&ttl, &attr, GENERATION, FileHandle(id), mode));
    }

    fn read(
        &self,
        _: &Request,
        id: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        BUFFER.with_borrow_mut(|buffer| {
            let size = size as usize;
            buffer.resize(buffer.len().max(size), 0);
            let read = self.run(Op::Read, At::Node(id.0), |_, plan| {
                self.0.read(plan, &*self.handle(handle)?, offset, &mut buffer[..size])
            });
            send!(reply, read, n => reply.data(&buffer[..n]));
        });
    }

    fn write(
        &self,
        _: &Request,
        id: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.run(Op::Write, At::Node(id.0), |knobs, plan| {
            let handle = self.handle(handle)?;
            if flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID) {
                kill_suid(&handle.fd)?;
            }
            self.0.write(knobs, plan, &handle, offset, data)
        });
        send!(reply, written, n => reply.written(n));
    }

    fn flush(&self, _: &Request, id: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let done = self.run(Op::Flush, At::Node(id.0), |_, _| Ok(()));
        send!(reply, done, () => reply.ok());
    }

    fn release(
        &self,
        _: &Request,
        id: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.close(Op::Release, id, handle, reply);
    }

    fn fsync(&self, _: &Request, id: INodeNo, handle: FileHandle, data: bool, reply: ReplyEmpty) {
        self.sync(Op::Fsync, id, handle, data, reply);
    }

    fn opendir(&self, _: &Request, id: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.run(Op::Opendir, At::Node(id.0), |_, _| {
            let node = self.node(id)?;
            let fd = node.reopen(OFlags::RDONLY | OFlags::DIRECTORY)?;
            Ok(self.0.handles.add(fd, node))
        });
        send!(reply, opened, id => reply.opened(FileHandle(id), FopenFlags::empty()));
    }

    fn readdir(&self, _: &Request, id: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.run(Op::Readdir, At::Node(id.0), |_, _| {
            let handle = self.handle(handle)?;
            self.0.fill(&handle, offset)?;
            Ok(handle)
        });
        send!(reply, listed, handle => {
            let home = self.0.nodes.home();
            for (at, entry) in lock(&handle.entries).iter().enumerate().skip(offset as usize) {
                let id = INodeNo(self.0.nodes.id(home, entry.inode));
                if reply.add(id, at as u64 + 1, file_type(entry.kind), &entry.name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn releasedir(&self, _: &Request, id: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.close(Op::Releasedir, id, handle, reply);
    }

    fn fsyncdir(&self, _: &Request, id: INodeNo, handle: FileHandle, data: bool, reply: ReplyEmpty) {
        self.sync(Op::Fsyncdir, id, handle, data, reply);
    }

    fn statfs(&self, _: &Request, id: INodeNo, reply: ReplyStatfs) {
        let found = self.run(Op::Statfs, At::Node(id.0), |knobs, _| {
            let stat = fs::fstatvfs(&self.node(id)?.fd)?;
            let blocks = |own: u64, quota: u64| match knobs.quota {
                Some(_) => quota / stat.f_frsize,
                None => own,
            };
            let quota = knobs.quota.unwrap_or(0);
            let left = quota.saturating_sub(self.0.usage.get());
            let sizes = [(stat.f_blocks, quota), (stat.f_bfree, left), (stat.f_bavail, left)];
            Ok((sizes.map(|(own, quota)| blocks(own, quota)), stat))
        });
        send!(reply, found, ([blocks, free, available], stat) => reply.statfs(
            blocks,
            free,
            available,
            stat.f_files,
            stat.f_ffree,
            stat.f_bsize as u32,
            stat.f_namemax as u32,
            stat.f_frsize as u32,
        ));
    }

    fn setxattr(&self, _: &Request, id: INodeNo, name: &OsStr, value: &[u8], flags: i32, _: u32, reply: ReplyEmpty) {
        let done = self.run(Op::Setxattr, At::Node(id.0), |knobs, _| {
            knobs.xattrs()?;
            let flags = XattrFlags::from_bits_retain(flags as u32);
            fs::setxattr(self.node(id)?.proc(), name, value, flags)
        });
        send!(reply, done, () => reply.ok());
    }

    fn getxattr(&self, _: &Request, id: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = self.run(Op::Getxattr, At::Node(id.0), |knobs, _| {
            knobs.xattrs()?;
            let path = self.node(id)?.proc();
            let mut value = vec![0; fs::getxattr_query(&path, name)?];
            let n = fs::getxattr(&path, name, &mut value[..])?;
            value.truncate(n);
            Ok(value)
        });
        self.xattr(size, value, reply);
    }

    fn listxattr(&self, _: &Request, id: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.run(Op::Listxattr, At::Node(id.0), |knobs, _| {
            knobs.xattrs()?;
            let path = self.node(id)?.proc();
            let mut names = vec![0; fs::listxattr_query(&path)?];
            let n = fs::listxattr(&path, &mut names[..])?;
            names.truncate(n);
            Ok(names)
        });
        self.xattr(size, names, reply);
    }

    fn removexattr(&self, _: &Request, id: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.run(Op::Removexattr, At::Node(id.0), |knobs, _| {
            knobs.xattrs()?;
            fs::removexattr(self.node(id)?.proc(), name)
        });
        send!(reply, done, () => reply.ok());
    }

    fn access(&self, _: &Request, id: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        let done = self.run(Op::Access, At::Node(id.0), |_, _| self.node(id).map(drop));
        send!(reply, done, () => reply.ok());
    }

    fn fallocate(
        &self,
        _: &Request,
        id: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let done = self.run(Op::Fallocate, At::Node(id.0), |knobs, _| {
            knobs.sparse.then_some(()).ok_or(Errno::NOSYS)?;
            let mode = FallocateFlags::from_bits_retain(mode as u32);
            fs::fallocate(&self.handle(handle)?.fd, mode, offset, length)
        });
        send!(reply, done, () => reply.ok());
    }

    fn lseek(&self, _: &Request, id: INodeNo, handle: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let found = self.run(Op::Lseek, At::Node(id.0), |knobs, _| {
            knobs.sparse.then_some(()).ok_or(Errno::NOSYS)?;
            let to = match whence {
                libc::SEEK_DATA => SeekFrom::Data(offset as u64),
                libc::SEEK_HOLE => SeekFrom::Hole(offset as u64),
                _ => return Err(Errno::INVAL),
            };
            fs::seek(&self.handle(handle)?.fd, to)
        });
        send!(reply, found, at => reply.offset(at as i64));
    }
}
