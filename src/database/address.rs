//! Where a database is, as the config says it. What the url means is `url`'s.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The variable in which systemd tells a service where its credentials are.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// Bytes of a file that holds an address.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where a database is. The url may hold a password, so it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// The url itself.
    Url(String),
    /// A file that holds the url and nothing else. It is read when a connection is made, so
    /// that a new password needs no reload.
    UrlFile(PathBuf),
    /// A systemd credential that holds the url: `LoadCredential=NAME:...` in the unit.
    Credential(String),
}

impl Address {
    /// The url, read from its file if it is in one.
    ///
    /// # Errors
    /// If the file cannot be read, is empty, is not UTF-8 or is larger than 64 KiB; if there are no credentials.
    pub fn url(&self) -> io::Result<String> {
        match self {
            Address::Url(url) => Ok(url.clone()),
            Address::UrlFile(file) => from_file(file),
            Address::Credential(name) => from_file(&credential(name, std::env::var_os(CREDENTIALS_DIRECTORY))?),
        }
    }
}

/// The file of a credential.
fn credential(name: &str, folder: Option<OsString>) -> io::Result<PathBuf> {
    let invalid = |problem| Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        return invalid("a credential has a plain name, without `/`");
    }
    match folder {
        Some(folder) => Ok(Path::new(&folder).join(name)),
        None => invalid("there are no credentials: the unit of the service needs `LoadCredential=`"),
    }
}

fn from_file(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an address file has at most 64 KiB"));
    }
    match text.trim() {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "the address file is empty")),
        url => Ok(url.to_owned()),
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Nothing of it, not even the scheme: it may be a password that stands in the wrong place.
            Address::Url(_) => f.write_str("Url(…)"),
            Address::UrlFile(file) => write!(f, "UrlFile({})", file.display()),
            Address::Credential(name) => write!(f, "Credential({name})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_credentials() {
        assert_eq!(format!("{:?}", Address::Url("postgres://app:secret@db/app".into())), "Url(…)");
    }

    #[test]
    fn an_address_file_is_trimmed_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "sqlite:///a.db\n").unwrap();
        assert_eq!(Address::UrlFile(file.clone()).url().unwrap(), "sqlite:///a.db");
        std::fs::write(&file, " \n").unwrap();
        assert_eq!(Address::UrlFile(file.clone()).url().unwrap_err().to_string(), "the address file is empty");
        std::fs::write(&file, "x".repeat(70_000)).unwrap();
        assert!(Address::UrlFile(file).url().unwrap_err().to_string().contains("64 KiB"));
    }

    #[test]
    fn a_credential_is_a_file_in_the_folder_of_credentials() {
        let folder = Some(OsString::from("/run/credentials/daybook.service"));
        assert_eq!(
            credential("app-url", folder.clone()).unwrap(),
            Path::new("/run/credentials/daybook.service/app-url")
        );
        assert!(credential("../shadow", folder.clone()).unwrap_err().to_string().contains("plain name"));
        assert!(credential("..", folder).is_err());
        assert!(credential("app-url", None).unwrap_err().to_string().contains("LoadCredential"));
    }
}
