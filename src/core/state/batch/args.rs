//! The arguments of a batch: which operation, with what parameters.

use serde::{Deserialize, Serialize};

use crate::core::json::Json;

/// What the job of a batch has as its arguments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Args {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<Box<str>>,
    /// What its handler gets for every item that has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Json>,
    /// Returns its items to the default.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restore: bool,
}

impl Args {
    /// Reads them; none at all are those of a batch that a schedule starts.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn read(args: &Json) -> Result<Args, String> {
        let read: Option<Args> = serde_json::from_str(args.as_str()).map_err(|error| error.to_string())?;
        Ok(read.unwrap_or_default())
    }

    /// The arguments of the job.
    pub fn to_json(&self) -> Json {
        // A text, some JSON and a flag: nothing in there can fail.
        serde_json::to_string(self).map_or_else(|_| Json::null(), Json::trusted)
    }
}
