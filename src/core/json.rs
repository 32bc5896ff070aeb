//! JSON that the core carries and never looks into: a job's arguments and its result.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The text of one valid JSON value. In JSON it is that value; in the journal its text. A clone shares it: the
/// arguments of a job pass through its event, the state and its attempts.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Arc<str>);

impl Json {
    /// Takes text after checking that it is one JSON value.
    pub fn parse(text: &str) -> Result<Json, String> {
        serde_json::from_str::<&RawValue>(text).map(|raw| Json(raw.get().into())).map_err(|e| e.to_string())
    }

    /// Takes text which a JSON parser or printer has just produced.
    pub fn trusted(text: impl Into<Arc<str>>) -> Json {
        Json(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `null`, the arguments of a job that has none.
    pub fn null() -> Json {
        Json("null".into())
    }
}

impl Default for Json {
    fn default() -> Json {
        Json::null()
    }
}

impl fmt::Debug for Json {
    /// The length only: payloads do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_str(&self.0);
        }
        match serde_json::from_str::<&RawValue>(&self.0) {
            Ok(raw) => raw.serialize(serializer),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        if !deserializer.is_human_readable() {
            return Arc::<str>::deserialize(deserializer).map(Json);
        }
        let raw = Box::<RawValue>::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(Json(raw.get().into()))
    }
}
