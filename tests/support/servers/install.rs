//! Finds the programs of a server, and installs their package if they are not there and we are root.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Kind;

/// The programs of one kind of server.
pub struct Programs {
    /// Runs the server.
    pub server: PathBuf,
    /// Makes the folder that it works on.
    pub prepare: PathBuf,
}

/// The programs, installed if need be; or why there are none.
pub fn programs(kind: Kind) -> Result<Programs, String> {
    if let Some(programs) = find(kind) {
        return Ok(programs);
    }
    if !is_root() {
        let packages = kind.packages().join(" ");
        return Err(format!("it is not installed, and only root could: apt-get install {packages}"));
    }
    // Other programs of this test run may want the same at the same time; whoever is second finds it done.
    let path = std::env::temp_dir().join("daybook-tests-apt.lock");
    let lock = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    lock.lock().map_err(|error| format!("{}: {error}", path.display()))?;
    if find(kind).is_none() {
        install(kind)?;
    }
    find(kind).ok_or_else(|| "its package is installed, but its programs are nowhere".to_owned())
}

/// Whether we are root: then servers have to run as somebody else, and may be installed.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Every program that the two need, in whatever folder.
fn find(kind: Kind) -> Option<Programs> {
    let folders = folders();
    let program = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    let (server, prepare, needed) = kind.program_names();
    if let Some(needed) = needed {
        program(needed)?;
    }
    Some(Programs { server: program(server)?, prepare: program(prepare)? })
}

/// Where programs are: Debian has those of PostgreSQL in a folder for each version, which is not in the path.
fn folders() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    let mut folders: Vec<PathBuf> = versions.into_iter().rev().map(|(_, path)| path).collect();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    folders.extend(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    folders
}

fn install(kind: Kind) -> Result<(), String> {
    for package in kind.packages() {
        // The lists may be missing or old, as on a fresh machine: then they are fetched and it is tried once more.
        if apt(&["install", "--yes", "--no-install-recommends", package]).is_err() {
            apt(&["update"])?;
            apt(&["install", "--yes", "--no-install-recommends", package])?;
        }
        kind.after_package(package, Path::new("/etc"));
    }
    Ok(())
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("apt-get: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    Err(format!("apt-get {}: {}; it said: {last}", arguments.join(" "), output.status))
}
