//! A set of places in a list, as runs of neighbours: what events say of many items in a few bytes.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Numbers in ascending order. Stored as pairs of how many are left out and how many follow; in JSON as pairs of the
/// first and the last of each run.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Indices {
    /// The first of each run, and the one after its last.
    runs: Vec<(u32, u32)>,
}

impl Indices {
    /// Those of `numbers`, in any order.
    pub fn of(mut numbers: Vec<u32>) -> Indices {
        numbers.sort_unstable();
        numbers.into_iter().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub fn len(&self) -> usize {
        self.runs.iter().map(|(first, end)| (end - first) as usize).sum()
    }

    pub fn first(&self) -> Option<u32> {
        self.runs.first().map(|(first, _)| *first)
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|(first, end)| *first..*end)
    }
}

/// From numbers in ascending order; one that is not above those before it is left out.
impl FromIterator<u32> for Indices {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Indices {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some((_, end)) if number < *end => {}
                Some((_, end)) if number == *end && number < u32::MAX => *end += 1,
                Some(_) | None => runs.push((number, number.saturating_add(1))),
            }
        }
        Indices { runs }
    }
}

impl fmt::Debug for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As `0-63 70`.
impl fmt::Display for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, end)) in self.runs.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{first}")?;
            if end - first > 1 {
                write!(f, "-{}", end - 1)?;
            }
        }
        Ok(())
    }
}

impl Serialize for Indices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_stored = !serializer.is_human_readable();
        let mut seq = serializer.serialize_seq(Some(self.runs.len()))?;
        let mut before = 0;
        for (first, end) in &self.runs {
            match is_stored {
                true => seq.serialize_element(&(first - before, end - first))?,
                false => seq.serialize_element(&(first, end - 1))?,
            }
            before = *end;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Indices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Indices, D::Error> {
        let is_stored = !deserializer.is_human_readable();
        deserializer.deserialize_seq(Runs { is_stored })
    }
}

struct Runs {
    is_stored: bool,
}

impl<'de> Visitor<'de> for Runs {
    type Value = Indices;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("runs of ascending numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Indices, A::Error> {
        let (mut runs, mut before) = (Vec::new(), 0u32);
        while let Some((one, two)) = seq.next_element::<(u32, u32)>()? {
            let (first, end) = match self.is_stored {
                true => {
                    let first = before.saturating_add(one);
                    (first, first.saturating_add(two))
                }
                false => (one, two.saturating_add(1)),
            };
            if end <= first || (first < before) {
                return Err(serde::de::Error::custom("runs that do not ascend"));
            }
            runs.push((first, end));
            before = end;
        }
        Ok(Indices { runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::codec;

    #[test]
    fn neighbours_are_stored_together_and_come_back() {
        let indices = Indices::of(vec![70, 1, 0, 2, 3, 70, 72]);
        assert_eq!(indices.to_string(), "0-3 70 72");
        assert_eq!((indices.len(), indices.first()), (6, Some(0)));
        let mut bytes = Vec::new();
        codec::put(&indices, &mut bytes).expect("encodes");
        assert_eq!(bytes.len(), 7);
        assert_eq!(codec::take::<Indices>(&mut &bytes[..]).expect("decodes"), indices);
        let json = serde_json::to_string(&indices).expect("encodes");
        assert_eq!(json, "[[0,3],[70,70],[72,72]]");
        assert_eq!(serde_json::from_str::<Indices>(&json).expect("decodes"), indices);
        assert!(serde_json::from_str::<Indices>("[[5,3]]").is_err());
    }
}
