//! How the daemon is started, and what a start and a reload read of the config alike.

use std::path::PathBuf;

use crate::config::{self, Config};
use crate::core::policy::TaskPolicy;

/// How to start.
#[derive(Clone, Debug)]
pub struct Options {
    pub config: PathBuf,
    /// Instead of the config's.
    pub state_dir: Option<PathBuf>,
    /// Instead of the config's.
    pub socket: Option<PathBuf>,
}

/// Reads the config, with what the command line says instead.
pub fn load(options: &Options) -> Result<Config, config::Errors> {
    let mut config = config::load(&options.config)?;
    if let Some(state_dir) = &options.state_dir {
        config.state_dir = state_dir.clone();
    }
    if let Some(socket) = &options.socket {
        config.socket = socket.clone();
    }
    Ok(config)
}

/// The tasks of a config as the core takes them.
pub fn policies(config: &Config) -> Vec<(Box<str>, TaskPolicy)> {
    config.tasks.iter().map(|(name, task)| (name.as_str().into(), task.policy.clone())).collect()
}
