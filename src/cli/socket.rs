//! Where the daemon's socket is: `--socket`, `DAYBOOK_SOCKET`, then the config.

use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::failure::Failure;
use super::{CONFIG_DEFAULT, Common};
use crate::config::Config;
use crate::error::Exit;

/// The socket to talk to.
pub fn find(common: &Common) -> Result<PathBuf, Failure> {
    match (&common.socket, &common.config) {
        (Some(socket), _) => Ok(socket.clone()),
        (None, Some(config)) => named_by(config),
        // A client may have no config, or may not read it: then it is where it always is.
        (None, None) => Ok(named_by(Path::new(CONFIG_DEFAULT)).unwrap_or_else(|_| Config::default().socket)),
    }
}

/// The socket that a config names. The rest of it is not looked at: a mistake elsewhere, on which the
/// daemon goes on with its last good config, must not keep a client from it. `daybook reload` is then told of it.
fn named_by(config: &Path) -> Result<PathBuf, Failure> {
    let wrong = |cause: String| {
        Failure::new(Exit::Config, format!("failed to read the config `{}`", config.display()))
            .because(cause)
            .hint("`--socket PATH` names the daemon's socket without a config")
    };
    let text = std::fs::read_to_string(config).map_err(|e: io::Error| wrong(e.to_string()))?;
    let (document, errors) = DeTable::parse_recoverable(&text);
    let socket = match document.get_ref().get("socket").map(|socket| socket.get_ref().as_str()) {
        Some(Some(socket)) => PathBuf::from(socket),
        Some(None) => return Err(wrong("`socket` must be text".to_owned())),
        None => match errors.first() {
            // It may be what the mistake has made unreadable.
            Some(error) => return Err(wrong(error.to_string().trim_end().to_owned())),
            None => Config::default().socket,
        },
    };
    let folder = std::path::absolute(config).map_err(|e| wrong(e.to_string()))?;
    Ok(folder.parent().unwrap_or(Path::new("/")).join(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(socket: Option<&str>, config: Option<&Path>) -> Common {
        Common { socket: socket.map(Into::into), config: config.map(Into::into), json: false }
    }

    #[test]
    fn the_option_wins_over_the_config() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("daybook.toml");
        std::fs::write(&config, "socket = \"run/control.sock\"\nnonsense = 1\n").unwrap();
        assert_eq!(find(&common(Some("/s"), Some(&config))).unwrap(), Path::new("/s"));
        assert_eq!(find(&common(None, Some(&config))).unwrap(), folder.path().join("run/control.sock"));
        std::fs::write(&config, "[task.a]\nshell = \nsocket = \"no\"\n").unwrap();
        assert_eq!(
            find(&common(None, Some(&config))).unwrap_err().exit,
            Exit::Config,
            "which one it names is not known"
        );
        std::fs::write(&config, "socket = \"c.sock\"\n[task.a]\nshell = \n").unwrap();
        assert_eq!(find(&common(None, Some(&config))).unwrap(), folder.path().join("c.sock"));
        std::fs::write(&config, "").unwrap();
        assert_eq!(find(&common(None, Some(&config))).unwrap(), Path::new("/run/daybook/control.sock"));
    }

    #[test]
    fn a_config_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let failure = find(&common(None, Some(&folder.path().join("none.toml")))).unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
    }
}
