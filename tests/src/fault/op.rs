//! The kinds of requests which the kernel makes.

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// A kind of request, or a group of kinds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Op { $($(#[$doc])* $name),* }

        impl Op {
            /// All kinds, the groups `Any` and `Setattr` too (which no request is logged as).
            pub const ALL: &[Op] = &[$(Op::$name),*];
        }
    };
}

ops! {
    /// Every kind but `Release` and `Releasedir`, which nobody waits for.
    Any,
    /// `Chmod`, `Chown`, `Truncate` and `Utimens`.
    Setattr,
    /// Find a name in a directory.
    Lookup,
    /// `stat`.
    Getattr,
    /// `chmod` and its kin.
    Chmod,
    /// `chown` and its kin (the kernel may change the mode with it).
    Chown,
    /// `truncate` and `ftruncate`.
    Truncate,
    /// `utimensat` and its kin.
    Utimens,
    /// `readlink`.
    Readlink,
    /// `mknod`.
    Mknod,
    /// `mkdir`.
    Mkdir,
    /// `unlink`.
    Unlink,
    /// `rmdir`.
    Rmdir,
    /// `symlink`.
    Symlink,
    /// `rename`; a pattern may match the old or the new name.
    Rename,
    /// `link`; a pattern may match the new or the old name.
    Link,
    /// `open` of a file which exists.
    Open,
    /// `open` with `O_CREAT` of one which does not.
    Create,
    /// `read`, also ahead.
    Read,
    /// `write`.
    Write,
    /// `close` of a descriptor, whose result the client gets.
    Flush,
    /// The last close of an open file, which nobody waits for.
    Release,
    /// `fsync` and `fdatasync`.
    Fsync,
    /// `open` of a directory.
    Opendir,
    /// `getdents`.
    Readdir,
    /// The last close of an open directory, which nobody waits for.
    Releasedir,
    /// `fsync` of a directory.
    Fsyncdir,
    /// `statfs`.
    Statfs,
    /// `setxattr`.
    Setxattr,
    /// `getxattr`.
    Getxattr,
    /// `listxattr`.
    Listxattr,
    /// `removexattr`.
    Removexattr,
    /// `access`, if the kernel does not check permissions itself.
    Access,
    /// `fallocate`.
    Fallocate,
    /// `lseek` for data or a hole.
    Lseek,
}

/// How many there are.
pub(super) const OPS: usize = Op::ALL.len();

impl Op {
    /// Is a request of kind `op` one of these?
    pub fn covers(self, op: Op) -> bool {
        match self {
            Op::Any => !matches!(op, Op::Release | Op::Releasedir),
            Op::Setattr => matches!(op, Op::Chmod | Op::Chown | Op::Truncate | Op::Utimens),
            one => one == op,
        }
    }
}
