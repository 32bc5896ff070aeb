//! The demo's config: `etc/demo.toml` with its places filled in, written where none is yet.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Error;
use crate::clock::{Clock, SystemClock};

const CONFIG: &str = include_str!("../../etc/demo.toml");
/// Bytes of a socket's path that every Unix takes.
const SOCKET_BYTES_MAX: usize = 100;

/// A demo that is ready to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demo {
    pub dir: PathBuf,
    pub config: PathBuf,
    pub socket: PathBuf,
}

/// Makes the demo's folder, config and data, each unless it is there. `daybook`: this binary, for jobs that call it.
pub fn prepare(dir: &Path, daybook: &Path) -> Result<Demo, Error> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file(dir))?;
    let dir = dir.canonicalize().map_err(file(dir))?;
    let socket = socket(&dir);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(file(&dir))?;
    runtime.block_on(super::make(&dir, SystemClock.now().wall))?;
    let config = dir.join("daybook.toml");
    if !super::there(&config)? {
        let unfinished = dir.join(".daybook.toml.unfinished");
        let text = fill(&[("{dir}", &dir), ("{socket}", &socket), ("{daybook}", daybook)]);
        fs::write(&unfinished, text).map_err(file(&unfinished))?;
        fs::rename(&unfinished, &config).map_err(file(&config))?;
    }
    Ok(Demo { dir, config, socket })
}

/// In the folder, or in the machine's temporary one where that path would be too long for a socket.
fn socket(dir: &Path) -> PathBuf {
    let socket = dir.join("control.sock");
    if socket.as_os_str().len() <= SOCKET_BYTES_MAX {
        return socket;
    }
    let name = xxhash_rust::xxh3::xxh3_64(dir.as_os_str().as_encoded_bytes());
    std::env::temp_dir().join(format!("daybook-demo-{name:016x}.sock"))
}

fn fill(places: &[(&str, &Path)]) -> String {
    places.iter().fold(CONFIG.to_owned(), |text, (place, path)| {
        let escaped = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
        text.replace(place, &escaped)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_made_once_and_its_config_loads() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("demo");
        let demo = prepare(&dir, Path::new("/usr/bin/daybook")).unwrap();
        let config = crate::config::load(&demo.config).unwrap();
        assert_eq!(config.socket, demo.socket);
        assert_eq!(config.tasks.len(), 4);
        fs::write(&demo.config, "state_dir = \"/x\"").unwrap();
        prepare(&dir, Path::new("/usr/bin/daybook")).unwrap();
        assert_eq!(fs::read_to_string(&demo.config).unwrap(), "state_dir = \"/x\"", "an edited config stays");
    }

    #[test]
    fn a_long_path_gets_a_short_socket() {
        let long = PathBuf::from(format!("/{}", "x".repeat(120)));
        assert!(socket(&long).as_os_str().len() <= SOCKET_BYTES_MAX);
        assert_eq!(socket(Path::new("/d")), Path::new("/d/control.sock"));
    }
}
