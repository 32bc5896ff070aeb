//! The demo's folder of logs: of four services, for each some old files and some new ones.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::random::Random;
use crate::core::time::Timestamp;

const DAY_SECONDS: u64 = 86_400;
const SERVICES: [&str; 4] = ["web", "mail", "worker/import", "worker/export"];
/// Files of one service that are newer than 30 days, and older ones in its `archive`.
pub(super) const NEW_FILES: u64 = 5;
pub(super) const OLD_FILES: u64 = 10;

/// Makes the folder at `path`, where nothing is yet. On failure, what could not be made.
pub(super) fn make(path: &Path, now: Timestamp) -> Result<(), (PathBuf, io::Error)> {
    let mut random = Random::new(0x0106_F11E);
    for service in SERVICES {
        let folder = path.join(service);
        for age in 0..NEW_FILES {
            let name = if age == 0 { "current.log".to_owned() } else { format!("{age}.log") };
            write(&folder.join(name), now, age * 5, &mut random)?;
        }
        for number in 0..OLD_FILES {
            let age = 31 + number * 7;
            write(&folder.join("archive").join(format!("{age}-days.log")), now, age, &mut random)?;
        }
    }
    // Nothing that `*.log*` matches: it stays.
    write(&path.join("README.txt"), now, 200, &mut random)
}

fn write(path: &Path, now: Timestamp, age_days: u64, random: &mut Random) -> Result<(), (PathBuf, io::Error)> {
    let fill = |lines: u64| -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create_new(path)?;
        for line in 0..lines {
            writeln!(file, "request {line} answered in {} ms", 1 + line * 7 % 90)?;
        }
        let written = now - Duration::from_secs(age_days * DAY_SECONDS);
        let written = Duration::from_millis(written.0.max(0).unsigned_abs());
        file.set_modified(SystemTime::UNIX_EPOCH + written)
    };
    fill(20 + random.below(200)).map_err(|error| (path.to_owned(), error))
}
