//! What a sweep found and did, as it is told, journaled and kept.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::event::{SweepFinished, SweepFound};
use crate::core::limits;
use crate::core::time::Timestamp;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The name of the broken invariant.
    pub invariant: Box<str>,
    /// The job, task, file or part that it is about.
    pub subject: Box<str>,
    pub explanation: Box<str>,
    /// What the sweep does about it.
    pub action: Box<str>,
}

impl Finding {
    /// The explanation is cut to its bound: it may repeat what somebody's job has printed.
    pub fn new(invariant: &str, subject: impl Into<Box<str>>, explanation: String, action: &str) -> Finding {
        let cut = |text: &str| limits::cut(text.to_owned(), limits::FINDING_TEXT_BYTES_MAX).into();
        let subject = limits::cut(subject.into().into(), limits::FINDING_TEXT_BYTES_MAX).into();
        Finding { invariant: invariant.into(), subject, explanation: cut(&explanation), action: cut(action) }
    }
}

/// Who asked for a sweep. The numbers are stored and never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Door {
    /// The daemon has just started.
    #[default]
    Start = 0,
    /// It was time again.
    Timer = 1,
    /// SIGHUP.
    Signal = 2,
    /// `daybook repair`.
    Cli = 3,
    /// Somebody on the control socket.
    Socket = 4,
    /// The button on the page.
    Page = 5,
}

impl Door {
    pub fn name(self) -> &'static str {
        match self {
            Door::Start => "start",
            Door::Timer => "timer",
            Door::Signal => "signal",
            Door::Cli => "cli",
            Door::Socket => "socket",
            Door::Page => "page",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a sweep found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it ended.
    pub at: Timestamp,
    pub door: Door,
    /// Those that were mended first. At most [`limits::FINDINGS_LISTED_MAX`], or [`limits::FINDINGS_KEPT_MAX`] once kept.
    pub findings: Vec<Finding>,
    /// All findings, listed or not.
    pub found: u32,
    /// How many of the findings were mended.
    pub fixed: u32,
    pub dry_run: bool,
    /// The asker came while this sweep ran already, and is told of what that one found.
    pub joined: bool,
}

/// What the state keeps of sweeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sweeps {
    /// The last one that has ended.
    pub last: Option<Report>,
    /// If that one found nothing, the last one before it that did.
    pub earlier: Option<Report>,
    /// What the last one could not mend.
    pub left: Vec<Finding>,
    /// What the present one has mended so far.
    found: Vec<Finding>,
}

impl Sweeps {
    /// A sweep that a crash broke off has no end.
    pub(in crate::core) fn forget_unfinished(self: &mut Arc<Self>) {
        if !self.found.is_empty() {
            Arc::make_mut(self).found.clear();
        }
    }

    pub(in crate::core) fn found(self: &mut Arc<Self>, found: &SweepFound) {
        let sweeps = Arc::make_mut(self);
        let room = limits::FINDINGS_KEPT_MAX.saturating_sub(sweeps.found.len());
        sweeps.found.extend(found.findings.iter().take(room).cloned());
    }

    pub(in crate::core) fn finished(self: &mut Arc<Self>, finished: &SweepFinished, at: Timestamp) {
        let sweeps = Arc::make_mut(self);
        if let Some(left) = &finished.left {
            sweeps.left = left.iter().take(limits::FINDINGS_KEPT_MAX).cloned().collect();
        }
        let mut findings = std::mem::take(&mut sweeps.found);
        findings.extend(sweeps.left.iter().cloned());
        findings.truncate(limits::FINDINGS_KEPT_MAX);
        let SweepFinished { door, found, fixed, .. } = *finished;
        let report = Report { at, door, findings, found, fixed, dry_run: false, joined: false };
        let before = sweeps.last.replace(report);
        if let Some(before) = before.filter(|before| found == 0 && before.found > 0) {
            sweeps.earlier = Some(before);
        }
    }
}
