//! The run of a batch: reads its items where nobody gave them, has them handled, tells the engine what became of each.
//!
//! What is handled next, and what counts, the core decides; in here is only what is under way. A [`Run`] asks the
//! engine for items, a call of the [`Each`] handles one of them or a chunk, and its end goes back with the next
//! question. Nothing is begun before the engine has it on disk that it is, so after a crash the items that were under
//! way are known, and handled again; all others are not.

mod each;
mod pace;
mod run;
mod source;
mod under;

pub use each::{Call, Each, Orders, PANICKED, answers, not_understood};
pub use pace::{Pace, Window};
pub use run::{End, Finish, Run, report};
pub use source::{Error, read};
