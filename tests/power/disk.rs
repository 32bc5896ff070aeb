//! A disk that can be cut off: an ext4 image on a loop device. Nothing of it outlives the test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::ioctl::{Setter, ioctl, opcode};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::daemon::until;

/// `EXT4_IOC_SHUTDOWN`: from now on nothing is written, and every write and sync fails.
const SHUTDOWN: u32 = opcode::read::<u32>(b'X', 125);
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: also what is only in the log's memory is lost.
const WITHOUT_FLUSHING_THE_LOG: u32 = 2;

/// What is on the disk is in `at` while it is mounted.
pub struct Disk {
    image: PathBuf,
    at: PathBuf,
}

/// Runs a program of the system; what it said if it failed.
fn run(program: &str, arguments: &[&Path]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.map_err(|error| format!("cannot run `{program}`: {error}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(said(&output.stdout)),
        false => Err(format!("`{program}` failed: {}", said(&output.stderr))),
    }
}

fn args<'a>(text: &'a str, paths: &[&'a Path]) -> Vec<&'a Path> {
    text.split_whitespace().map(Path::new).chain(paths.iter().copied()).collect()
}

/// Gives this thread, and all that it starts, mounts of their own.
fn leave_the_mounts_of_others() -> Result<(), String> {
    // SAFETY: only `UnshareFlags::FILES` lets threads disagree about descriptors, and it is not asked for.
    #[expect(unsafe_code, reason = "rustix has no safe way to ask for a mount namespace")]
    let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNS) };
    unshared.map_err(|error| format!("cannot have mounts of its own (is this root?): {error}"))?;
    run("mount", &args("--make-rprivate /", &[])).map(drop)
}

impl Disk {
    /// A new disk of `megabytes`, mounted at `at`; the image is a file in `folder`. An error says what is missing here.
    pub fn new(folder: &Path, at: &Path, megabytes: u64) -> Result<Disk, String> {
        leave_the_mounts_of_others()?;
        run("setpriv", &args("--version", &[]))?;
        let image = folder.join("image");
        File::create(&image).and_then(|file| file.set_len(megabytes << 20)).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &args("-q -F -b 4096 -m 0", &[&image]))?;
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let disk = Disk { image, at: at.to_owned() };
        disk.try_mount()?;
        Ok(disk)
    }

    fn try_mount(&self) -> Result<(), String> {
        run("mount", &args("-t ext4 -o loop,errors=remount-ro", &[&self.image, &self.at])).map(drop)
    }

    /// Cuts the power: whatever is not durable now never will be.
    pub fn cut(&self) {
        let root = File::open(&self.at).unwrap();
        // SAFETY: the call reads one `u32` behind the pointer, which is what the setter points to.
        #[expect(unsafe_code, reason = "an ioctl is as safe as the numbers are right")]
        let cut = unsafe { ioctl(&root, Setter::<SHUTDOWN, u32>::new(WITHOUT_FLUSHING_THE_LOG)) };
        cut.unwrap_or_else(|error| panic!("cannot cut the power of {}: {error}", self.at.display()));
    }

    /// Asks the kernel to let nobody write any more, as an administrator does; what it said if it would not.
    pub fn ask_for_read_only(&self) -> Result<(), String> {
        run("mount", &args("-o remount,ro", &[&self.at])).map(drop)
    }

    /// Has the file system find an error in itself, as it does when the device has failed, and let nobody write any more.
    pub fn fail(&self) {
        let device = run("findmnt", &args("--noheadings --output SOURCE --mountpoint", &[&self.at])).unwrap();
        let name = Path::new(&device).file_name().unwrap();
        fs::write(Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error"), "1").unwrap();
    }

    /// Takes the disk away, once nobody uses it, and mounts it again, as a machine does that boots.
    pub fn remount(&self) {
        until("nobody uses the disk", || run("umount", &args("", &[&self.at])).ok());
        self.try_mount().unwrap();
    }

    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        let found = statvfs(&self.at).unwrap();
        found.f_bavail * found.f_frsize
    }

    /// Takes all room but so many bytes.
    pub fn fill(&self, but: u64) {
        let file = File::create(self.ballast()).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, self.free().saturating_sub(but)).unwrap();
        file.sync_all().unwrap();
    }

    /// Gives the room back that [`Disk::fill`] has taken.
    pub fn clear(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also one that is still used goes from here at once, and its loop device with the last user. It may not
        // have been mounted at all.
        let _: Result<String, String> = run("umount", &args("-l", &[&self.at]));
    }
}
