//! The result of a job that runs as another user, who may not write where the daemon looks for it: the job leaves it in
//! its folder for temporary files, and its shim carries it over before that is cleared away.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::order::Order;
use crate::exec::result_bytes;

/// Copies what there is, one byte more than a result may have at most, so that the daemon sees that it is too large.
pub(super) fn carry(order: &Order) -> io::Result<()> {
    let (Some(to), Some(from)) = (&order.result, order.environment.get("DAYBOOK_RESULT")) else { return Ok(()) };
    let owner = order.spec.user.as_ref().map(|user| user.uid);
    let Some(bytes) = result_bytes(from.as_ref(), owner)? else { return Ok(()) };
    // The daemon has removed what an attempt of the same number may have left there.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?.write_all(&bytes)
}
