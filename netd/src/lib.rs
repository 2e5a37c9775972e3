//! The daemon behind `~/net`: network shares as directories that connect when somebody walks in.
//!
//! Nothing is here yet. What will be: a D-Bus service that keeps the shares announced on the network and those added by
//! hand, mounts them on access (FUSE for WebDAV, FTP and SFTP, the kernel for SMB and NFS where it can), and asks for
//! passwords through the desktop's keyring.
#![deny(unsafe_code)]
