//! A sweep as the daemon drives it: a slice a turn, with commands, commits and crashes in between.

use daybook::core::repair::{Census, Door, Report, at_leisure};
use daybook::core::state::Durable;
use daybook::engine::Sweep;
use daybook::engine::machine::Machine;

/// Where it is.
pub enum Pass {
    State(Sweep),
    /// Looked at a turn later: what is found there may not be so any more.
    Picture(Sweep, Box<(Durable, Census)>),
    Found(Sweep),
}

impl Pass {
    pub fn begin(machine: &mut Machine, dry_run: bool) -> Pass {
        Pass::State(Sweep::begin(machine, Door::Timer, dry_run, Vec::new()))
    }

    /// One slice; the report when it has ended.
    pub fn step(self, machine: &mut Machine) -> Result<Pass, Report> {
        match self {
            Pass::State(mut sweep) => {
                if sweep.slice(machine) {
                    return Ok(Pass::State(sweep));
                }
                let seen = sweep.picture(machine);
                Ok(Pass::Picture(sweep, Box::new(seen)))
            }
            Pass::Picture(mut sweep, seen) => {
                sweep.take(at_leisure(&seen.0, &seen.1));
                Ok(Pass::Found(sweep))
            }
            Pass::Found(mut sweep) => match sweep.slice(machine) {
                true => Ok(Pass::Found(sweep)),
                false => Err(sweep.finish(machine)),
            },
        }
    }
}
