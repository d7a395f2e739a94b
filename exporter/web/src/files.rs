//! Files that a configuration was read from, to notice when their content has changed: a mounted Secret or a certificate is
//! replaced without a signal.
//!
//! Files are compared by content: times and sizes miss a change within one tick of the kernel's clock, and reading a
//! cached file takes microseconds.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretSlice};

/// The largest file that is read, in bytes. Real ones have some KiB.
const MAX_BYTES: u64 = 1024 * 1024;

/// SHA-256 of a file's content; `None` if the file cannot be read.
pub(crate) type Fingerprint = Option<[u8; 32]>;

/// Files and the content that they had when they were read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<(PathBuf, Fingerprint)>);

impl Files {
    /// Reads a file, and notes its content.
    /// Fails if it cannot be read, or has more than 1 MiB; that is noted, too.
    pub fn read(&mut self, path: &Path) -> io::Result<SecretSlice<u8>> {
        let bytes = read(path);
        self.0.push((path.to_owned(), fingerprint(bytes.as_ref())));
        bytes
    }

    /// Notes the present content of a file that something else reads afterwards.
    pub fn note(&mut self, path: &Path) {
        // A file that cannot be read is noted as that.
        let _ = self.read(path);
    }

    /// Whether all files have the content that was noted.
    #[must_use]
    pub fn are_unchanged(&self) -> bool {
        self.are_first_unchanged(usize::MAX)
    }

    /// The same of the first `count` files.
    pub(crate) fn are_first_unchanged(&self, count: usize) -> bool {
        self.0.iter().take(count).all(|(path, known)| fingerprint(read(path).as_ref()) == *known)
    }

    /// What was noted of a file.
    pub(crate) fn fingerprint(&self, path: &Path) -> Fingerprint {
        self.0.iter().find(|(known, _)| known == path).and_then(|(_, fingerprint)| *fingerprint)
    }
}

fn fingerprint(bytes: Result<&SecretSlice<u8>, &io::Error>) -> Fingerprint {
    let bytes = bytes.ok()?;
    digest(&SHA256, bytes.expose_secret()).as_ref().try_into().ok()
}

fn read(path: &Path) -> io::Result<SecretSlice<u8>> {
    let mut bytes = Vec::new();
    let size = File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if size as u64 > MAX_BYTES {
        return Err(io::Error::other("the file is larger than 1 MiB"));
    }
    Ok(bytes.into())
}
